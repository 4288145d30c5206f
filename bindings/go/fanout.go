package stent

// #include "shim.h"
import "C"

import "time"

// Op is a started operation of a task, whose result is an R.
type Op[R any] struct{ number C.uint32_t }

// AnyOp is a started operation of whatever result.
type AnyOp interface{ op() C.uint32_t }

func (o Op[R]) op() C.uint32_t { return o.number }

// Spawn starts a call without waiting. What is started is committed together, at the next wait.
func Spawn[R any](t *Task, function string, args Args, options ...CallOptions) (op Op[R], err error) {
	given, err := firstOf(options)
	if err != nil {
		return op, err
	}
	list, err := encodeArgs(function, args)
	if err != nil {
		return op, err
	}
	_, err = t.askWith(function, list, given, func(name, args, options *C.char, _ **C.char, why **C.stent_error) C.stent_status {
		return C.stent_task_spawn_call(t.handle, name, args, options, &op.number, why)
	})
	return op, err
}

// SpawnSleep starts a sleep without waiting: a time-out for whatever is awaited with it.
func (t *Task) SpawnSleep(duration time.Duration) (op Op[any], err error) {
	text, err := seconds(duration, "the time of a sleep")
	if err != nil {
		return op, err
	}
	in := cText(string(text))
	defer in.free()
	err = t.ask(func(why **C.stent_error) C.stent_status {
		return C.stent_task_spawn_sleep(t.handle, in.c, &op.number, why)
	})
	return op, err
}

// SpawnWaitSignal starts a wait for a signal without waiting.
func SpawnWaitSignal[R any](t *Task, name string, options ...WaitSignalOptions) (op Op[R], err error) {
	given, err := firstOf(options)
	if err != nil {
		return op, err
	}
	_, err = t.askWith(name, nil, given, func(name, _, options *C.char, _ **C.char, why **C.stent_error) C.stent_status {
		return C.stent_task_spawn_wait_signal(t.handle, name, options, &op.number, why)
	})
	return op, err
}

// WaitAny waits until one of the operations has ended, in whatever way, and gives the index of the first.
func (t *Task) WaitAny(ops ...AnyOp) (int, error) {
	numbers := make([]C.uint32_t, len(ops))
	for i, op := range ops {
		numbers[i] = op.op()
	}
	first, err := t.await(numbers, C.STENT_WAIT_ANY)
	for i, number := range numbers {
		if err == nil && number == first {
			return i, nil
		}
	}
	return 0, err
}

// WaitAll waits for all, and gives their results in order; its error is that of the first in the list that failed.
func WaitAll[R any](t *Task, ops []Op[R]) ([]R, error) {
	numbers := make([]C.uint32_t, len(ops))
	for i, op := range ops {
		numbers[i] = op.number
	}
	if _, err := t.await(numbers, C.STENT_WAIT_ALL); err != nil {
		return nil, err
	}
	results := make([]R, len(ops))
	for i, op := range ops {
		result, err := ended[R](t, op.number)
		if err != nil {
			return nil, err
		}
		results[i] = result
	}
	return results, nil
}

// Wait waits for one operation, and gives its result.
func Wait[R any](t *Task, op Op[R]) (result R, err error) {
	if _, err := t.await([]C.uint32_t{op.number}, C.STENT_WAIT_ALL); err != nil {
		return result, err
	}
	return ended[R](t, op.number)
}

// CancelOp cancels what is not awaited any more, such as the loser of a race.
func (t *Task) CancelOp(op AnyOp) error {
	return t.ask(func(why **C.stent_error) C.stent_status { return C.stent_task_cancel_op(t.handle, op.op(), why) })
}

func (t *Task) await(numbers []C.uint32_t, mode C.uint32_t) (first C.uint32_t, err error) {
	if len(numbers) == 0 {
		return 0, nil
	}
	err = t.ask(func(why **C.stent_error) C.stent_status {
		return C.stent_task_await(t.handle, &numbers[0], C.size_t(len(numbers)), mode, -1, &first, why)
	})
	return first, err
}

// The result of an operation that has been awaited.
func ended[R any](t *Task, op C.uint32_t) (result R, err error) {
	text, err := t.askText(func(out **C.char, why **C.stent_error) C.stent_status {
		return C.stent_task_result(t.handle, op, out, why)
	})
	if err != nil {
		return result, err
	}
	return decode[R](text, "the result of an operation")
}
