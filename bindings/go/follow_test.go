package stent_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	stent "github.com/stent-dev/stent/bindings/go"
)

func TestProgressAndChangesAreFollowed(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		here.handle("steps", func(task *stent.Task) (any, error) {
			for i := 1; i <= 3; i++ {
				if err := task.Progress(i); err != nil {
					return nil, err
				}
				if _, err := stent.WaitSignal[any](task, "on"); err != nil {
					return nil, err
				}
			}
			return "done", task.StateSet("last", 3)
		})
		here.worker(stent.WorkerOptions{})
		id := here.dispatch("steps")
		seen := []string{}
		for line, err := range here.executor.FollowProgress(here.ctx, id) {
			check(t, err)
			if string(line.Detail) != "null" {
				seen = append(seen, string(line.Detail))
				check(t, here.executor.Signal(here.ctx, id, "on", nil))
			}
		}
		same(t, seen, []string{"1", "2", "3"})

		// What is over is told once, and one that nobody wants to follow further is left.
		states := []string{}
		for execution, err := range here.executor.Watch(here.ctx, id) {
			check(t, err)
			states = append(states, execution.State)
			sameJSON(t, execution.StateValues, `{"last": 3}`)
		}
		same(t, states, []string{"completed"})
		waiting := here.dispatch("steps")
		for execution, err := range here.executor.Watch(here.ctx, waiting) {
			check(t, err)
			if execution.State == "running" {
				break
			}
		}
		check(t, here.executor.Cancel(here.ctx, waiting, ""))
		last := ""
		for execution, err := range here.executor.Watch(here.ctx, waiting) {
			check(t, err)
			last = execution.State
		}
		same(t, last, "cancelled")
		expired := must[string](t)(here.executor.Dispatch(here.ctx, "steps", nil, stent.DispatchOptions{Expiry: 50 * time.Millisecond}))
		for execution, err := range here.executor.Watch(here.ctx, expired) {
			check(t, err)
			last = execution.State
		}
		same(t, last, "timed_out")
	})
}

// Whatever waits, waits for as long as its context lasts.
func TestAContextEndsEveryWait(t *testing.T) {
	here := newFilePlace(t)
	worker := here.worker(stent.WorkerOptions{})
	id := here.dispatch("go.inbox", 1)
	waits := map[string]func(ctx context.Context) error{
		"Result": func(ctx context.Context) error { return second(stent.Result[any](ctx, here.executor, id)) },
		"Wait":   func(ctx context.Context) error { return second(here.executor.Wait(ctx, id)) },
		"Watch": func(ctx context.Context) (last error) {
			for _, last = range here.executor.Watch(ctx, id) {
			}
			return last
		},
		"FollowProgress": func(ctx context.Context) (last error) {
			for _, last = range here.executor.FollowProgress(ctx, id) {
			}
			return last
		},
		"Worker.Wait": func(ctx context.Context) error { return worker.Wait(ctx, "stopped") },
	}
	over, cancel := context.WithCancel(here.ctx)
	cancel()
	calls := map[string]func(ctx context.Context) error{
		"Open": func(ctx context.Context) error { return second(stent.Open(ctx, ":memory:")) },
		"Dispatch": func(ctx context.Context) error {
			return second(here.executor.Dispatch(ctx, "go.greet", stent.Args{"ada"}))
		},
		"DispatchMany": func(ctx context.Context) error { return second(here.executor.DispatchMany(ctx, nil)) },
		"State":        func(ctx context.Context) error { return second(here.executor.State(ctx, id)) },
		"List":         func(ctx context.Context) error { return second(here.executor.List(ctx, stent.ExecutionFilter{})) },
		"Signal":       func(ctx context.Context) error { return here.executor.Signal(ctx, id, "message", nil) },
		"Cancel":       func(ctx context.Context) error { return here.executor.Cancel(ctx, id, "") },
		"Stats":        func(ctx context.Context) error { return second(here.executor.Stats(ctx, stent.StatsOptions{})) },
		"Cleanup":      func(ctx context.Context) error { return second(here.executor.Cleanup(ctx, stent.CleanupOptions{})) },
		"Resume":       func(ctx context.Context) error { return here.executor.Resume(ctx, id) },
		"Call":         func(ctx context.Context) error { return here.store.Call(ctx, stent.OpCountTasks, nil, nil) },
		"Check":        func(ctx context.Context) error { return second(here.store.Check(ctx)) },
		"Backup":       func(ctx context.Context) error { return here.store.Backup(ctx, here.file("copy")) },
	}
	for what, call := range calls {
		if err := call(over); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a context that is over: %v", what, err)
		}
	}
	for what, wait := range waits {
		if err := wait(over); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a context that is over: %v", what, err)
		}
		ctx, cancel := context.WithCancel(here.ctx)
		ended := make(chan error, 1)
		go func() { ended <- wait(ctx) }()
		select {
		case err := <-ended:
			t.Errorf("%s does not wait: %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
		cancel()
		select {
		case err := <-ended:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s when its context ends: %v", what, err)
			}
		case <-time.After(patience):
			t.Fatalf("%s waits on", what)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestServeDrainsWhenItsContextEnds(t *testing.T) {
	here := newFilePlace(t)
	var begun, ended atomic.Int32
	goes := make(chan struct{})
	here.handle("slow", func(*stent.Task) (any, error) {
		begun.Add(1)
		<-goes
		ended.Add(1)
		return "done", nil
	})
	ctx, cancel := context.WithCancel(here.ctx)
	served := make(chan error)
	go func() { served <- here.executor.Serve(ctx, patience, stent.WorkerOptions{WorkerID: "served"}) }()
	id := here.dispatch("slow")
	waitFor(t, "the handler runs", func() bool { return begun.Load() == 1 })
	cancel()
	select {
	case err := <-served:
		t.Fatalf("it does not wait for the handler: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	close(goes)
	check(t, <-served)
	same(t, ended.Load(), int32(1))
	same(t, here.result(id), "done")
}

func TestAStoresShutdownLeavesTheOthers(t *testing.T) {
	here, other := newFilePlace(t), newFilePlace(t)
	other.worker(stent.WorkerOptions{})
	must[*stent.Worker](t)(here.executor.StartWorker(stent.WorkerOptions{WorkerID: "to be shut down"}))
	same(t, here.result(here.dispatch("go.hello", "ada")), "hello, ada")
	check(t, here.store.Shutdown(here.ctx))
	if _, err := here.executor.Dispatch(here.ctx, "go.hello", stent.Args{"ada"}); !errors.Is(err, stent.ErrClosed) {
		t.Fatalf("after the shutdown: %v", err)
	}
	for _, worker := range stent.Working() {
		if must[*stent.WorkerStatus](t)(worker.Status()).WorkerID == "to be shut down" {
			t.Fatal("a worker that was shut down is kept")
		}
	}
	same(t, other.result(other.dispatch("go.hello", "ada")), "hello, ada")
}

// The example as a process: it answers, and SIGTERM ends it when what it does is done.
func TestTheHTTPExampleDrainsWithItsServer(t *testing.T) {
	folder := t.TempDir()
	program := filepath.Join(folder, "http")
	if said, err := exec.Command("go", "build", "-o", program, "./examples/http").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	location := ""
	for _, isSecond := range []bool{false, true} {
		command := exec.Command(program, filepath.Join(folder, "orders.db"), "127.0.0.1:0")
		said := new(strings.Builder)
		command.Stderr = said
		output := must[io.ReadCloser](t)(command.StdoutPipe())
		check(t, command.Start())
		t.Cleanup(func() { _ = command.Process.Kill() })
		line := must[string](t)(bufio.NewReader(output).ReadString('\n'))
		address := "http://" + strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
		if !isSecond {
			response := must[*http.Response](t)(http.PostForm(address+"/orders", map[string][]string{"item": {"ink"}}))
			same(t, response.StatusCode, http.StatusAccepted)
			location = response.Header.Get("Location")
		}
		response := must[*http.Response](t)(http.Get(address + location))
		sameJSON(t, jsonOf(t, response), `{"item": "ink", "price": 300}`)
		same(t, must[*http.Response](t)(http.Get(address+"/orders/ink")).StatusCode, http.StatusBadRequest)
		check(t, command.Process.Signal(syscall.SIGTERM))
		if err := command.Wait(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		if log := said.String(); !strings.Contains(log, "draining") || strings.Contains(log, "ordered") == isSecond {
			t.Fatalf("its log is %s", log)
		}
	}
}

func jsonOf(t *testing.T, response *http.Response) (value any) {
	t.Helper()
	defer response.Body.Close()
	check(t, json.NewDecoder(response.Body).Decode(&value))
	return value
}
