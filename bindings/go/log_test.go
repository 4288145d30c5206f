package stent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	stent "github.com/stent-dev/stent/bindings/go"
)

// A logger that keeps its lines as JSON.
type lines struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (l *lines) Write(line []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(line)
}

func (l *lines) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: level}))
}

// Those that have a message which begins so.
func (l *lines) told(t *testing.T, message string) []map[string]any {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return linesWith(t, l.text.String(), message)
}

func linesWith(t *testing.T, text, message string) []map[string]any {
	t.Helper()
	found := []map[string]any{}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		var told map[string]any
		if line != "" && line[0] == '{' {
			check(t, json.Unmarshal([]byte(line), &told))
			if said, _ := told["msg"].(string); strings.HasPrefix(said, message) {
				found = append(found, told)
			}
		}
	}
	return found
}

func TestScenarioLogging(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		said := &lines{}
		check(t, here.executor.SetLogger(said.logger(slog.LevelInfo)))
		var kept *slog.Logger
		here.handle("talks", stent.Func1(func(task *stent.Task, name string) (any, error) {
			log := task.Logger().WithGroup("order").With("name", name)
			log.Info("begun", "n", 7)
			log.Debug("hidden")
			if err := task.Sleep(time.Millisecond); err != nil {
				return nil, err
			}
			log.Warn("slept")
			kept = log
			return nil, task.Log(stent.LevelInfo, "by the library")
		}))
		here.worker(stent.WorkerOptions{})
		id := here.dispatch("talks", "ada")
		same(t, here.result(id), nil)
		here.failure("go.charge", "42")

		begun := said.told(t, "begun")
		same(t, len(begun), 1)
		same(t, []any{begun[0]["level"], begun[0]["function"], begun[0]["execution"], begun[0]["attempt"]},
			[]any{"INFO", "talks", id, 1.0})
		same(t, begun[0]["order"], map[string]any{"name": "ada", "n": 7.0})
		same(t, []int{len(said.told(t, "hidden")), len(said.told(t, "slept"))}, []int{0, 1})
		kept.Info("after the task")
		same(t, len(said.told(t, "after the task")), 1)

		waitFor(t, "what the library says has come", func() bool {
			return len(said.told(t, "by the library")) == 1 && len(said.told(t, "the task is dead-lettered")) == 1
		})
		line := said.told(t, "by the library")[0]
		same(t, []any{line["level"], line["target"], line["function"], line["execution"], line["attempt"]},
			[]any{"INFO", "stent.task", "talks", id, "1"})
		dead := said.told(t, "the task is dead-lettered")[0]
		same(t, []any{dead["level"], dead["target"], dead["function"]}, []any{"ERROR", "stent.worker", "go.charge"})
	})
}

// A process of its own, whose log nobody has touched.
func TestTheLogGoesToSlogFromTheStart(t *testing.T) {
	command := exec.Command(os.Args[0], "-test.run=^TestOfAProcess$")
	command.Env = append(os.Environ(), "STENT_TEST_PROCESS=log")
	said, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	dead := linesWith(t, string(said), "the task is dead-lettered: Empty: no ink")
	same(t, len(dead), 1)
	same(t, []any{dead[0]["level"], dead[0]["function"]}, []any{"ERROR", "prints"})
	when := must[time.Time](t)(time.Parse(time.RFC3339Nano, dead[0]["time"].(string)))
	if age := time.Since(when); age < 0 || age > patience {
		t.Errorf("the line is of %v", when)
	}
	same(t, len(linesWith(t, string(said), "to another")), 0)
}

// What tests run as a process of its own; by itself it is nothing.
func TestOfAProcess(t *testing.T) {
	if os.Getenv("STENT_TEST_PROCESS") != "log" {
		return
	}
	check(t, stent.Configure(stent.ConfigureOptions{RuntimeThreads: 1}))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	store := must[*stent.Store](t)(stent.Open(ctx, ":memory:"))
	if err := stent.Configure(stent.ConfigureOptions{RuntimeThreads: 2}); !errors.Is(err, stent.ErrConflict) {
		t.Fatalf("configured too late: %v", err)
	}
	// Later than the store: slog's default is asked for each line.
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	executor := must[*stent.Executor](t)(stent.NewExecutor(store))
	check(t, executor.Handle("prints", func(task *stent.Task) (any, error) {
		return nil, &stent.Failure{Type: "Empty", Message: "no ink", Final: true}
	}))
	check(t, executor.Handle("says", func(task *stent.Task) (any, error) { return nil, task.Log(stent.LevelWarn, "to another") }))
	must[*stent.Worker](t)(executor.StartWorker(stent.WorkerOptions{}))
	another := &lines{}
	check(t, stent.SetLogger(another.logger(slog.LevelInfo)))
	must[any](t)(stent.Result[any](ctx, executor, must[string](t)(executor.Dispatch(ctx, "says", nil))))
	waitFor(t, "the other logger has its line", func() bool { return len(another.told(t, "to another")) == 1 })
	check(t, stent.SetLogger(nil))
	_, err := stent.Result[any](ctx, executor, must[string](t)(executor.Dispatch(ctx, "prints", nil)))
	if !errors.Is(err, stent.ErrFailed) {
		t.Fatalf("it did not fail: %v", err)
	}
	check(t, stent.Shutdown(ctx))
}

func TestALoggerThatPanicsHarmsNobody(t *testing.T) {
	here := newFilePlace(t)
	var called sync.WaitGroup
	called.Add(1)
	var once sync.Once
	check(t, here.executor.SetLogger(slog.New(panicking{slog.Default().Handler(), func() { once.Do(called.Done) }})))
	here.handle("says", func(task *stent.Task) (any, error) { return "said", task.Log(stent.LevelWarn, "hear me") })
	here.worker(stent.WorkerOptions{})
	same(t, here.result(here.dispatch("says")), "said")
	called.Wait()
	check(t, here.executor.SetLogger(nil))
	same(t, here.result(here.dispatch("go.hello", "ada")), "hello, ada")
}

type panicking struct {
	slog.Handler
	called func()
}

func (p panicking) Handle(context.Context, slog.Record) error {
	p.called()
	panic("no paper")
}
