package speed_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stent"
	"stent/internal/functions"
)

// What bindings/scenarios.md asks for under "How well"; `make go` prints it.

// The release build holds the whole rate, another one a tenth.
func fullSpeed() bool { return !strings.Contains(os.Getenv("STENT_LIB_DIR"), "debug") }

// No test takes so long.
const patience = 3 * time.Minute

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type place struct {
	ctx      context.Context
	store    *stent.Store
	executor *stent.Executor
}

// A store with the functions on it, and a worker of 256 slots.
func newPlace(t *testing.T) *place {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	store := must[*stent.Store](t)(stent.Open(ctx, filepath.Join(t.TempDir(), "store.db")))
	executor := must[*stent.Executor](t)(stent.NewExecutor(store))
	check(t, functions.Register(executor))
	check(t, executor.Handle("nothing", func(*stent.Task) (any, error) { return nil, nil }))
	check(t, executor.Handle("many", stent.Func1(many)))
	worker := must[*stent.Worker](t)(executor.StartWorker(stent.WorkerOptions{MaxConcurrency: 256}))
	t.Cleanup(func() {
		check(t, worker.Stop(ctx))
		check(t, store.Close())
		cancel()
	})
	return &place{ctx, store, executor}
}

func many(task *stent.Task, n int) (int, error) {
	ops := make([]stent.Op[any], n)
	for i := range ops {
		var err error
		if ops[i], err = stent.Spawn[any](task, "nothing", nil); err != nil {
			return 0, err
		}
	}
	results, err := stent.WaitAll(task, ops)
	return len(results), err
}

func resident(t *testing.T) float64 {
	var all, pages int
	text := must[[]byte](t)(os.ReadFile("/proc/self/statm"))
	_, err := fmt.Sscan(string(text), &all, &pages)
	check(t, err)
	return float64(pages*os.Getpagesize()) / (1 << 20)
}

func TestSpeedAndMemoryOver100000Activities(t *testing.T) {
	here := newPlace(t)
	requests := make([]stent.DispatchRequest, 20)
	for i := range requests {
		requests[i] = stent.DispatchRequest{Function: "many", Args: stent.Args{1000}}
	}
	// Blocks of 20,000, so that the same is in flight in each.
	blocks := func(count int) (rate float64) {
		begin := time.Now()
		for i := 0; i < count; i++ {
			for _, id := range must[[]string](t)(here.executor.DispatchMany(here.ctx, requests)) {
				if n := must[int](t)(stent.Result[int](here.ctx, here.executor, id)); n != 1000 {
					t.Fatalf("%d of 1,000 have ended", n)
				}
			}
		}
		return float64(count*20000) / time.Since(begin).Seconds()
	}
	// The first ten fill the caches of the store and of the worker, which are bounded; then nothing is to be kept.
	rate := blocks(10)
	before := resident(t)
	blocks(5)
	after := resident(t)
	fmt.Printf("go: %.0f activities/s on SQLite; resident %.0f MiB after 200,000 activities, %.0f MiB after 300,000\n", rate, before, after)
	if want := map[bool]float64{true: 5000, false: 500}[fullSpeed()]; rate < want {
		t.Errorf("%.0f activities a second; %.0f are wanted", rate, want)
	}
	if after > before+20 {
		t.Errorf("memory has grown from %.0f to %.0f MiB", before, after)
	}
}

func Test10000OrchestratorsWaitAtOnce(t *testing.T) {
	here := newPlace(t)
	requests := make([]stent.DispatchRequest, 10000)
	for i := range requests {
		requests[i] = stent.DispatchRequest{Function: "go.inbox", Args: stent.Args{1}}
	}
	ids := must[[]string](t)(here.executor.DispatchMany(here.ctx, requests))
	// Each with the task of its signal, which waits too.
	for waiting := 0; waiting != 20000; {
		check(t, here.store.Call(here.ctx, stent.OpCountTasks, map[string]string{"state": "waiting"}, &waiting))
	}
	fmt.Printf("go: 10,000 orchestrators wait; resident %.0f MiB\n", resident(t))
	for _, id := range ids {
		check(t, here.executor.Signal(here.ctx, id, "message", 1))
	}
	for _, id := range ids {
		if got := must[[]int](t)(stent.Result[[]int](here.ctx, here.executor, id)); len(got) != 1 || got[0] != 1 {
			t.Fatalf("the signal came as %v", got)
		}
	}
}
