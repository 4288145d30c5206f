package stent_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"stent"
)

// What bindings/scenarios.md asks for under "How well"; `make go` prints it.

// The release build holds the whole rate; another one, or one that looks for races, a tenth.
func fullSpeed() bool { return !strings.Contains(os.Getenv("STENT_LIB_DIR"), "debug") && !raceDetector }

func resident(t *testing.T) float64 {
	var all, pages int
	text := must[[]byte](t)(os.ReadFile("/proc/self/statm"))
	_, err := fmt.Sscan(string(text), &all, &pages)
	check(t, err)
	return float64(pages*os.Getpagesize()) / (1 << 20)
}

func TestSpeedAndMemoryOver100000Activities(t *testing.T) {
	here := newFilePlace(t)
	here.handle("nothing", func(*stent.Task) (any, error) { return nil, nil })
	here.handle("many", stent.Func1(func(task *stent.Task, n int) (int, error) {
		ops := make([]stent.Op[any], n)
		for i := range ops {
			var err error
			if ops[i], err = stent.Spawn[any](task, "nothing", nil); err != nil {
				return 0, err
			}
		}
		results, err := stent.WaitAll(task, ops)
		return len(results), err
	}))
	here.worker(stent.WorkerOptions{MaxConcurrency: 256})
	requests := make([]stent.DispatchRequest, 20)
	for i := range requests {
		requests[i] = stent.DispatchRequest{Function: "many", Args: stent.Args{1000}}
	}
	// Blocks of 20,000, so that the same is in flight in each.
	blocks := func(count int) (rate float64) {
		begin := time.Now()
		for i := 0; i < count; i++ {
			for _, id := range must[[]string](t)(here.executor.DispatchMany(here.ctx, requests)) {
				same(t, must[int](t)(stent.Result[int](here.ctx, here.executor, id)), 1000)
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
	here := newFilePlace(t)
	here.worker(stent.WorkerOptions{MaxConcurrency: 256})
	requests := make([]stent.DispatchRequest, 10000)
	for i := range requests {
		requests[i] = stent.DispatchRequest{Function: "go.inbox", Args: stent.Args{1}}
	}
	ids := must[[]string](t)(here.executor.DispatchMany(here.ctx, requests))
	// Each with the task of its signal, which waits too.
	waitFor(t, "all wait", func() bool {
		var waiting int
		check(t, here.store.Call(here.ctx, stent.OpCountTasks, map[string]string{"state": "waiting"}, &waiting))
		return waiting == 20000
	})
	fmt.Printf("go: 10,000 orchestrators wait; resident %.0f MiB\n", resident(t))
	for _, id := range ids {
		check(t, here.executor.Signal(here.ctx, id, "message", 1))
	}
	for _, id := range ids {
		sameJSON(t, here.result(id), "[1]")
	}
}
