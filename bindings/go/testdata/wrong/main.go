// What must not compile: each line that says so at its end, and no other. Its test reads the errors of the compiler.
package main

import (
	"context"
	"time"

	stent "github.com/stent-dev/stent/bindings/go"
)

type order struct {
	Item  string `json:"item"`
	Count int    `json:"count"`
}

type receipt struct {
	Total int `json:"total"`
}

var (
	sell     = stent.Define1[order, receipt]("sell")
	add      = stent.Define2[int, int, int]("add")
	approved = stent.DefineSignal[bool]("approved")
)

func sells(task *stent.Task, asked order) (receipt, error) {
	if _, err := add.Call(task, 1, 2); err != nil {
		return receipt{}, err
	}
	_, _ = add.Call(task, 1, "two")                      // wrong: cannot use "two"
	_, _ = add.Call(task, 1)                             // wrong: not enough arguments
	_, _ = add.Call(task, 1, 2, 3)                       // wrong: cannot use 3
	_, _ = add.Call(task, 1, 2, stent.DispatchOptions{}) // wrong: cannot use stent.DispatchOptions
	_, _ = sell.Call(task, "three apples")               // wrong: cannot use "three apples"
	_, _ = sell.Map(task, []string{"apples"})            // wrong: cannot use []string
	var text string
	text, _ = add.Call(task, 1, 2) // wrong: cannot use add.Call
	op, err := add.Spawn(task, 1, 2)
	if err != nil {
		return receipt{}, err
	}
	text, _ = stent.Wait(task, op) // wrong: cannot use stent.Wait
	text, _ = approved.Wait(task)  // wrong: cannot use approved.Wait
	_ = task.Sleep("1h")           // wrong: cannot use "1h"
	return receipt{len(text)}, task.Sleep(time.Second)
}

func run(ctx context.Context, executor *stent.Executor) error {
	_ = sell.With(func(*stent.Task, string) (receipt, error) { return receipt{}, nil }) // wrong: cannot use func
	_ = sell.With(func(*stent.Task, order) receipt { return receipt{} })                // wrong: cannot use func
	_ = sell.With(func(order) (receipt, error) { return receipt{}, nil })               // wrong: cannot use func
	_ = add.With(sells)                                                                 // wrong: cannot use sells
	if err := executor.Register(sell.With(sells)); err != nil {
		return err
	}
	_, _ = sell.Dispatch(ctx, executor, "three apples") // wrong: cannot use "three apples"
	_, _ = sell.Dispatch(executor, order{})             // wrong: not enough arguments
	started, err := sell.Dispatch(ctx, executor, order{"apple", 3})
	if err != nil {
		return err
	}
	var count int
	count, _ = started.Result(ctx)                      // wrong: cannot use started.Result
	_ = approved.Send(ctx, executor, started.ID, "yes") // wrong: cannot use "yes"
	_ = count
	return approved.Send(ctx, executor, started.ID, true)
}

func main() { _ = run(context.Background(), nil) }
