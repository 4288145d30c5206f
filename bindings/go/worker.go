package stent

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"
)

// Worker runs the handlers of an executor's functions, until it is drained or stopped, whether the program still has it
// or not.
type Worker struct {
	handle *C.stent_worker
	store  uint64
}

// Those that nobody has told to end: one that is given back to the library ends by itself.
var working sync.Map

// StartWorker starts a worker for the functions that are registered by now, and returns at once.
func (e *Executor) StartWorker(options WorkerOptions) (*Worker, error) {
	text, err := encodeOptions(options)
	if err != nil {
		return nil, err
	}
	return e.startWorker(text, call)
}

// StartWorkerJSON is StartWorker with options that are JSON already, from a file of settings say.
func (e *Executor) StartWorkerJSON(options string) (*Worker, error) {
	return e.startWorker(options, callJSON)
}

func (e *Executor) startWorker(options string, call func(func(**C.stent_error) C.stent_status) error) (*Worker, error) {
	defer runtime.KeepAlive(e)
	in := cText(options)
	defer in.free()
	worker := &Worker{store: e.store}
	err := call(func(why **C.stent_error) C.stent_status {
		return C.stent_worker_start(e.handle, in.c, nil, &worker.handle, why)
	})
	if err != nil {
		return nil, err
	}
	working.Store(worker, nil)
	runtime.SetFinalizer(worker, func(w *Worker) { C.stent_worker_free(w.handle) })
	return worker, nil
}

// Status tells what the worker is doing.
func (w *Worker) Status() (*WorkerStatus, error) {
	defer runtime.KeepAlive(w)
	text, err := callText(func(out **C.char, why **C.stent_error) C.stent_status {
		return C.stent_worker_status(w.handle, out, why)
	})
	if err != nil {
		return nil, err
	}
	return decodeRecord[*WorkerStatus](text)
}

// Wait waits until the worker has come to a state ("ready", "draining" or "stopped") or past it.
func (w *Worker) Wait(ctx context.Context, state string) error {
	for {
		err := background(ctx, func() error {
			defer runtime.KeepAlive(w)
			in := cText(state)
			defer in.free()
			return call(func(why **C.stent_error) C.stent_status {
				return C.stent_worker_wait(w.handle, in.c, C.int64_t(slice.Milliseconds()), why)
			})
		})
		if !errors.Is(err, ErrTimeout) {
			return err
		}
	}
}

// Drain tells the worker to take nothing new, and returns at once: what runs comes to its end, and then the worker is
// "stopped". No attempt is charged.
func (w *Worker) Drain() error {
	defer runtime.KeepAlive(w)
	working.Delete(w)
	return call(func(why **C.stent_error) C.stent_status { return C.stent_worker_drain(w.handle, why) })
}

// Stop drains the worker and waits until it has stopped. At the end of ctx what still runs is given up: other workers
// may take it at once, and the error is ErrTimeout. Not in a handler.
func (w *Worker) Stop(ctx context.Context) error {
	defer runtime.KeepAlive(w)
	if err := checkOutside("stop"); err != nil {
		return err
	}
	if err := w.Drain(); err != nil {
		return err
	}
	if err := w.Wait(ctx, "stopped"); err != nil && ctx.Err() == nil {
		return err
	}
	// It has stopped, or ctx is over: then this gives up what still runs.
	return call(func(why **C.stent_error) C.stent_status { return C.stent_worker_stop(w.handle, 0, why) })
}

// Run lets the worker work until ctx is done, then drains it and waits for at most patience. With a context that
// SIGTERM ends this is what a worker's main function has to do:
//
//	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
//	defer stop()
//	err = worker.Run(ctx, 30*time.Second)
func (w *Worker) Run(ctx context.Context, patience time.Duration) error {
	if err := w.Wait(ctx, "stopped"); err == nil || ctx.Err() == nil {
		return err
	}
	end, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return w.Stop(end)
}
