package stenttest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	stent "github.com/stent-dev/stent/bindings/go"
	"github.com/stent-dev/stent/bindings/go/stenttest"
)

var (
	greet   = stent.Define1[string, string]("greet")
	welcome = stent.Define1[string, string]("welcome")
)

func greets(_ *stent.Task, name string) (string, error) { return "hello, " + name, nil }

func welcomes(task *stent.Task, name string) (string, error) {
	greeting, err := greet.Call(task, name)
	return greeting + "!", err
}

func TestOneLineIsAWorker(t *testing.T) {
	executor := stenttest.Worker(t, greet.With(greets), welcome.With(welcomes))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	started, err := welcome.Dispatch(ctx, executor, "ada")
	if err != nil {
		t.Fatal(err)
	}
	if said, err := started.Result(ctx); err != nil || said != "hello, ada!" {
		t.Fatal(said, err)
	}
}

// A test that keeps what is said of it. It is one in name only: its cleanups are run by whom it serves.
type recorder struct {
	testing.TB
	mutex    sync.Mutex
	said     []string
	cleanups []func()
}

func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *recorder) Log(words ...any) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.said = append(r.said, fmt.Sprint(words...))
}

func TestTheWorkerGoesWithTheTestAndItsLogIsTheTests(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	inner := &recorder{TB: t}
	executor := stenttest.WorkerWith(inner, stent.WorkerOptions{MaxConcurrency: 1},
		stent.Registered("fails", func(*stent.Task) (any, error) {
			return nil, &stent.Failure{Type: "Empty", Message: "no ink", Final: true}
		}))
	id, err := executor.Dispatch(ctx, "fails", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stent.Result[any](ctx, executor, id); !errors.Is(err, stent.ErrFailed) {
		t.Fatal(err)
	}
	for _, cleanup := range inner.cleanups {
		cleanup()
	}
	// Every line has come by now.
	if said := strings.Join(inner.said, "\n"); strings.Count(said, "Empty: no ink") != 1 {
		t.Fatalf("the log of the test is %q", said)
	}
	if _, err := executor.State(ctx, id); !errors.Is(err, stent.ErrClosed) {
		t.Fatalf("the store is still open: %v", err)
	}
}
