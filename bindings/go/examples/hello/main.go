package main

import (
	"context"
	"fmt"
	"log"
	"time"

	stent "github.com/stent-dev/stent/bindings/go"
)

// An activity: does one thing, and its result is recorded once. Arguments and results are JSON on the way.
func greet(task *stent.Task, name string) (string, error) {
	return "hello, " + name, nil
}

// A workflow: calls and waits. After a crash it runs again from the top and reads what is recorded.
func welcome(task *stent.Task, name string) (string, error) {
	greeting, err := stent.Call[string](task, "greet", stent.Args{name})
	if err != nil {
		return "", err // a suspension and a failure are passed on alike
	}
	if err := task.Sleep(500 * time.Millisecond); err != nil {
		return "", err
	}
	return greeting + "!", nil
}

func run(ctx context.Context) error {
	store, err := stent.Open(ctx, "hello.db")
	if err != nil {
		return err
	}
	executor, err := stent.NewExecutor(store)
	if err != nil {
		return err
	}
	if err := executor.Handle("greet", stent.Func1(greet)); err != nil {
		return err
	}
	if err := executor.Handle("welcome", stent.Func1(welcome)); err != nil {
		return err
	}
	if _, err := executor.StartWorker(stent.WorkerOptions{}); err != nil {
		return err
	}
	id, err := executor.Dispatch(ctx, "welcome", stent.Args{"world"})
	if err != nil {
		return err
	}
	greeting, err := stent.Result[string](ctx, executor, id)
	if err != nil {
		return err
	}
	fmt.Println(greeting)
	return stent.Shutdown(ctx)
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}
