package stent

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Task is what a handler is given. It lives until the handler returns.
//
// A goroutine that a handler starts and that makes durable calls is awaited before the handler returns, and gives each
// of its calls a key of its own (CallOptions.Key): the order in which goroutines come is not the same in every run.
type Task struct {
	handle *C.stent_task

	// What has happened to the run, whatever the handler makes of its errors.
	suspended atomic.Bool
	continued atomic.Bool
	broken    atomic.Pointer[error] // a step failed in a way that is not recorded: so has the run
	raised    atomic.Int32          // the status of the last error of a call on the task
	refused   error                 // what was said of its result

	ctx     context.Context
	cancel  context.CancelFunc
	watched sync.Once
	traced  bool
	watcher sync.WaitGroup

	log  *logPlace
	life sync.RWMutex // its logger may outlive the C handle
	over bool
}

// Ends the context, and waits for who watches the C handle.
func (t *Task) end() {
	t.cancel()
	t.watcher.Wait()
	t.life.Lock()
	defer t.life.Unlock()
	t.over = true
}

// How often a task's context asks whether the task is cancelled.
const watch = 10 * time.Millisecond

// Context is done when nothing more of the task will be taken (it is cancelled, timed out, or another worker's), and
// when the handler has returned: for calls to the world outside.
func (t *Task) Context() context.Context {
	t.watched.Do(func() {
		t.watcher.Add(1)
		go func() {
			defer t.watcher.Done()
			ticker := time.NewTicker(watch)
			defer ticker.Stop()
			for !t.IsCancelled() {
				select {
				case <-t.ctx.Done():
					return
				case <-ticker.C:
				}
			}
			t.cancel()
		}()
	})
	return t.ctx
}

// Info is what is known of the task.
func (t *Task) Info() TaskInfo {
	var info TaskInfo
	if err := json.Unmarshal([]byte(C.GoString(C.stent_task_info(t.handle))), &info); err != nil {
		panic(fmt.Errorf("stent: the task's info can't be read: %w", err))
	}
	return info
}

// ID is the same in every attempt, and after every crash: a key for the world outside.
func (t *Task) ID() string { return t.Info().TaskID }

// RawArgs are the arguments, a JSON array.
func (t *Task) RawArgs() json.RawMessage {
	return json.RawMessage(C.GoString(C.stent_task_args(t.handle)))
}

// RawKwargs are the named arguments, a JSON object.
func (t *Task) RawKwargs() json.RawMessage {
	return json.RawMessage(C.GoString(C.stent_task_kwargs(t.handle)))
}

// Args reads the arguments into pointers, of which there must be as many. Its error fails the task for good.
func (t *Task) Args(into ...any) error {
	bad := func(why string) error { return &Failure{Type: "BadArguments", Message: why, Final: true} }
	var args []json.RawMessage
	if err := json.Unmarshal(t.RawArgs(), &args); err != nil {
		return bad(err.Error())
	}
	if len(args) != len(into) {
		return bad(fmt.Sprintf("%d arguments were given and %d are expected: %s", len(args), len(into), t.RawArgs()))
	}
	for i, arg := range args {
		if err := decodeInto(arg, into[i]); err != nil {
			return bad(fmt.Sprintf("argument %d: %v", i+1, err))
		}
	}
	return nil
}

// Kwargs reads the named arguments into a struct or a map.
func (t *Task) Kwargs(into any) error {
	if err := decodeInto(t.RawKwargs(), into); err != nil {
		return &Failure{Type: "BadArguments", Message: err.Error(), Final: true}
	}
	return nil
}

// IsCancelled says that the handler should come to its end, because nothing of it will be taken. It costs nothing.
func (t *Task) IsCancelled() bool { return C.stent_task_is_cancelled(t.handle) != 0 }

// IsReplaying is true while durable calls are answered from what earlier runs recorded.
func (t *Task) IsReplaying() bool { return C.stent_task_is_replaying(t.handle) != 0 }

// Makes a durable call. What it answers is remembered, whatever the handler makes of the error.
func (t *Task) ask(make func(why **C.stent_error) C.stent_status) error {
	if broken := t.broken.Load(); broken != nil {
		return *broken
	}
	var answered C.stent_status
	err := call(func(why **C.stent_error) C.stent_status {
		answered = make(why)
		return answered
	})
	if answered == C.STENT_SUSPEND {
		t.suspended.Store(true)
		return ErrSuspended
	}
	if err != nil {
		t.raised.Store(int32(answered))
	}
	return err
}

func (t *Task) askText(make func(out **C.char, why **C.stent_error) C.stent_status) (string, error) {
	var out *C.char
	if err := t.ask(func(why **C.stent_error) C.stent_status { return make(&out, why) }); err != nil {
		return "", err
	}
	return taken(out), nil
}

// A durable call that is given a name, a JSON value and options.
func (t *Task) askWith(name string, value json.RawMessage, options any, make func(name, value, options *C.char, out **C.char, why **C.stent_error) C.stent_status) (string, error) {
	optionsText, err := encodeOptions(options)
	if err != nil {
		return "", err
	}
	a, b, c := cText(name), cText(string(value)), cText(optionsText)
	defer a.free()
	defer b.free()
	defer c.free()
	return t.askText(func(out **C.char, why **C.stent_error) C.stent_status { return make(a.c, b.c, c.c, out, why) })
}

// Call calls a function, of whatever language, and gives its result. ErrFailed: it failed for good, and errors.As finds
// the [Failure].
func Call[R any](t *Task, function string, args Args, options ...CallOptions) (result R, err error) {
	given, err := firstOf(options)
	if err != nil {
		return result, err
	}
	list, err := encodeArgs(function, args)
	if err != nil {
		return result, err
	}
	text, err := t.askWith(function, list, given, func(name, args, options *C.char, out **C.char, why **C.stent_error) C.stent_status {
		return C.stent_task_call(t.handle, name, args, options, out, why)
	})
	if err != nil {
		return result, err
	}
	return decode[R](text, "the result of %s", function)
}

// Map calls a function once for each element, all at once; the results are in the same order.
func Map[R any](t *Task, function string, list []Args, options ...CallOptions) ([]R, error) {
	given, err := firstOf(options)
	if err != nil {
		return nil, err
	}
	texts := make([]json.RawMessage, len(list))
	for i, args := range list {
		if texts[i], err = encodeArgs(function, args); err != nil {
			return nil, err
		}
	}
	all, err := json.Marshal(texts)
	if err != nil {
		return nil, err
	}
	text, err := t.askWith(function, all, given, func(name, list, options *C.char, out **C.char, why **C.stent_error) C.stent_status {
		return C.stent_task_map(t.handle, name, list, options, out, why)
	})
	if err != nil {
		return nil, err
	}
	var each []json.RawMessage
	if err := json.Unmarshal([]byte(text), &each); err != nil {
		return nil, err
	}
	results := make([]R, len(each))
	for i, result := range each {
		if results[i], err = decode[R](string(result), "result %d of %s", i+1, function); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// Sleep sleeps without a thread or a slot; it wakes at the time that was fixed when it was first reached.
func (t *Task) Sleep(duration time.Duration) error {
	text, err := seconds(duration, "the time of a sleep")
	if err != nil {
		return err
	}
	in := cText(string(text))
	defer in.free()
	return t.ask(func(why **C.stent_error) C.stent_status { return C.stent_task_sleep(t.handle, in.c, why) })
}

// WaitSignal waits for a signal and takes it. ErrFailed with a [Failure] of type "SignalTimeout": none came in time.
func WaitSignal[R any](t *Task, name string, options ...WaitSignalOptions) (payload R, err error) {
	given, err := firstOf(options)
	if err != nil {
		return payload, err
	}
	text, err := t.askWith(name, nil, given, func(name, _, options *C.char, out **C.char, why **C.stent_error) C.stent_status {
		return C.stent_task_wait_signal(t.handle, name, options, out, why)
	})
	if err != nil {
		return payload, err
	}
	return decode[R](text, "the payload of the signal %s", name)
}

// Step runs a function here, and records its result: later runs get that. An error with a [Failure] that is Final is
// recorded too; any other fails this attempt of the task, and the next one runs the step again.
func Step[R any](t *Task, name string, body func() (R, error), options ...StepOptions) (result R, err error) {
	given, err := firstOf(options)
	if err != nil {
		return result, err
	}
	// Before the work is done.
	if err := checkCarried[R]("the result of the step " + name); err != nil {
		return result, t.breaks(err)
	}
	var op C.uint32_t
	var recorded C.int32_t
	_, err = t.askWith(name, nil, given, func(name, _, options *C.char, _ **C.char, why **C.stent_error) C.stent_status {
		return C.stent_task_step_begin(t.handle, name, options, &op, &recorded, why)
	})
	if err != nil {
		return result, err
	}
	if recorded != 0 {
		return ended[R](t, op)
	}
	result, err = body()
	if err != nil {
		return stepFailed[R](t, op, err)
	}
	text, err := encode(result, "the result of the step %s", name)
	if err != nil {
		return result, t.breaks(err)
	}
	in := cText(string(text))
	defer in.free()
	return result, t.ask(func(why **C.stent_error) C.stent_status {
		return C.stent_task_step_end(t.handle, op, in.c, nil, why)
	})
}

// The run has failed, whatever the handler makes of the error: what is not recorded can't be passed over.
func (t *Task) breaks(err error) error {
	t.broken.CompareAndSwap(nil, &err)
	return err
}

func stepFailed[R any](t *Task, op C.uint32_t, failed error) (none R, err error) {
	var failure *Failure
	if !errors.As(failed, &failure) || !failure.Final {
		return none, t.breaks(failed)
	}
	text, err := failureOf(failed)
	if err != nil {
		return none, err
	}
	in := cText(string(text))
	defer in.free()
	err = t.ask(func(why **C.stent_error) C.stent_status { return C.stent_task_step_end(t.handle, op, nil, in.c, why) })
	if err != nil {
		return none, err
	}
	return ended[R](t, op)
}

// Now is the time of the last thing that this task was told: the same in every replay.
func (t *Task) Now() (time.Time, error) {
	text, err := t.askText(func(out **C.char, why **C.stent_error) C.stent_status {
		return C.stent_task_now(t.handle, out, why)
	})
	if err != nil {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339Nano, text)
}

// Random gives 64 random bits, the same in every replay; not for secrets.
func (t *Task) Random() (uint64, error) {
	var value C.uint64_t
	err := t.ask(func(why **C.stent_error) C.stent_status { return C.stent_task_random(t.handle, &value, why) })
	return uint64(value), err
}

// UUID gives a UUID, the same in every replay.
func (t *Task) UUID() (string, error) {
	return t.askText(func(out **C.char, why **C.stent_error) C.stent_status {
		return C.stent_task_uuid(t.handle, out, why)
	})
}

// Continue starts the task over with new arguments and an empty journal; return after it, what is returned is not used.
func (t *Task) Continue(args Args) error {
	list, err := encodeArgs("a task that continues", args)
	if err != nil {
		return err
	}
	err = t.said("", list, "the arguments", func(_, args *C.char, why **C.stent_error) C.stent_status {
		return C.stent_task_continue(t.handle, args, why)
	})
	t.continued.Store(err == nil)
	return err
}

// Snooze puts the task off: it runs again after this time, from the top and with its journal, and no attempt is charged.
// Return after it, what is returned is not used. How often it was so is told by [TaskInfo].
func (t *Task) Snooze(delay time.Duration) error {
	time, err := seconds(delay, "the time of a snooze")
	if err != nil {
		return err
	}
	err = t.said("", time, "the time of a snooze", func(_, time *C.char, why **C.stent_error) C.stent_status {
		return C.stent_task_snooze(t.handle, time, why)
	})
	t.continued.Store(err == nil)
	return err
}

// What [Task.Hold] holds.
const (
	HoldKey      = "key"      // The calls of the task's function that have its concurrency key.
	HoldFunction = "function" // All calls of the task's function.
)

// Hold says for others that the other side wants nobody to ask for a while (429 with Retry-After): no other task of this one's
// concurrency key, or of its function, starts in that time. It is recorded with whatever the attempt comes to; a longer hold
// stands. The time may be that header's, as it came, or for instance "1m30s"; what can't be read does not count.
func (t *Task) Hold(what, retryAfter string) error {
	whom, text := cText(what), cText(retryAfter)
	defer whom.free()
	defer text.free()
	return t.ask(func(why **C.stent_error) C.stent_status {
		return C.stent_task_hold(t.handle, whom.c, text.c, why)
	})
}

// Progress adds a line to the execution's progress. As the two below, it is recorded with the task's next transition,
// once, whatever is replayed.
func (t *Task) Progress(detail any) error {
	return t.said("", detail, "a line of progress", func(_, detail *C.char, why **C.stent_error) C.stent_status {
		return C.stent_task_progress(t.handle, detail, why)
	})
}

// CounterAdd adds to a counter of the execution: any kind of number.
func (t *Task) CounterAdd(name string, amount any) error {
	return t.said(name, amount, "what is added to a counter", func(name, amount *C.char, why **C.stent_error) C.stent_status {
		return C.stent_task_counter_add(t.handle, name, amount, why)
	})
}

// StateSet sets a named value of the execution.
func (t *Task) StateSet(key string, value any) error {
	return t.said(key, value, "a value of the state", func(key, value *C.char, why **C.stent_error) C.stent_status {
		return C.stent_task_state_set(t.handle, key, value, why)
	})
}

// Heartbeat says how far the handler has come, for its next attempt, which finds it in TaskInfo.Heartbeat. The lease
// needs none.
func (t *Task) Heartbeat(details any) error {
	return t.said("", details, "the details of a heartbeat", func(_, details *C.char, why **C.stent_error) C.stent_status {
		return C.stent_task_heartbeat(t.handle, details, why)
	})
}

func (t *Task) said(name string, value any, what string, make func(name, value *C.char, why **C.stent_error) C.stent_status) error {
	text, err := encode(value, "%s", what)
	if err != nil {
		return err
	}
	a, b := cText(name), cText(string(text))
	defer a.free()
	defer b.free()
	return t.ask(func(why **C.stent_error) C.stent_status { return make(a.c, b.c, why) })
}
