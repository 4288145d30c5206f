package stent

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"runtime/cgo"
	"sync/atomic"
	"time"
)

// Args are the arguments of a function, in order: any values that have JSON.
type Args []any

// Store is an open store: a file ("workflow.db"), ":memory:", or a PostgreSQL database
// ("postgresql://user@host/database").
type Store struct {
	handle *C.stent_backend
	number uint64
}

var stores atomic.Uint64

// Open opens a store, and creates or migrates its schema.
func Open(ctx context.Context, url string, options ...SQLiteOptions) (*Store, error) {
	text, err := encodeFirst(options)
	if err != nil {
		return nil, err
	}
	if err := hearFromTheStart(); err != nil {
		return nil, err
	}
	store := newStore()
	open := func() error {
		given := cstring{}
		// They are those of a SQLite file; other stores take none.
		if len(options) > 0 {
			given = cText(text)
			defer given.free()
		}
		in := cText(url)
		defer in.free()
		return call(func(why **C.stent_error) C.stent_status {
			return C.stent_backend_open(in.c, given.c, &store.handle, why)
		})
	}
	if err := background(ctx, open); err != nil {
		return nil, err
	}
	return store, nil
}

// A store to be, which is freed whenever it comes to be one: when ctx ends before it is open, too.
func newStore() *Store {
	store := &Store{number: stores.Add(1)}
	runtime.SetFinalizer(store, func(s *Store) { C.stent_backend_free(s.handle) })
	return store
}

// Close releases connections, files and locks. Not in a handler. ErrConflict: a worker on it has not been stopped.
func (s *Store) Close() error {
	defer runtime.KeepAlive(s)
	return call(func(why **C.stent_error) C.stent_status { return C.stent_backend_close(s.handle, why) })
}

// Shutdown is [Shutdown] for what was made from this store: it drains and stops its workers, closes it, and waits for the
// library's last callback, its executors' last log lines included. For a package in a program that has stores of its own.
func (s *Store) Shutdown(ctx context.Context) error {
	if err := checkOutside("shutdown"); err != nil {
		return err
	}
	return background(ctx, func() error {
		defer runtime.KeepAlive(s)
		working.Range(func(worker, _ any) bool {
			if worker.(*Worker).store == s.number {
				working.Delete(worker)
			}
			return true
		})
		return call(func(why **C.stent_error) C.stent_status {
			return C.stent_backend_shutdown(s.handle, millis(ctx), why)
		})
	})
}

// Backup copies the store to a new file, as it is at one moment, while workers go on. For SQLite; other stores have tools
// of their own: ErrUnsupported.
func (s *Store) Backup(ctx context.Context, path string) error {
	return background(ctx, func() error {
		defer runtime.KeepAlive(s)
		target := cText(path)
		defer target.free()
		return call(func(why **C.stent_error) C.stent_status {
			return C.stent_backend_backup(s.handle, target.c, nil, why)
		})
	})
}

// Call makes one operation of the backend protocol: the way to look at records and to repair them. What the store
// answers is read into response, unless that is nil.
func (s *Store) Call(ctx context.Context, operation Operation, request, response any) error {
	if request == nil {
		request = struct{}{}
	}
	return exchange(ctx, request, response, func(in *C.char, out **C.char, why **C.stent_error) C.stent_status {
		defer runtime.KeepAlive(s)
		name := cText(string(operation))
		defer name.free()
		return C.stent_backend_call(s.handle, name.c, in, out, why)
	})
}

// Check runs the conformance suite against the store, whoever wrote it. It wants a store of its own, on which no worker
// runs: what has ended there is cleaned away. A case that fails is no error; the report tells of it.
func (s *Store) Check(ctx context.Context, options ...CheckOptions) (*CheckReport, error) {
	text, err := encodeFirst(options)
	if err != nil {
		return nil, err
	}
	var report *CheckReport
	err = exchange(ctx, json.RawMessage(text), &report, func(in *C.char, out **C.char, why **C.stent_error) C.stent_status {
		defer runtime.KeepAlive(s)
		return C.stent_backend_check(s.handle, in, out, why)
	})
	return report, err
}

// Executor registers functions, starts and watches executions, starts workers.
type Executor struct {
	handle *C.stent_executor
	log    *logPlace
	store  uint64
}

// NewExecutor makes an executor on a store.
func NewExecutor(store *Store) (*Executor, error) {
	defer runtime.KeepAlive(store)
	executor := &Executor{log: &logPlace{}, store: store.number}
	err := call(func(why **C.stent_error) C.stent_status {
		return C.stent_executor_new(store.handle, nil, &executor.handle, why)
	})
	if err != nil {
		return nil, err
	}
	runtime.SetFinalizer(executor, func(e *Executor) { C.stent_executor_free(e.handle) })
	return executor, nil
}

// Handle registers the handler of a function, for the workers that are started from now on. [Func0] to [Func4] make
// handlers of functions with typed arguments; [Executor.Register] registers functions whose calls are typed as well.
func (e *Executor) Handle(function string, handler Handler, options ...FunctionOptions) error {
	defer runtime.KeepAlive(e)
	if handler == nil {
		return invalid(nil, "the handler of the function %s is nil", function)
	}
	text, err := encodeFirst(options)
	if err != nil {
		return err
	}
	name, in := cText(function), cText(text)
	defer name.free()
	defer in.free()
	number := C.uintptr_t(cgo.NewHandle(registered{handler, e.log}))
	return call(func(why **C.stent_error) C.stent_status {
		return C.stent_go_register(e.handle, name.c, in.c, number, why)
	})
}

// Unregister takes a function's handler back: workers that are started from now on don't have it, those that run keep it.
// The name may be registered anew. ErrNotFound: it is not registered here.
func (e *Executor) Unregister(function string) error {
	defer runtime.KeepAlive(e)
	name := cText(function)
	defer name.free()
	return call(func(why **C.stent_error) C.stent_status { return C.stent_executor_unregister(e.handle, name.c, why) })
}

// Dispatch starts an execution of a function, whoever has it, and gives its id when that is durable.
func (e *Executor) Dispatch(ctx context.Context, function string, args Args, options ...DispatchOptions) (string, error) {
	list, err := encodeArgs(function, args)
	if err != nil {
		return "", err
	}
	text, err := encodeFirst(options)
	if err != nil {
		return "", err
	}
	var id string
	err = background(ctx, func() error {
		defer runtime.KeepAlive(e)
		name, args, in := cText(function), cText(string(list)), cText(text)
		defer name.free()
		defer args.free()
		defer in.free()
		said, err := callText(func(out **C.char, why **C.stent_error) C.stent_status {
			return C.stent_executor_dispatch(e.handle, name.c, args.c, in.c, out, why)
		})
		id = said
		return err
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

// DispatchMany starts many executions at once; the ids are in the same order.
func (e *Executor) DispatchMany(ctx context.Context, requests []DispatchRequest) ([]string, error) {
	list := make([]map[string]any, len(requests))
	for i, request := range requests {
		options, err := encodeOptions(request.Options)
		if err != nil {
			return nil, err
		}
		list[i] = map[string]any{"function": request.Function, "options": json.RawMessage(options)}
		if list[i]["args"], err = encodeArgs(request.Function, request.Args); err != nil {
			return nil, err
		}
	}
	var ids []string
	err := exchange(ctx, list, &ids, func(in *C.char, out **C.char, why **C.stent_error) C.stent_status {
		defer runtime.KeepAlive(e)
		return C.stent_executor_dispatch_many(e.handle, in, out, why)
	})
	return ids, err
}

// How long one wait holds a thread before it gives others a turn.
const slice = 100 * time.Millisecond

// Asks again and again whether an execution is over, so that neither ctx nor other waits are kept waiting.
func (e *Executor) await(ctx context.Context, id string, ask func(id *C.char, timeout C.int64_t, out **C.char, why **C.stent_error) C.stent_status) (string, error) {
	for {
		var text string
		err := background(ctx, func() error {
			defer runtime.KeepAlive(e)
			in := cText(id)
			defer in.free()
			said, err := callText(func(out **C.char, why **C.stent_error) C.stent_status {
				return ask(in.c, C.int64_t(slice.Milliseconds()), out, why)
			})
			text = said
			return err
		})
		var failed *Error
		if !errors.As(err, &failed) || failed.Status != ErrTimeout || isOver(failed) {
			return text, err
		}
	}
}

// The execution ran out of its own time; else only our slice did.
func isOver(err *Error) bool {
	var details struct{ State string }
	return json.Unmarshal(err.Details, &details) == nil && details.State == "timed_out"
}

// Wait waits until an execution is over, however it ends.
func (e *Executor) Wait(ctx context.Context, id string) (*Execution, error) {
	text, err := e.await(ctx, id, func(id *C.char, timeout C.int64_t, out **C.char, why **C.stent_error) C.stent_status {
		return C.stent_executor_wait(e.handle, id, timeout, out, why)
	})
	if err != nil {
		return nil, err
	}
	return decodeRecord[*Execution](text)
}

// Result waits for the result of an execution. ErrFailed: it failed, and errors.As finds the [Failure]. ErrCancelled:
// it was cancelled. ErrTimeout: it ran out of its own time; when ctx does, the error is ctx's.
func Result[R any](ctx context.Context, e *Executor, id string) (R, error) {
	text, err := e.await(ctx, id, func(id *C.char, timeout C.int64_t, out **C.char, why **C.stent_error) C.stent_status {
		return C.stent_executor_result(e.handle, id, timeout, out, why)
	})
	if err != nil {
		var none R
		return none, err
	}
	return decode[R](text, "the result of the execution")
}

// State is an execution as it is now.
func (e *Executor) State(ctx context.Context, id string) (*Execution, error) {
	text, err := e.stateText(ctx, id)
	if err != nil {
		return nil, err
	}
	return decodeRecord[*Execution](text)
}

// List gives the executions that a filter admits, newest first, without their progress.
func (e *Executor) List(ctx context.Context, filter ExecutionFilter) ([]Execution, error) {
	var executions []Execution
	err := e.filtered(ctx, filter, &executions, func(in *C.char, out **C.char, why **C.stent_error) C.stent_status {
		return C.stent_executor_list(e.handle, in, out, why)
	})
	return executions, err
}

// Signal sends a signal to an execution, and returns when that is durable.
func (e *Executor) Signal(ctx context.Context, id, name string, payload any, options ...SignalOptions) error {
	text, err := encodeFirst(options)
	if err != nil {
		return err
	}
	value, err := encode(payload, "the payload of the signal %s", name)
	if err != nil {
		return err
	}
	return e.named(ctx, id, value, nil, func(id, payload *C.char, _ **C.char, why **C.stent_error) C.stent_status {
		signal, in := cText(name), cText(text)
		defer signal.free()
		defer in.free()
		return C.stent_executor_signal(e.handle, id, signal.c, payload, in.c, why)
	})
}

// Cancel cancels an execution with everything that it called.
func (e *Executor) Cancel(ctx context.Context, id, reason string) error {
	return e.named(ctx, id, nil, nil, func(id, _ *C.char, _ **C.char, why **C.stent_error) C.stent_status {
		said := cText(reason)
		defer said.free()
		return C.stent_executor_cancel(e.handle, id, said.c, why)
	})
}

// Stats tells how the store and this executor's workers are doing: JSON, or Prometheus's text format.
func (e *Executor) Stats(ctx context.Context, options StatsOptions) (string, error) {
	text, err := encodeOptions(options)
	if err != nil {
		return "", err
	}
	var stats string
	err = background(ctx, func() error {
		defer runtime.KeepAlive(e)
		in := cText(text)
		defer in.free()
		said, err := callText(func(out **C.char, why **C.stent_error) C.stent_status {
			return C.stent_executor_stats(e.handle, in.c, out, why)
		})
		stats = said
		return err
	})
	if err != nil {
		return "", err
	}
	return stats, nil
}

// DeadLetters gives the dead letters that a filter admits, newest first.
func (e *Executor) DeadLetters(ctx context.Context, filter DeadLetterFilter) ([]DeadLetter, error) {
	var letters []DeadLetter
	err := e.filtered(ctx, filter, &letters, func(in *C.char, out **C.char, why **C.stent_error) C.stent_status {
		return C.stent_executor_dead_letters(e.handle, in, out, why)
	})
	return letters, err
}

// ReplayDeadLetter starts an execution anew from a dead letter, and gives the new one's id.
func (e *Executor) ReplayDeadLetter(ctx context.Context, taskID string) (string, error) {
	var ids struct {
		ExecutionID string `json:"execution_id"`
	}
	err := e.named(ctx, taskID, nil, &ids, func(id, _ *C.char, out **C.char, why **C.stent_error) C.stent_status {
		return C.stent_executor_replay_dead_letter(e.handle, id, nil, out, why)
	})
	return ids.ExecutionID, err
}

// DiscardDeadLetter takes a dead letter away; its execution stays as it ended.
func (e *Executor) DiscardDeadLetter(ctx context.Context, taskID string) error {
	return e.named(ctx, taskID, nil, nil, func(id, _ *C.char, _ **C.char, why **C.stent_error) C.stent_status {
		return C.stent_executor_discard_dead_letter(e.handle, id, why)
	})
}

// Resume lets a task go on that was parked because its code did not match its journal.
func (e *Executor) Resume(ctx context.Context, taskID string) error {
	return e.named(ctx, taskID, nil, nil, func(id, _ *C.char, _ **C.char, why **C.stent_error) C.stent_status {
		return C.stent_executor_resume(e.handle, id, nil, why)
	})
}

// Pause pauses a queue or a function: when it has returned, no worker claims a task of it any more.
func (e *Executor) Pause(ctx context.Context, options PauseOptions) error {
	return e.filtered(ctx, options, nil, func(in *C.char, _ **C.char, why **C.stent_error) C.stent_status {
		return C.stent_executor_pause(e.handle, in, why)
	})
}

// Unpause ends a pause: the tasks are claimed again.
func (e *Executor) Unpause(ctx context.Context, options UnpauseOptions) error {
	return e.filtered(ctx, options, nil, func(in *C.char, _ **C.char, why **C.stent_error) C.stent_status {
		return C.stent_executor_unpause(e.handle, in, why)
	})
}

// Pauses gives what is paused: queues first, by name, then functions.
func (e *Executor) Pauses(ctx context.Context) ([]Pause, error) {
	var pauses []Pause
	err := exchange(ctx, nil, &pauses, func(_ *C.char, out **C.char, why **C.stent_error) C.stent_status {
		defer runtime.KeepAlive(e)
		return C.stent_executor_pauses(e.handle, out, why)
	})
	return pauses, err
}

// Cleaned are the numbers of what a cleanup removed.
type Cleaned struct {
	Executions  int `json:"executions"`
	DeadLetters int `json:"dead_letters"`
}

// Cleanup removes executions that ended long ago; workers do it by themselves too.
func (e *Executor) Cleanup(ctx context.Context, options CleanupOptions) (Cleaned, error) {
	var report Cleaned
	err := e.filtered(ctx, options, &report, func(in *C.char, out **C.char, why **C.stent_error) C.stent_status {
		return C.stent_executor_cleanup(e.handle, in, out, why)
	})
	return report, err
}

// A call about an id, with a JSON value.
func (e *Executor) named(ctx context.Context, id string, value, response any, make func(id, value *C.char, out **C.char, why **C.stent_error) C.stent_status) error {
	return exchange(ctx, value, response, func(in *C.char, out **C.char, why **C.stent_error) C.stent_status {
		defer runtime.KeepAlive(e)
		name := cText(id)
		defer name.free()
		return make(name.c, in, out, why)
	})
}

// A call with options.
func (e *Executor) filtered(ctx context.Context, options, response any, make func(in *C.char, out **C.char, why **C.stent_error) C.stent_status) error {
	text, err := encodeOptions(options)
	if err != nil {
		return err
	}
	return exchange(ctx, json.RawMessage(text), response, func(in *C.char, out **C.char, why **C.stent_error) C.stent_status {
		defer runtime.KeepAlive(e)
		return make(in, out, why)
	})
}

// A call that takes a JSON value and may give one. What it gives is read here, by the caller who still waits.
func exchange(ctx context.Context, request, response any, make func(in *C.char, out **C.char, why **C.stent_error) C.stent_status) error {
	text, err := json.Marshal(asBytes(request))
	if err != nil {
		return err
	}
	var answer string
	err = background(ctx, func() error {
		in := cText(string(text))
		defer in.free()
		said, err := callText(func(out **C.char, why **C.stent_error) C.stent_status { return make(in.c, out, why) })
		answer = said
		return err
	})
	if err != nil || response == nil {
		return err
	}
	return readInto([]byte(answer), response)
}

func decodeRecord[R any](text string) (R, error) {
	var value R
	err := json.Unmarshal([]byte(text), &value)
	return value, err
}
