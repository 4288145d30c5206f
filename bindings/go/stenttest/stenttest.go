// Package stenttest helps to test workflows: a store in memory and a worker on it, in one line.
//
//	func TestWelcome(t *testing.T) {
//		executor := stenttest.Worker(t, Greet.With(greet), Welcome.With(welcome))
//		started, err := Welcome.Dispatch(t.Context(), executor, "ada")
//		…
//	}
package stenttest

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	stent "github.com/stent-dev/stent/bindings/go"
)

// How long handlers may still run when a test is over.
const patience = 30 * time.Second

// Worker registers functions at an executor on a store in memory, and starts a worker for them. When the test is over the
// worker is drained and the store is gone; a handler that goes on for more than half a minute fails the test. Warnings and
// errors of the library are lines of the test's log.
func Worker(t testing.TB, functions ...stent.Registration) *stent.Executor {
	t.Helper()
	return WorkerWith(t, stent.WorkerOptions{}, functions...)
}

// WorkerWith is [Worker], with options for the worker.
func WorkerWith(t testing.TB, options stent.WorkerOptions, functions ...stent.Registration) *stent.Executor {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	store, err := stent.Open(ctx, ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := store.Shutdown(ctx); err != nil {
			t.Errorf("the worker of the test: %v", err)
		}
	})
	executor, err := stent.NewExecutor(store)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(logged{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if err := executor.SetLogger(log); err != nil {
		t.Fatal(err)
	}
	if err := executor.Register(functions...); err != nil {
		t.Fatal(err)
	}
	worker, err := executor.StartWorker(options)
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Wait(ctx, "ready"); err != nil {
		t.Fatal(err)
	}
	return executor
}

// Writes to the test's log: a line for each.
type logged struct{ t testing.TB }

func (l logged) Write(line []byte) (int, error) {
	l.t.Log(strings.TrimSuffix(string(line), "\n"))
	return len(line), nil
}
