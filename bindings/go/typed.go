package stent

import "context"

// Registration is a function's name, its handler and what is declared of it, for [Executor.Register].
type Registration struct {
	function string
	handler  Handler
	options  []FunctionOptions
	check    func() error
	// Of one that takes many tasks in one call.
	batch        *BatchOptions
	batchHandler BatchHandler
}

// Registered makes a registration of a handler that is not typed. [Function1.With] and its brothers make those of typed
// functions.
func Registered(function string, handler Handler, options ...FunctionOptions) Registration {
	return Registration{function: function, handler: handler, options: options}
}

// Register registers functions, for the workers that are started from now on. One that is refused (it has no handler, its
// name is taken, its arguments or its result can't be carried) is the error; those before it stay.
func (e *Executor) Register(registrations ...Registration) error {
	for _, each := range registrations {
		if each.check != nil && (each.handler != nil || each.batchHandler != nil) {
			if err := each.check(); err != nil {
				return invalid(err, "the function %s", each.function)
			}
		}
		if err := each.with(e); err != nil {
			return err
		}
	}
	return nil
}

func (r Registration) with(e *Executor) error {
	if r.batch != nil {
		return e.HandleBatch(r.function, r.batchHandler, *r.batch, r.options...)
	}
	return e.Handle(r.function, r.handler, r.options...)
}

// The first of some errors.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// A handler whose types are looked at before its first run, when a codec may have been set.
func carrying(check func() error, handler Handler) Handler {
	return func(task *Task) (any, error) {
		if err := check(); err != nil {
			return nil, err
		}
		return handler(task)
	}
}

// What the typed functions share.
type typed[R any] struct{ name string }

// Name is the function's.
func (f typed[R]) Name() string { return f.name }

// Started is an execution of the function that was dispatched earlier, here or elsewhere.
func (f typed[R]) Started(e *Executor, id string) Started[R] { return Started[R]{id, e} }

func (f typed[R]) dispatch(ctx context.Context, e *Executor, args Args, options []DispatchOptions) (Started[R], error) {
	id, err := e.Dispatch(ctx, f.name, args, options...)
	return f.Started(e, id), err
}

// Started is an execution whose result is an R.
type Started[R any] struct {
	ID       string
	executor *Executor
}

// Result waits for the result, as the function [Result] does.
func (s Started[R]) Result(ctx context.Context) (R, error) { return Result[R](ctx, s.executor, s.ID) }

// Wait waits until it is over, however it ends.
func (s Started[R]) Wait(ctx context.Context) (*Execution, error) { return s.executor.Wait(ctx, s.ID) }

// State is the execution as it is now.
func (s Started[R]) State(ctx context.Context) (*Execution, error) {
	return s.executor.State(ctx, s.ID)
}

// Cancel cancels it with everything that it called.
func (s Started[R]) Cancel(ctx context.Context, reason string) error {
	return s.executor.Cancel(ctx, s.ID, reason)
}

// Signal is the name of a signal whose payload is a P.
type Signal[P any] struct{ name string }

// DefineSignal names a signal with a payload of a type, for those who send it and those who wait for it.
func DefineSignal[P any](name string) Signal[P] { return Signal[P]{name} }

// Name is the signal's.
func (s Signal[P]) Name() string { return s.name }

// Send sends it to an execution, and returns when that is durable.
func (s Signal[P]) Send(ctx context.Context, e *Executor, id string, payload P, options ...SignalOptions) error {
	return e.Signal(ctx, id, s.name, payload, options...)
}

// Wait waits for it and takes it, as [WaitSignal] does.
func (s Signal[P]) Wait(t *Task, options ...WaitSignalOptions) (P, error) {
	return WaitSignal[P](t, s.name, options...)
}

// Spawn starts a wait for it without waiting.
func (s Signal[P]) Spawn(t *Task, options ...WaitSignalOptions) (Op[P], error) {
	return SpawnWaitSignal[P](t, s.name, options...)
}
