package stent

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"time"
)

// Watch gives an execution as it is now, and again whenever it has changed (its state, progress, counters, state values), the
// last time when it is over. An error, ctx's own too, is the last that comes.
//
//	for execution, err := range executor.Watch(ctx, id) { … }
func (e *Executor) Watch(ctx context.Context, id string) iter.Seq2[*Execution, error] {
	return func(yield func(*Execution, error) bool) {
		last, isOver := "", false
		for {
			text, err := e.stateText(ctx, id)
			var execution *Execution
			if err == nil && text != last {
				execution, err = decodeRecord[*Execution](text)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if execution != nil && !yield(execution, nil) || isOver {
				return
			}
			last = text
			// Its end is told at once, all else when it is looked at again.
			err = e.waitSlice(ctx, id)
			isOver = err == nil
			if err != nil && !errors.Is(err, ErrTimeout) {
				yield(nil, err)
				return
			}
		}
	}
}

// FollowProgress gives each line of an execution's progress, those that are there and those that come, until it is over.
// An error, ctx's own too, is the last that comes.
//
//	for line, err := range executor.FollowProgress(ctx, id) { … }
func (e *Executor) FollowProgress(ctx context.Context, id string) iter.Seq2[Progress, error] {
	return func(yield func(Progress, error) bool) {
		seen := 0
		for execution, err := range e.Watch(ctx, id) {
			if err != nil {
				yield(Progress{}, err)
				return
			}
			for ; seen < len(execution.Progress); seen++ {
				if !yield(execution.Progress[seen], nil) {
					return
				}
			}
		}
	}
}

func (e *Executor) stateText(ctx context.Context, id string) (text string, err error) {
	var said string
	err = background(ctx, func() error {
		defer runtime.KeepAlive(e)
		in := cText(id)
		defer in.free()
		given, err := callText(func(out **C.char, why **C.stent_error) C.stent_status {
			return C.stent_executor_state(e.handle, in.c, out, why)
		})
		said = given
		return err
	})
	if err != nil {
		return "", err
	}
	return said, nil
}

// Waits for the end of an execution, for the time of a slice.
func (e *Executor) waitSlice(ctx context.Context, id string) error {
	return background(ctx, func() error {
		defer runtime.KeepAlive(e)
		in := cText(id)
		defer in.free()
		_, err := callText(func(out **C.char, why **C.stent_error) C.stent_status {
			return C.stent_executor_wait(e.handle, in.c, C.int64_t(slice.Milliseconds()), out, why)
		})
		return err
	})
}

// Watch gives it as it is now, and whenever it has changed, as [Executor.Watch] does.
func (s Started[R]) Watch(ctx context.Context) iter.Seq2[*Execution, error] {
	return s.executor.Watch(ctx, s.ID)
}

// FollowProgress gives each line of its progress, as [Executor.FollowProgress] does.
func (s Started[R]) FollowProgress(ctx context.Context) iter.Seq2[Progress, error] {
	return s.executor.FollowProgress(ctx, s.ID)
}

// Serve starts a worker, lets it work until ctx is done, then drains it and waits for at most drain: what still runs then is
// given up, and the error is ErrTimeout. With a context that SIGTERM ends this is all that the main function of a program
// with a worker has to do:
//
//	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
//	defer stop()
//	err := executor.Serve(ctx, 30*time.Second)
func (e *Executor) Serve(ctx context.Context, drain time.Duration, options ...WorkerOptions) error {
	given, err := firstOf(options)
	if err != nil {
		return err
	}
	worker, err := e.StartWorker(given)
	if err != nil {
		return err
	}
	return worker.Run(ctx, drain)
}
