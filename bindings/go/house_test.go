package stent_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	stent "github.com/stent-dev/stent/bindings/go"
	"github.com/stent-dev/stent/bindings/go/internal/functions"
)

// A condition that has not come true by then never will.
const patience = 60 * time.Second

func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never came true: %s", what)
		}
	}
}

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

func same(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %#v, want %#v", got, want)
	}
}

// Values compared as their JSON.
func sameJSON(t *testing.T, got any, want string) {
	t.Helper()
	text := must[[]byte](t)(json.Marshal(got))
	var a, b any
	check(t, json.Unmarshal(text, &a))
	check(t, json.Unmarshal([]byte(want), &b))
	if !reflect.DeepEqual(a, b) {
		t.Fatalf("got %s, want %s", text, want)
	}
}

var schemas atomic.Int32

// A test on each kind of store, with a URL that nobody has used yet.
func onBothStores(t *testing.T, test func(t *testing.T, here *place)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, newPlace(t, filepath.Join(t.TempDir(), "store.db")))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		server := os.Getenv("STENT_TEST_POSTGRES")
		if server == "" {
			t.Fatal("STENT_TEST_POSTGRES is not set; run the tests by scripts/with-postgres")
		}
		joint := "?"
		if strings.Contains(server, "?") {
			joint = "&"
		}
		schema := fmt.Sprintf("schema=test_go_%d_%d&min_size=0&max_size=6", os.Getpid(), schemas.Add(1))
		test(t, newPlace(t, server+joint+schema))
	})
}

// A store with the functions on it; a worker when asked for.
type place struct {
	t        *testing.T
	url      string
	ctx      context.Context
	store    *stent.Store
	executor *stent.Executor
}

func newPlace(t *testing.T, url string) *place {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	store := must[*stent.Store](t)(stent.Open(ctx, url))
	t.Cleanup(func() {
		cancel()
		check(t, store.Close())
	})
	executor := must[*stent.Executor](t)(stent.NewExecutor(store))
	check(t, functions.Register(executor))
	return &place{t, url, ctx, store, executor}
}

func newFilePlace(t *testing.T) *place { return newPlace(t, filepath.Join(t.TempDir(), "store.db")) }

func (p *place) file(name string) string { return filepath.Join(p.t.TempDir(), name) }

func (p *place) worker(options stent.WorkerOptions) *stent.Worker {
	p.t.Helper()
	worker := must[*stent.Worker](p.t)(p.executor.StartWorker(options))
	p.t.Cleanup(func() { check(p.t, worker.Stop(context.Background())) })
	check(p.t, worker.Wait(p.ctx, "ready"))
	return worker
}

func (p *place) dispatch(function string, args ...any) string {
	p.t.Helper()
	return must[string](p.t)(p.executor.Dispatch(p.ctx, function, args))
}

func (p *place) result(id string) any {
	p.t.Helper()
	return must[any](p.t)(stent.Result[any](p.ctx, p.executor, id))
}

// The failure of a function.
func (p *place) failure(function string, args ...any) *stent.Failure {
	p.t.Helper()
	_, err := stent.Result[any](p.ctx, p.executor, p.dispatch(function, args...))
	var failure *stent.Failure
	if !errors.Is(err, stent.ErrFailed) || !errors.As(err, &failure) {
		p.t.Fatalf("%s did not fail: %v", function, err)
	}
	return failure
}

func (p *place) tasks(execution string) []stent.TaskRecord {
	p.t.Helper()
	var tasks []stent.TaskRecord
	request := map[string]string{"execution_id": execution}
	check(p.t, p.store.Call(p.ctx, stent.OpListTasksForExecution, request, &tasks))
	return tasks
}

// The scenario worker as a process.
type process struct {
	t       *testing.T
	command *exec.Cmd
	output  *bufio.Scanner
}

func (p *place) process() *process {
	p.t.Helper()
	command := exec.Command("./scenario-worker", p.url, `{"lease_duration": "4s"}`)
	command.Stderr = os.Stderr
	output := must2(command.StdoutPipe())
	must2(command.StdinPipe())
	check(p.t, command.Start())
	p.t.Cleanup(func() { _ = command.Process.Kill() })
	started := &process{p.t, command, bufio.NewScanner(output)}
	started.expect("ready")
	return started
}

func must2[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func (p *process) expect(line string) {
	p.t.Helper()
	if !p.output.Scan() || p.output.Text() != line {
		p.t.Fatalf("the worker says %q instead of %q", p.output.Text(), line)
	}
}

func (p *process) tell(signal syscall.Signal) {
	p.t.Helper()
	check(p.t, p.command.Process.Signal(signal))
}

// Waits for the end: the code, or -1 for a signal.
func (p *process) wait() int {
	_ = p.command.Wait()
	return p.command.ProcessState.ExitCode()
}
