package stent

import "context"

// The typed functions, one for each number of arguments. They are written out: Go has no lists of types.

// Function0 is a function of no argument; see [Function1].
type Function0[R any] struct{ typed[R] }

// Define0 names a function of no argument.
func Define0[R any](name string) Function0[R] { return Function0[R]{typed[R]{name}} }

// With gives it a handler, for [Executor.Register].
func (f Function0[R]) With(handler func(*Task) (R, error), options ...FunctionOptions) Registration {
	return Registration{function: f.name, handler: Func0(handler), options: options, check: signature0[R]}
}

// Call calls it in a handler, as the function [Call] does.
func (f Function0[R]) Call(t *Task, options ...CallOptions) (R, error) {
	return Call[R](t, f.name, Args{}, options...)
}

// Spawn starts a call of it without waiting, as the function [Spawn] does.
func (f Function0[R]) Spawn(t *Task, options ...CallOptions) (Op[R], error) {
	return Spawn[R](t, f.name, Args{}, options...)
}

// Dispatch starts an execution of it, as [Executor.Dispatch] does.
func (f Function0[R]) Dispatch(ctx context.Context, e *Executor, options ...DispatchOptions) (Started[R], error) {
	return f.dispatch(ctx, e, Args{}, options)
}

func signature0[R any]() error {
	return checkCarried[R]("the result")
}

// Function1 is a function of one argument, by its name, whoever has it and in whatever language. Calls of it are checked
// when they are compiled.
//
//	var Greet = stent.Define1[string, string]("greet")
//
//	err := executor.Register(Greet.With(greet)) // func greet(task *stent.Task, name string) (string, error)
//	greeting, err := Greet.Call(task, "ada")
type Function1[A, R any] struct{ typed[R] }

// Define1 names a function of one argument.
func Define1[A, R any](name string) Function1[A, R] { return Function1[A, R]{typed[R]{name}} }

// With gives it a handler, for [Executor.Register].
func (f Function1[A, R]) With(handler func(*Task, A) (R, error), options ...FunctionOptions) Registration {
	return Registration{function: f.name, handler: Func1(handler), options: options, check: signature1[A, R]}
}

// Call calls it in a handler, as the function [Call] does.
func (f Function1[A, R]) Call(t *Task, a A, options ...CallOptions) (R, error) {
	return Call[R](t, f.name, Args{a}, options...)
}

// Spawn starts a call of it without waiting, as the function [Spawn] does.
func (f Function1[A, R]) Spawn(t *Task, a A, options ...CallOptions) (Op[R], error) {
	return Spawn[R](t, f.name, Args{a}, options...)
}

// Dispatch starts an execution of it, as [Executor.Dispatch] does.
func (f Function1[A, R]) Dispatch(ctx context.Context, e *Executor, a A, options ...DispatchOptions) (Started[R], error) {
	return f.dispatch(ctx, e, Args{a}, options)
}

// Map calls it once for each element, as the function [Map] does.
func (f Function1[A, R]) Map(t *Task, list []A, options ...CallOptions) ([]R, error) {
	args := make([]Args, len(list))
	for i, a := range list {
		args[i] = Args{a}
	}
	return Map[R](t, f.name, args, options...)
}

func signature1[A, R any]() error {
	return first(checkCarried[A]("argument 1"), checkCarried[R]("the result"))
}

// Function2 is a function of two arguments; see [Function1].
type Function2[A, B, R any] struct{ typed[R] }

// Define2 names a function of two arguments.
func Define2[A, B, R any](name string) Function2[A, B, R] { return Function2[A, B, R]{typed[R]{name}} }

// With gives it a handler, for [Executor.Register].
func (f Function2[A, B, R]) With(handler func(*Task, A, B) (R, error), options ...FunctionOptions) Registration {
	return Registration{function: f.name, handler: Func2(handler), options: options, check: signature2[A, B, R]}
}

// Call calls it in a handler, as the function [Call] does.
func (f Function2[A, B, R]) Call(t *Task, a A, b B, options ...CallOptions) (R, error) {
	return Call[R](t, f.name, Args{a, b}, options...)
}

// Spawn starts a call of it without waiting, as the function [Spawn] does.
func (f Function2[A, B, R]) Spawn(t *Task, a A, b B, options ...CallOptions) (Op[R], error) {
	return Spawn[R](t, f.name, Args{a, b}, options...)
}

// Dispatch starts an execution of it, as [Executor.Dispatch] does.
func (f Function2[A, B, R]) Dispatch(ctx context.Context, e *Executor, a A, b B, options ...DispatchOptions) (Started[R], error) {
	return f.dispatch(ctx, e, Args{a, b}, options)
}

func signature2[A, B, R any]() error {
	return first(checkCarried[A]("argument 1"), checkCarried[B]("argument 2"), checkCarried[R]("the result"))
}

// Function3 is a function of three arguments; see [Function1].
type Function3[A, B, C, R any] struct{ typed[R] }

// Define3 names a function of three arguments.
func Define3[A, B, C, R any](name string) Function3[A, B, C, R] {
	return Function3[A, B, C, R]{typed[R]{name}}
}

// With gives it a handler, for [Executor.Register].
func (f Function3[A, B, C, R]) With(handler func(*Task, A, B, C) (R, error), options ...FunctionOptions) Registration {
	return Registration{function: f.name, handler: Func3(handler), options: options, check: signature3[A, B, C, R]}
}

// Call calls it in a handler, as the function [Call] does.
func (f Function3[A, B, C, R]) Call(t *Task, a A, b B, c C, options ...CallOptions) (R, error) {
	return Call[R](t, f.name, Args{a, b, c}, options...)
}

// Spawn starts a call of it without waiting, as the function [Spawn] does.
func (f Function3[A, B, C, R]) Spawn(t *Task, a A, b B, c C, options ...CallOptions) (Op[R], error) {
	return Spawn[R](t, f.name, Args{a, b, c}, options...)
}

// Dispatch starts an execution of it, as [Executor.Dispatch] does.
func (f Function3[A, B, C, R]) Dispatch(ctx context.Context, e *Executor, a A, b B, c C, options ...DispatchOptions) (Started[R], error) {
	return f.dispatch(ctx, e, Args{a, b, c}, options)
}

func signature3[A, B, C, R any]() error {
	return first(checkCarried[A]("argument 1"), checkCarried[B]("argument 2"), checkCarried[C]("argument 3"), checkCarried[R]("the result"))
}

// Function4 is a function of four arguments; see [Function1].
type Function4[A, B, C, D, R any] struct{ typed[R] }

// Define4 names a function of four arguments.
func Define4[A, B, C, D, R any](name string) Function4[A, B, C, D, R] {
	return Function4[A, B, C, D, R]{typed[R]{name}}
}

// With gives it a handler, for [Executor.Register].
func (f Function4[A, B, C, D, R]) With(handler func(*Task, A, B, C, D) (R, error), options ...FunctionOptions) Registration {
	return Registration{function: f.name, handler: Func4(handler), options: options, check: signature4[A, B, C, D, R]}
}

// Call calls it in a handler, as the function [Call] does.
func (f Function4[A, B, C, D, R]) Call(t *Task, a A, b B, c C, d D, options ...CallOptions) (R, error) {
	return Call[R](t, f.name, Args{a, b, c, d}, options...)
}

// Spawn starts a call of it without waiting, as the function [Spawn] does.
func (f Function4[A, B, C, D, R]) Spawn(t *Task, a A, b B, c C, d D, options ...CallOptions) (Op[R], error) {
	return Spawn[R](t, f.name, Args{a, b, c, d}, options...)
}

// Dispatch starts an execution of it, as [Executor.Dispatch] does.
func (f Function4[A, B, C, D, R]) Dispatch(ctx context.Context, e *Executor, a A, b B, c C, d D, options ...DispatchOptions) (Started[R], error) {
	return f.dispatch(ctx, e, Args{a, b, c, d}, options)
}

func signature4[A, B, C, D, R any]() error {
	return first(checkCarried[A]("argument 1"), checkCarried[B]("argument 2"), checkCarried[C]("argument 3"), checkCarried[D]("argument 4"), checkCarried[R]("the result"))
}
