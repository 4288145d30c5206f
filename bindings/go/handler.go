package stent

// #include "shim.h"
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"runtime/cgo"
	"runtime/debug"
	"strings"
	"sync"
)

// Handler runs a task: it gives the task's result, or why there is none. [Func0] to [Func4] make handlers of functions
// with typed arguments. It is called on threads of the library, several at once.
//
// An error from a durable call is returned as it is, whether a suspension, a cancellation or a child's failure: that
// does the right thing. A [Failure] says how the task failed; of any other error the failure's type is its Go type. A
// panic fails the task too, with its stack, and so does runtime.Goexit (which testing.T.FailNow calls): the process lives on.
type Handler func(task *Task) (any, error)

// Func0 makes a handler of a function without arguments; see [Define0] to [Define4] for calls that are checked too.
func Func0[R any](f func(*Task) (R, error)) Handler {
	if f == nil {
		return nil
	}
	return carrying(signature0[R], func(task *Task) (any, error) {
		if err := task.Args(); err != nil {
			return nil, err
		}
		return f(task)
	})
}

// Func1 makes a handler of a function with one argument.
func Func1[A, R any](f func(*Task, A) (R, error)) Handler {
	if f == nil {
		return nil
	}
	return carrying(signature1[A, R], func(task *Task) (any, error) {
		var a A
		if err := task.Args(&a); err != nil {
			return nil, err
		}
		return f(task, a)
	})
}

// Func2 makes a handler of a function with two arguments.
func Func2[A, B, R any](f func(*Task, A, B) (R, error)) Handler {
	if f == nil {
		return nil
	}
	return carrying(signature2[A, B, R], func(task *Task) (any, error) {
		var a A
		var b B
		if err := task.Args(&a, &b); err != nil {
			return nil, err
		}
		return f(task, a, b)
	})
}

// Func3 makes a handler of a function with three arguments.
func Func3[A, B, C, R any](f func(*Task, A, B, C) (R, error)) Handler {
	if f == nil {
		return nil
	}
	return carrying(signature3[A, B, C, R], func(task *Task) (any, error) {
		var a A
		var b B
		var c C
		if err := task.Args(&a, &b, &c); err != nil {
			return nil, err
		}
		return f(task, a, b, c)
	})
}

// Func4 makes a handler of a function with four arguments.
func Func4[A, B, C, D, R any](f func(*Task, A, B, C, D) (R, error)) Handler {
	if f == nil {
		return nil
	}
	return carrying(signature4[A, B, C, D, R], func(task *Task) (any, error) {
		var a A
		var b B
		var c C
		var d D
		if err := task.Args(&a, &b, &c, &d); err != nil {
			return nil, err
		}
		return f(task, a, b, c, d)
	})
}

// What C holds the number of. It knows nothing of the executor, which else would never be garbage.
type registered struct {
	handler Handler
	log     *logPlace
}

//export stentGoHandler
func stentGoHandler(number C.uintptr_t, handle *C.stent_task) C.stent_status {
	function := cgo.Handle(number).Value().(registered)
	task := &Task{handle: handle, log: function.log}
	task.ctx, task.cancel = context.WithCancel(context.Background())
	defer task.end()
	return runAside(function.handler, task)
}

// Runs a handler and settles its task. On a thread of the library's, runtime.Goexit would end the program: in the handler, or
// in a method of what it returned.
func runAside(handler Handler, task *Task) (status C.stent_status) {
	returned := false
	if aside(func() {
		result, err := run(handler, task)
		returned = true
		status = task.settleSafely(result, err)
	}) {
		return status
	}
	ended := &Failure{Type: "Goexit", Message: "the handler ended its goroutine, by runtime.Goexit or a test's FailNow"}
	if !returned && aside(func() { status = task.settleSafely(nil, ended) }) {
		return status
	}
	if task.suspended.Load() {
		return C.STENT_SUSPEND
	}
	ended.Message = "a method of the handler's error or result ended its goroutine, by runtime.Goexit"
	return task.fail(ended)
}

// Runs the work on a goroutine of its own, as a handler's. False if the work ended the goroutine.
func aside(work func()) (finished bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		id := goroutine()
		inHandlers.Store(id, nil)
		defer inHandlers.Delete(id)
		work()
		finished = true
	}()
	<-done
	return finished
}

// The goroutines on which handlers run: they must not wait for handlers to end.
var inHandlers sync.Map

func checkOutside(what string) error {
	if _, inside := inHandlers.Load(goroutine()); !inside {
		return nil
	}
	return &Error{Status: ErrWrongThread, Message: what + " waits for handlers to end, and was called in one"}
}

// The number of the goroutine, which Go tells in the first line of its stack only: "goroutine 7 [running]:".
func goroutine() string {
	var line [40]byte
	text := string(line[:runtime.Stack(line[:], false)])
	number, _, _ := strings.Cut(strings.TrimPrefix(text, "goroutine "), " ")
	return number
}

// Calls a handler, and makes a failure of its panic.
func run(handler Handler, task *Task) (result any, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			result, err = nil, failureOfPanic(panicked)
		}
	}()
	task.trace()
	return handler(task)
}

// Asked for where it was recovered: the stack still tells where it came from.
func failureOfPanic(panicked any) *Failure {
	failure := &Failure{Type: "panic", Message: fmt.Sprint(panicked), Stack: string(debug.Stack())}
	if cause, ok := panicked.(error); ok {
		failure.Type = typeName(cause)
	}
	return failure
}

// As settle; and what panics in it, such as the methods of an error or a result of the user's, fails the task.
func (t *Task) settleSafely(result any, err error) (status C.stent_status) {
	defer func() {
		if panicked := recover(); panicked != nil {
			failure := &Failure{Type: "panic", Message: fmt.Sprint(panicked), Stack: string(debug.Stack())}
			if err != nil {
				failure.Type = typeName(err)
				failure.Message = fmt.Sprintf("a method of the error, a %T, panicked: %v", err, panicked)
			}
			status = t.fail(failure)
		}
	}()
	return t.settle(result, err)
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
		text, why := encode(result, "the result of %s", t.Info().Function)
		if err = why; err == nil {
			in := cText(string(text))
			defer in.free()
			var status C.stent_status
			t.refused = call(func(why **C.stent_error) C.stent_status {
				status = C.stent_task_complete(t.handle, in.c, why)
				return status
			})
			return status
		}
	}
	// Of an error that came from the task the library knows more than we can tell.
	var came *Error
	if errors.As(err, &came) && came.failure == nil && came.Status != ErrInvalid && came.Status == Status(t.raised.Load()) {
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
