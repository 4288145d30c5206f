package stent

// #include "shim.h"
import "C"

import (
	"context"
	"runtime"
	"runtime/cgo"
	"slices"
	"unsafe"
)

// Outcome is what one task of a batch has come to: its result, or why there is none, as a [Handler] returns them.
type Outcome[R any] struct {
	Result R
	Err    error
}

// BatchHandler runs many tasks of one function in one call, for what costs as much for a hundred rows as for one. It gives
// an outcome for each task, in the same order. An error, or a panic, counts for each of the tasks, and so does a list of
// another length. [Batch1] makes one of a function with typed arguments.
//
// Each task has its own retries, time-out and cancel: [Task.IsCancelled]. After [Task.Snooze] what its outcome says is not
// used. The tasks live until the handler returns.
type BatchHandler func(tasks []*Task) ([]Outcome[any], error)

// Item is a task of a batch with its argument.
type Item[A any] struct {
	*Task
	Arg A
}

// Batch1 makes a batch's handler of a function whose tasks have one argument. Tasks whose arguments can't be read fail by
// themselves, and don't come to it.
func Batch1[A, R any](f func([]Item[A]) ([]Outcome[R], error)) BatchHandler {
	if f == nil {
		return nil
	}
	return func(tasks []*Task) ([]Outcome[any], error) {
		if err := signature1[A, R](); err != nil {
			return nil, err
		}
		outcomes := make([]Outcome[any], len(tasks))
		items, places := []Item[A]{}, []int{}
		for i, task := range tasks {
			item := Item[A]{Task: task}
			if outcomes[i].Err = task.Args(&item.Arg); outcomes[i].Err == nil {
				items, places = append(items, item), append(places, i)
			}
		}
		if len(items) == 0 {
			return outcomes, nil
		}
		answered, err := f(items)
		if err == nil {
			err = oneForEach(len(answered), len(items))
		}
		for at, place := range places {
			if err != nil {
				outcomes[place].Err = err
			} else {
				outcomes[place] = Outcome[any]{answered[at].Result, answered[at].Err}
			}
		}
		return outcomes, nil
	}
}

func oneForEach(outcomes, tasks int) error {
	if outcomes == tasks {
		return nil
	}
	return invalid(nil, "the batch's handler gave %d outcomes for %d tasks; there must be one for each", outcomes, tasks)
}

// HandleBatch registers the handler of a function that takes many tasks in one call, as [Executor.Handle] does for others.
// Each task takes a slot of the worker (WorkerOptions.MaxConcurrency) from when it is gathered until it has ended.
func (e *Executor) HandleBatch(function string, handler BatchHandler, batch BatchOptions, options ...FunctionOptions) error {
	defer runtime.KeepAlive(e)
	if handler == nil {
		return invalid(nil, "the handler of the function %s is nil", function)
	}
	text, err := encodeFirst(options)
	if err != nil {
		return err
	}
	batchText, err := encodeOptions(batch)
	if err != nil {
		return err
	}
	name, in, how := cText(function), cText(text), cText(batchText)
	defer name.free()
	defer in.free()
	defer how.free()
	number := C.uintptr_t(cgo.NewHandle(registeredBatch{handler, e.log}))
	return call(func(why **C.stent_error) C.stent_status {
		return C.stent_go_register_batch(e.handle, name.c, in.c, how.c, number, why)
	})
}

// WithBatch gives it a handler that takes many tasks in one call, for [Executor.Register].
func (f Function1[A, R]) WithBatch(handler func([]Item[A]) ([]Outcome[R], error), batch BatchOptions, options ...FunctionOptions) Registration {
	made := Registration{function: f.name, options: options, check: signature1[A, R], batch: &batch}
	made.batchHandler = Batch1(handler)
	return made
}

// What C holds the number of, as for other handlers.
type registeredBatch struct {
	handler BatchHandler
	log     *logPlace
}

//export stentGoBatch
func stentGoBatch(number C.uintptr_t, handles **C.stent_task, count C.size_t) {
	function := cgo.Handle(number).Value().(registeredBatch)
	tasks := make([]*Task, count)
	for i, handle := range unsafe.Slice(handles, count) {
		tasks[i] = &Task{handle: handle, log: function.log}
		tasks[i].ctx, tasks[i].cancel = context.WithCancel(context.Background())
		defer tasks[i].end()
	}
	var outcomes []Outcome[any]
	// The handler's own is a copy: it may sort it.
	given := slices.Clone(tasks)
	err := error(&Failure{Type: "Goexit", Message: "the handler ended its goroutine, by runtime.Goexit or a test's FailNow"})
	aside(func() { outcomes, err = runBatch(function.handler, given) })
	for i, task := range tasks {
		outcome := Outcome[any]{Err: err}
		if err == nil {
			outcome = outcomes[i]
		}
		task.settleInBatch(outcome)
	}
}

// Calls a batch's handler, and makes a failure of its panic.
func runBatch(handler BatchHandler, tasks []*Task) (outcomes []Outcome[any], err error) {
	count := len(tasks)
	defer func() {
		if panicked := recover(); panicked != nil {
			outcomes, err = nil, failureOfPanic(panicked)
		}
	}()
	for _, task := range tasks {
		task.trace()
	}
	if outcomes, err = handler(tasks); err == nil {
		err = oneForEach(len(outcomes), count)
	}
	return outcomes, err
}

// As what a handler of its own would have returned. A status that one could return ends the task here; one that suspended is
// known as such.
func (t *Task) settleInBatch(outcome Outcome[any]) {
	status := runAside(func(*Task) (any, error) { return outcome.Result, outcome.Err }, t)
	if status >= 0 {
		return
	}
	why := t.refused
	if why == nil {
		why = &Error{Status: Status(status), Message: Status(status).Error()}
	}
	t.fail(why)
}
