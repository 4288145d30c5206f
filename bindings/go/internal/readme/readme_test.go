// Package readme has the blocks of the README that are no whole program, as they stand there, and runs them.
package readme

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	stent "github.com/stent-dev/stent/bindings/go"
	"github.com/stent-dev/stent/bindings/go/stenttest"
)

func greet(_ *stent.Task, name string) (string, error) { return "hello, " + name, nil }

var (
	Greet    = stent.Define1[string, string]("greet") // Define0 to Define4, by the number of arguments
	Welcome  = stent.Define1[string, string]("welcome")
	Approved = stent.DefineSignal[bool]("approved")
)

func welcome(task *stent.Task, name string) (string, error) {
	greeting, err := Greet.Call(task, name) // Spawn and Map too
	if err != nil {
		return "", err
	}
	if _, err := Approved.Wait(task); err != nil {
		return "", err
	}
	return greeting + "!", nil
}

func register(executor *stent.Executor) error {
	return executor.Register(Greet.With(greet), Welcome.With(welcome, stent.FunctionOptions{Timeout: time.Minute}))
}

func invite(ctx context.Context, executor *stent.Executor) (string, error) {
	started, err := Welcome.Dispatch(ctx, executor, "ada")
	if err != nil {
		return "", err
	}
	if err := Approved.Send(ctx, executor, started.ID, true); err != nil {
		return "", err
	}
	return started.Result(ctx)
}

var Store = stent.Define1[string, int]("store")

func store(rows []stent.Item[string]) ([]stent.Outcome[int], error) {
	outcomes := make([]stent.Outcome[int], len(rows))
	for i, row := range rows { // in one statement, say
		if row.Arg == "" {
			outcomes[i].Err = &stent.Failure{Type: "Refused", Message: "the row is empty", Final: true}
			continue
		}
		outcomes[i].Result = len(row.Arg)
	}
	return outcomes, nil
}

func registerStore(executor *stent.Executor) error {
	return executor.Register(Store.WithBatch(store, stent.BatchOptions{Size: 500, Wait: 50 * time.Millisecond}))
}

func TestABatchHasAnOutcomeForEachRow(t *testing.T) {
	ctx := context.Background()
	executor := stenttest.Worker(t)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(registerStore(executor))
	worker, err := executor.StartWorker(stent.WorkerOptions{MaxConcurrency: 500})
	check(err)
	defer func() { check(worker.Stop(ctx)) }()
	good, err := Store.Dispatch(ctx, executor, "ada")
	check(err)
	bad, err := Store.Dispatch(ctx, executor, "")
	check(err)
	if length, err := good.Result(ctx); err != nil || length != 3 {
		t.Fatal(length, err)
	}
	if _, err := bad.Result(ctx); !errors.Is(err, stent.ErrFailed) {
		t.Fatal(err)
	}
}

func follow(ctx context.Context, executor *stent.Executor, id string) error {
	for line, err := range executor.FollowProgress(ctx, id) {
		if err != nil {
			return err
		}
		fmt.Println(string(line.Detail))
	}
	return nil
}

func serve(executor *stent.Executor) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	return executor.Serve(ctx, 30*time.Second)
}

func TestGreet(t *testing.T) {
	executor := stenttest.Worker(t, Greet.With(greet))
	ctx := context.Background()
	started, err := Greet.Dispatch(ctx, executor, "ada")
	if err != nil {
		t.Fatal(err)
	}
	if said, err := started.Result(ctx); err != nil || said != "hello, ada" {
		t.Fatal(said, err)
	}
}

func TestAServiceWorksUntilItIsToldToEnd(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	store, err := stent.Open(ctx, ":memory:")
	check(err)
	executor, err := stent.NewExecutor(store)
	check(err)
	check(register(executor))
	served := make(chan error, 1)
	go func() { served <- serve(executor) }()
	said, err := invite(ctx, executor)
	check(err)
	if said != "hello, ada!" {
		t.Fatal(said)
	}
	all, err := executor.List(ctx, stent.ExecutionFilter{})
	check(err)
	check(follow(ctx, executor, all[0].ID))
	// It works, so it listens for signals.
	check(syscall.Kill(os.Getpid(), syscall.SIGTERM))
	check(<-served)
	check(store.Shutdown(ctx))
}
