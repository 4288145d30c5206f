package speed_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	stent "github.com/stent-dev/stent/bindings/go"
	"github.com/stent-dev/stent/bindings/go/internal/functions"
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

// How many are measured over: a fifth, where not all are asked for.
func amount(all int) int {
	if os.Getenv("STENT_STRESS") != "" {
		return all
	}
	return all / 5
}

// A block of activities, as fan-outs of 1,000 each.
func (p *place) run(t *testing.T, activities int) (rate float64) {
	requests := make([]stent.DispatchRequest, activities/1000)
	for i := range requests {
		requests[i] = stent.DispatchRequest{Function: "many", Args: stent.Args{1000}}
	}
	begin := time.Now()
	for _, id := range must[[]string](t)(p.executor.DispatchMany(p.ctx, requests)) {
		if n := must[int](t)(stent.Result[int](p.ctx, p.executor, id)); n != 1000 {
			t.Fatalf("%d of 1,000 have ended", n)
		}
	}
	return float64(activities) / time.Since(begin).Seconds()
}

// `make go PART=speed` runs this alone. The best block counts: what else the machine does makes some slower, and none
// faster.
func TestSpeed(t *testing.T) {
	here := newPlace(t)
	want := map[bool]float64{true: 5000, false: 500}[fullSpeed()]
	best := 0.0
	for i := 0; i < 3 || i < 12 && best < want; i++ {
		if rate := here.run(t, 10000); rate > best {
			best = rate
		}
	}
	fmt.Printf("go: %.0f activities/s on SQLite\n", best)
	if best < want {
		t.Errorf("%.0f activities a second; %.0f are wanted", best, want)
	}
}

func TestMemoryOverActivities(t *testing.T) {
	here := newPlace(t)
	// Blocks of as many, so that the same is in flight in each.
	block := amount(10000)
	// What has ended is removed, as a worker's retention does, sooner: SQLite keeps up to 64 MiB of the file in memory.
	// The first blocks fill the caches; then nothing is to be kept.
	blocks := func(count int) float64 {
		for i := 0; i < count; i++ {
			here.run(t, block)
			must[stent.Cleaned](t)(here.executor.Cleanup(here.ctx, stent.CleanupOptions{OlderThan: stent.Ptr(time.Duration(0))}))
		}
		return resident(t)
	}
	before := blocks(4)
	after := blocks(10)
	fmt.Printf("go: resident %.0f MiB after %d activities, %.0f MiB after %d\n", before, 4*block, after, 14*block)
	if after > before+20 {
		t.Errorf("memory has grown from %.0f to %.0f MiB", before, after)
	}
}

func TestOrchestratorsThatWaitAtOnce(t *testing.T) {
	here := newPlace(t)
	count := amount(10000)
	requests := make([]stent.DispatchRequest, count)
	for i := range requests {
		requests[i] = stent.DispatchRequest{Function: "go.inbox", Args: stent.Args{1}}
	}
	ids := must[[]string](t)(here.executor.DispatchMany(here.ctx, requests))
	// Each with the task of its signal, which waits too.
	for waiting := 0; waiting != 2*count; {
		check(t, here.store.Call(here.ctx, stent.OpCountTasks, map[string]string{"state": "waiting"}, &waiting))
	}
	fmt.Printf("go: %d orchestrators wait; resident %.0f MiB\n", count, resident(t))
	for _, id := range ids {
		check(t, here.executor.Signal(here.ctx, id, "message", 1))
	}
	for _, id := range ids {
		if got := must[[]int](t)(stent.Result[[]int](here.ctx, here.executor, id)); len(got) != 1 || got[0] != 1 {
			t.Fatalf("the signal came as %v", got)
		}
	}
}
