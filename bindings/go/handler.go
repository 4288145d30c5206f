package stent

// #include "shim.h"
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/cgo"
	"runtime/debug"
)

// Handler runs a task: it gives the task's result, or why there is none. [Func0] to [Func4] make handlers of functions
// with typed arguments. It is called on threads of the library, several at once.
//
// An error from a durable call is returned as it is, whether a suspension, a cancellation or a child's failure: that
// does the right thing. A [Failure] says how the task failed; of any other error the failure's type is its Go type. A
// panic fails the task too, with its stack, and the process lives on. Only runtime.Goexit (which testing.T.FailNow calls)
// must stay out of handlers: on a thread that is not its own, Go ends the program at it.
type Handler func(task *Task) (any, error)

// Func0 makes a handler of a function without arguments.
func Func0[R any](f func(*Task) (R, error)) Handler {
	return func(task *Task) (any, error) {
		if err := task.Args(); err != nil {
			return nil, err
		}
		return f(task)
	}
}

// Func1 makes a handler of a function with one argument.
func Func1[A, R any](f func(*Task, A) (R, error)) Handler {
	return func(task *Task) (any, error) {
		var a A
		if err := task.Args(&a); err != nil {
			return nil, err
		}
		return f(task, a)
	}
}

// Func2 makes a handler of a function with two arguments.
func Func2[A, B, R any](f func(*Task, A, B) (R, error)) Handler {
	return func(task *Task) (any, error) {
		var a A
		var b B
		if err := task.Args(&a, &b); err != nil {
			return nil, err
		}
		return f(task, a, b)
	}
}

// Func3 makes a handler of a function with three arguments.
func Func3[A, B, C, R any](f func(*Task, A, B, C) (R, error)) Handler {
	return func(task *Task) (any, error) {
		var a A
		var b B
		var c C
		if err := task.Args(&a, &b, &c); err != nil {
			return nil, err
		}
		return f(task, a, b, c)
	}
}

// Func4 makes a handler of a function with four arguments.
func Func4[A, B, C, D, R any](f func(*Task, A, B, C, D) (R, error)) Handler {
	return func(task *Task) (any, error) {
		var a A
		var b B
		var c C
		var d D
		if err := task.Args(&a, &b, &c, &d); err != nil {
			return nil, err
		}
		return f(task, a, b, c, d)
	}
}

//export stentGoHandler
func stentGoHandler(number C.uintptr_t, handle *C.stent_task) C.stent_status {
	task := &Task{handle: handle}
	task.ctx, task.cancel = context.WithCancel(context.Background())
	defer task.end()
	result, err := run(cgo.Handle(number).Value().(Handler), task)
	return task.settle(result, err)
}

// Calls a handler, and makes a failure of its panic.
func run(handler Handler, task *Task) (result any, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			failure := &Failure{Type: "panic", Message: fmt.Sprint(panicked), Stack: string(debug.Stack())}
			if cause, ok := panicked.(error); ok {
				failure.Type = typeName(cause)
			}
			result, err = nil, failure
		}
	}()
	return handler(task)
}

// What becomes of the task, by what its handler returned.
func (t *Task) settle(result any, err error) C.stent_status {
	if t.suspended.Load() {
		if !errors.Is(err, ErrSuspended) {
			_ = t.Log(LevelWarn, "the handler did not return ErrSuspended; return the error of a durable call as it is")
		}
		return C.STENT_SUSPEND
	}
	if broken := t.broken.Load(); broken != nil {
		err = *broken
	}
	if err == nil && t.continued.Load() {
		return C.STENT_OK
	}
	if err == nil {
		text, why := json.Marshal(result)
		if err = why; err == nil {
			in := cText(string(text))
			defer in.free()
			return C.stent_task_complete(t.handle, in.c, nil)
		}
	}
	// Of an error that came from the task the library knows more than we can tell.
	var came *Error
	if errors.As(err, &came) && came.failure == nil && came.Status == Status(t.raised.Load()) {
		return C.stent_status(came.Status)
	}
	return t.fail(err)
}

func (t *Task) fail(err error) C.stent_status {
	text, why := failureOf(err)
	if why != nil {
		// Details of the user's that are not JSON.
		text, _ = json.Marshal(&Failure{Type: typeName(err), Message: err.Error()})
	}
	in := cText(string(text))
	defer in.free()
	return C.stent_task_fail(t.handle, in.c, nil)
}
