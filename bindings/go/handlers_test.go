package stent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	stent "github.com/stent-dev/stent/bindings/go"
	"github.com/stent-dev/stent/bindings/go/internal/functions"
)

var once = stent.FunctionOptions{RetryPolicy: &stent.RetryPolicy{MaxAttempts: 1}}

func (p *place) handle(name string, handler stent.Handler, options ...stent.FunctionOptions) {
	p.t.Helper()
	check(p.t, p.executor.Handle(name, handler, options...))
}

func TestWhateverAHandlerDoesTheHostLives(t *testing.T) {
	here := newFilePlace(t)
	here.handle("panics", func(*stent.Task) (any, error) { panic("out of ink") }, once)
	here.handle("panics nil map", func(*stent.Task) (any, error) {
		var none map[string]int
		none["a"] = 1
		return nil, nil
	}, once)
	here.handle("returns path error", func(*stent.Task) (any, error) { return os.ReadFile("/no/such/file") }, once)
	here.handle("returns a channel", func(*stent.Task) (any, error) { return make(chan int), nil }, once)
	here.handle("library error", func(*stent.Task) (any, error) {
		return here.executor.State(here.ctx, "no uuid")
	}, once)
	here.worker(stent.WorkerOptions{})

	panicked := here.failure("panics")
	same(t, panicked.Type, "panic")
	same(t, panicked.Message, "out of ink")
	if !strings.Contains(panicked.Stack, "TestWhateverAHandlerDoesTheHostLives") {
		t.Fatalf("the stack does not tell where it was: %s", panicked.Stack)
	}
	same(t, here.failure("panics nil map").Type, "runtime.plainError")
	same(t, here.failure("returns path error").Type, "fs.PathError")
	same(t, here.failure("returns a channel").Type, "json.UnsupportedTypeError")
	same(t, here.failure("library error").Type, "INVALID")
	same(t, here.failure("go.add", "one", 2).Type, "BadArguments")
	same(t, here.failure("go.add", 1).Message, "1 arguments were given and 2 are expected: [1]")
	same(t, here.result(here.dispatch("go.hello", "ada")), "hello, ada")
}

func TestAQueueStartsNoMoreOftenThanItsRateSays(t *testing.T) {
	here := newFilePlace(t)
	mail := func(rate *stent.Rate) stent.WorkerOptions {
		return stent.WorkerOptions{QueueRates: map[string]*stent.Rate{"mail": rate}}
	}
	here.worker(mail(&stent.Rate{Limit: 1, Period: time.Hour, Burst: 2}))
	ids := []string{}
	for range 3 {
		into := stent.DispatchOptions{Queue: "mail"}
		ids = append(ids, must[string](t)(here.executor.Dispatch(here.ctx, "go.hello", stent.Args{"ada"}, into)))
	}
	same(t, here.result(ids[0]), "hello, ada")
	same(t, here.result(ids[1]), "hello, ada")
	soon, cancel := context.WithTimeout(here.ctx, 200*time.Millisecond)
	defer cancel()
	if _, err := stent.Result[any](soon, here.executor, ids[2]); err == nil {
		t.Fatal("a third one has started")
	}
	here.worker(mail(nil))
	same(t, here.result(ids[2]), "hello, ada")
	_, err := here.executor.StartWorker(mail(&stent.Rate{Period: -1}))
	if err == nil || !strings.Contains(err.Error(), `WorkerOptions.QueueRates["mail"].Period is -1ns`) {
		t.Fatalf("%v", err)
	}
}

type nilError struct{ message string }

func (e *nilError) Error() string { return e.message }

type badResult struct{}

func (badResult) MarshalJSON() ([]byte, error) { panic("no JSON today") }

type endingError struct{}

func (endingError) Error() string {
	runtime.Goexit()
	return "never said"
}

func (endingError) MarshalJSON() ([]byte, error) {
	runtime.Goexit()
	return nil, nil
}

// An error that ends the goroutine of whoever asks what it is.
type guardedError struct{ endingError }

func (guardedError) Is(error) bool {
	runtime.Goexit()
	return false
}

func TestWhatEndsItsGoroutineFailsItsTaskAlone(t *testing.T) {
	here := newFilePlace(t)
	here.handle("error", func(*stent.Task) (any, error) { return nil, endingError{} }, once)
	here.handle("asked", func(*stent.Task) (any, error) { return nil, guardedError{} }, once)
	here.handle("panics", func(*stent.Task) (any, error) { panic(endingError{}) }, once)
	here.handle("result", func(*stent.Task) (any, error) { return endingError{}, nil }, once)
	here.handle("step", func(task *stent.Task) (any, error) {
		return stent.Step(task, "step", func() (any, error) { return nil, endingError{} })
	}, once)
	here.handle("after a step", func(task *stent.Task) (any, error) {
		_, _ = stent.Step(task, "step", func() (any, error) { return make(chan int), nil })
		runtime.Goexit()
		return nil, nil
	}, once)
	here.handle("suspends", func(task *stent.Task) (any, error) {
		if _, err := stent.Call[string](task, "go.hello", stent.Args{"ada"}); err != nil {
			return nil, guardedError{}
		}
		return "done", nil
	}, once)
	here.worker(stent.WorkerOptions{})
	for _, function := range []string{"error", "asked", "panics", "result", "step"} {
		if got := here.failure(function); got.Type != "Goexit" {
			t.Errorf("%s: %s: %s", function, got.Type, got.Message)
		}
	}
	same(t, here.failure("after a step").Type, "json.UnsupportedTypeError")
	same(t, here.result(here.dispatch("suspends")), "done")
	same(t, here.result(here.dispatch("go.hello", "ada")), "hello, ada")
}

// A log that ends the goroutine which tells it something.
type endingLog struct{ slog.Handler }

func (endingLog) Handle(context.Context, slog.Record) error {
	runtime.Goexit()
	return nil
}

func TestALogThatEndsItsGoroutineEndsNothingElse(t *testing.T) {
	here := newFilePlace(t)
	check(t, here.executor.SetLogger(slog.New(endingLog{slog.Default().Handler()})))
	here.handle("fails", func(task *stent.Task) (any, error) {
		check(t, task.Log(stent.LevelError, "told"))
		return nil, errors.New("told too")
	}, once)
	here.worker(stent.WorkerOptions{})
	same(t, here.failure("fails").Message, "told too")
	same(t, here.result(here.dispatch("go.hello", "ada")), "hello, ada")
}

func TestAStoreThatEndsItsGoroutineIsInTrouble(t *testing.T) {
	var none *nilError
	for name, function := range map[string]stent.StoreFunction{
		"its goroutine, by runtime.Goexit": func(stent.Operation, json.RawMessage) (any, error) {
			runtime.Goexit()
			return nil, nil
		},
		"ended its goroutine": func(stent.Operation, json.RawMessage) (any, error) { return nil, endingError{} },
		"function panicked":   func(stent.Operation, json.RawMessage) (any, error) { return nil, none },
	} {
		store, err := stent.CustomStore(function, stent.CustomOptions{})
		check(t, err)
		err = store.Call(context.Background(), "count_executions", struct{}{}, nil)
		if !errors.Is(err, stent.ErrBackend) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		_ = store.Close()
	}
}

func TestWhatAHandlerReturnsDoesNotEndTheProcess(t *testing.T) {
	here := newFilePlace(t)
	here.handle("typed nil", func(*stent.Task) (any, error) {
		var none *nilError
		return nil, none
	}, once)
	here.handle("wrapped nil", func(*stent.Task) (any, error) {
		var none *nilError
		return nil, fmt.Errorf("around: %w", none)
	}, once)
	here.handle("typed nil in a step", func(task *stent.Task) (any, error) {
		return stent.Step(task, "step", func() (any, error) {
			var none *nilError
			return nil, none
		})
	}, once)
	here.handle("bad result", func(*stent.Task) (any, error) { return badResult{}, nil }, once)
	here.handle("goexit", func(*stent.Task) (any, error) {
		runtime.Goexit()
		return nil, nil
	}, once)
	here.handle("stops its worker", func(*stent.Task) (any, error) {
		return nil, stent.Shutdown(context.Background())
	}, once)
	here.worker(stent.WorkerOptions{})
	typed := here.failure("typed nil")
	same(t, typed.Type, "stent_test.nilError")
	if !strings.Contains(typed.Message, "nil pointer") {
		t.Fatalf("the message does not say why: %s", typed.Message)
	}
	for function, kind := range map[string]string{
		"wrapped nil": "fmt.wrapError", "typed nil in a step": "stent_test.nilError", "bad result": "panic", "goexit": "Goexit",
		"stops its worker": "WRONG_THREAD",
	} {
		if got := here.failure(function); got.Type != kind {
			t.Errorf("%s: %s: %s", function, got.Type, got.Message)
		}
	}
	same(t, here.result(here.dispatch("go.hello", "ada")), "hello, ada")
}

func TestBytesWhereverTheyGo(t *testing.T) {
	here := newFilePlace(t)
	here.handle("says", stent.Func1(func(task *stent.Task, given []byte) ([]stent.Bytes, error) {
		step, err := stent.Step(task, "step", func() ([]byte, error) { return given, nil })
		if err != nil {
			return nil, err
		}
		called, err := stent.Call[[]byte](task, "go.reversed", stent.Args{given})
		if err != nil {
			return nil, err
		}
		sent, err := stent.WaitSignal[[]byte](task, "go")
		if err != nil {
			return nil, err
		}
		return []stent.Bytes{step, called, sent}, task.StateSet("said", given)
	}))
	here.worker(stent.WorkerOptions{})
	for _, given := range []string{"", "123", "null", `{"$base64":"AA=="}`, "\x00\xff"} {
		id := here.dispatch("says", []byte(given))
		check(t, here.executor.Signal(here.ctx, id, "go", []byte(given)))
		results := must[[]stent.Bytes](t)(stent.Result[[]stent.Bytes](here.ctx, here.executor, id))
		same(t, []string{string(results[0]), string(results[2])}, []string{given, given})
		same(t, len(results[1]), len(given))
		state := must[*stent.Execution](t)(here.executor.State(here.ctx, id))
		var said stent.Bytes
		check(t, json.Unmarshal(state.StateValues["said"], &said))
		same(t, string(said), given)
	}
}

func TestASuspensionIsNotSwallowed(t *testing.T) {
	here := newFilePlace(t)
	var swallowed, recovered, warned atomic.Int32
	here.handle("swallows", func(task *stent.Task) (any, error) {
		for i := 0; i < 3; i++ {
			if greeting, err := stent.Call[string](task, "go.greet", stent.Args{"ada"}); err == nil {
				return greeting, nil
			}
			swallowed.Add(1)
		}
		return "nothing", nil
	})
	here.handle("recovers", func(task *stent.Task) (result any, err error) {
		defer func() {
			if recover() != nil {
				recovered.Add(1)
			}
		}()
		return stent.Call[string](task, "go.greet", stent.Args{"ada"})
	})
	here.handle("wraps", func(task *stent.Task) (any, error) {
		greeting, err := stent.Call[string](task, "go.greet", stent.Args{"ada"})
		if err != nil {
			return nil, fmt.Errorf("greeting: %w", err)
		}
		return greeting, nil
	})
	check(t, stent.SetLogHandler(func(line stent.LogLine) {
		if strings.Contains(line.Message, "ErrSuspended") {
			warned.Add(1)
		}
	}, stent.LogOptions{Level: "warn"}))
	t.Cleanup(func() { check(t, stent.SetLogger(nil)) })
	here.worker(stent.WorkerOptions{})
	for _, function := range []string{"swallows", "recovers", "wraps"} {
		same(t, here.result(here.dispatch(function)), "hello, ada")
	}
	same(t, swallowed.Load(), int32(3))
	same(t, recovered.Load(), int32(0))
	waitFor(t, "the log tells who swallows", func() bool { return warned.Load() == 1 })
}

func TestFailuresWorkWithIsAndAs(t *testing.T) {
	here := newFilePlace(t)
	var tries atomic.Int32
	here.handle("wraps a child's failure", func(task *stent.Task) (any, error) {
		tries.Add(1)
		_, err := stent.Call[any](task, "go.charge", stent.Args{"42"})
		var failure *stent.Failure
		if errors.Is(err, stent.ErrFailed) && !errors.As(err, &failure) {
			return nil, errors.New("there is no failure in it")
		}
		return nil, fmt.Errorf("paying: %w", err)
	})
	here.worker(stent.WorkerOptions{})
	failure := here.failure("wraps a child's failure")
	same(t, failure.Type, "CardDeclined")
	same(t, failure.Code, "card_declined")
	same(t, failure.Message, "paying: the call of 'go.charge' failed with CardDeclined: the card 42 was declined")
	same(t, tries.Load(), int32(2)) // the suspension, and the end

	_, err := here.executor.StartWorkerJSON(`{"max_concurency": 3}`)
	var refused *stent.Error
	if !errors.Is(err, stent.ErrInvalid) || !errors.As(err, &refused) {
		t.Fatalf("an unknown option: %v", err)
	}
	same(t, refused.Status.Name(), "INVALID")
	same(t, refused.Retryable, false)
	var details struct{ Key string }
	check(t, json.Unmarshal(refused.Details, &details))
	same(t, details.Key, "max_concurency")
	if _, err = here.executor.State(here.ctx, "01a210df-9a02-7182-a63d-008935dcabca"); !errors.Is(err, stent.ErrNotFound) {
		t.Fatalf("an unknown execution: %v", err)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, stent.ErrConflict) {
		t.Fatal("it is what it is not")
	}
}

// It waits as rows only: the handler has left, and runs again when there is news.
func TestCleanup(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		file := here.file("said")
		order := func(task *stent.Task) (any, error) {
			_, told := stent.WaitSignal[any](task, "never")
			if errors.Is(told, stent.ErrCancelled) {
				if _, err := stent.Call[any](task, "refund", stent.Args{}); err != nil {
					return nil, err
				}
				if err := functions.AppendLine(file, fmt.Sprint("cleanup ", task.Info().Cleanup)); err != nil {
					return nil, err
				}
			}
			return nil, told
		}
		refund := func(*stent.Task) (any, error) { return nil, functions.AppendLine(file, "refund") }
		check(t, here.executor.Handle("order", order, stent.FunctionOptions{Cleanup: 5 * time.Minute}))
		check(t, here.executor.Handle("refund", refund))
		here.worker(stent.WorkerOptions{})
		id := here.dispatch("order")
		waitFor(t, "it waits", func() bool {
			var waiting int
			check(t, here.store.Call(here.ctx, stent.OpCountTasks, map[string]any{"state": "waiting"}, &waiting))
			return waiting == 2
		})
		check(t, here.executor.Cancel(here.ctx, id, "enough"))
		same(t, must[*stent.Execution](t)(here.executor.Wait(here.ctx, id)).State, "cancelled")
		same(t, functions.Lines(file), []string{"refund", "cleanup true"})
	})
}

func TestContextsCancelAndTimeOut(t *testing.T) {
	here := newFilePlace(t)
	here.worker(stent.WorkerOptions{})
	id := here.dispatch("go.inbox", 1)
	short, cancel := context.WithTimeout(here.ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := stent.Result[any](short, here.executor, id); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("with a deadline: %v", err)
	}
	ended, cancel := context.WithCancel(here.ctx)
	go func() {
		time.Sleep(20 * time.Millisecond)
		cancel()
	}()
	begin := time.Now()
	if _, err := here.executor.Wait(ended, id); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Fatalf("it took %v to give up", took)
	}
	if _, err := here.executor.Dispatch(ended, "go.greet", stent.Args{"ada"}); !errors.Is(err, context.Canceled) {
		t.Fatalf("with a context that is over: %v", err)
	}
	expired := must[string](t)(here.executor.Dispatch(here.ctx, "go.inbox", stent.Args{1},
		stent.DispatchOptions{Expiry: 50 * time.Millisecond}))
	if _, err := stent.Result[any](here.ctx, here.executor, expired); !errors.Is(err, stent.ErrTimeout) {
		t.Fatalf("an execution that ran out of its own time: %v", err)
	}
}

func TestAHandlersContextEndsWithItsTask(t *testing.T) {
	here := newFilePlace(t)
	var after context.Context
	here.handle("keeps its context", func(task *stent.Task) (any, error) {
		after = task.Context()
		return task.Context().Err() == nil, nil
	})
	here.handle("times out", func(task *stent.Task) (any, error) {
		<-task.Context().Done()
		return nil, task.Context().Err()
	}, stent.FunctionOptions{Timeout: 50 * time.Millisecond, RetryPolicy: &stent.RetryPolicy{MaxAttempts: 1}})
	here.worker(stent.WorkerOptions{})
	same(t, here.result(here.dispatch("keeps its context")), true)
	<-after.Done()
	if message := here.failure("times out").Message; message == "" {
		t.Fatal("the failure says nothing")
	}
}

func TestAStepRunsOnce(t *testing.T) {
	here := newFilePlace(t)
	var ran, refused, tries atomic.Int32
	here.handle("steps", func(task *stent.Task) (any, error) {
		n, err := stent.Step(task, "count", func() (int32, error) { return ran.Add(1), nil })
		if err != nil {
			return nil, err
		}
		_, err = stent.Step(task, "refused", func() (any, error) {
			refused.Add(1)
			return nil, &stent.Failure{Type: "Refused", Final: true}
		})
		var failure *stent.Failure
		if !errors.As(err, &failure) {
			return nil, err
		}
		// The error of a step that is to be run again can't be ignored.
		_, _ = stent.Step(task, "shaky", func() (any, error) {
			if tries.Add(1) < 3 {
				return nil, errors.New("not yet")
			}
			return nil, nil
		})
		return []any{n, failure.Type}, task.Sleep(time.Millisecond)
	}, stent.FunctionOptions{RetryPolicy: &stent.RetryPolicy{InitialDelay: stent.Ptr(time.Millisecond)}})
	here.worker(stent.WorkerOptions{})
	sameJSON(t, here.result(here.dispatch("steps")), `[1, "Refused"]`)
	same(t, []int32{ran.Load(), refused.Load(), tries.Load()}, []int32{1, 1, 3})
}

func TestWhatIsTheSameInEveryReplay(t *testing.T) {
	here := newFilePlace(t)
	seen := make(chan string, 9)
	here.handle("same", func(task *stent.Task) (any, error) {
		random, _ := task.Random()
		uuid, _ := task.UUID()
		now, err := task.Now()
		if err != nil {
			return nil, err
		}
		seen <- fmt.Sprint(random, uuid, now)
		if err := task.Sleep(time.Millisecond); err != nil {
			return nil, err
		}
		sums, err := stent.Map[int](task, "go.add", []stent.Args{{1, 2}, {3, 4}})
		if err != nil {
			return nil, err
		}
		never, err := stent.SpawnWaitSignal[any](task, "never", stent.WaitSignalOptions{Timeout: stent.Ptr(time.Hour)})
		if err != nil {
			return nil, err
		}
		return sums, task.CancelOp(never)
	})
	here.handle("countdown", stent.Func1(func(task *stent.Task, n int) (int, error) {
		if err := task.Sleep(time.Millisecond); err != nil || n == 0 {
			return n, err
		}
		return n, task.Continue(stent.Args{n - 1})
	}))
	here.worker(stent.WorkerOptions{})
	sameJSON(t, here.result(here.dispatch("same")), "[3, 7]")
	close(seen)
	first := <-seen
	for again := range seen {
		same(t, again, first)
	}
	sameJSON(t, here.result(here.dispatch("countdown", 3)), "0")
}

func TestTheClientsSide(t *testing.T) {
	here := newFilePlace(t)
	here.worker(stent.WorkerOptions{})
	ids, err := here.executor.DispatchMany(here.ctx, []stent.DispatchRequest{
		{Function: "go.greet", Args: stent.Args{"ada"}},
		{Function: "go.greet", Args: stent.Args{"bo"}, Options: stent.DispatchOptions{Priority: 3}},
	})
	check(t, err)
	same(t, here.result(ids[1]), "hello, bo")
	listed, err := here.executor.List(here.ctx, stent.ExecutionFilter{Function: "go.greet", CreatedAfter: time.Now().Add(-time.Hour)})
	check(t, err)
	same(t, len(listed), 2)
	check(t, here.executor.Pause(here.ctx, stent.PauseOptions{Queue: "mail", Reason: "the relay is down"}))
	waits := must[string](t)(here.executor.Dispatch(here.ctx, "go.greet", stent.Args{"cy"}, stent.DispatchOptions{Queue: "mail"}))
	pauses := must[[]stent.Pause](t)(here.executor.Pauses(here.ctx))
	same(t, len(pauses), 1)
	same(t, pauses[0].Queue+": "+pauses[0].Reason, "mail: the relay is down")
	same(t, must[*stent.Execution](t)(here.executor.State(here.ctx, waits)).State, "pending")
	check(t, here.executor.Unpause(here.ctx, stent.UnpauseOptions{Queue: "mail"}))
	same(t, here.result(waits), "hello, cy")
	if err := here.executor.Unpause(here.ctx, stent.UnpauseOptions{Queue: "mail"}); !errors.Is(err, stent.ErrNotFound) {
		t.Fatalf("unpaused twice: %v", err)
	}
	here.failure("go.throws")
	letters, err := here.executor.DeadLetters(here.ctx, stent.DeadLetterFilter{})
	check(t, err)
	same(t, letters[0].Task.Failure.Message, "out of paper")
	again := must[string](t)(here.executor.ReplayDeadLetter(here.ctx, letters[0].Task.ID))
	if _, err := stent.Result[any](here.ctx, here.executor, again); !errors.Is(err, stent.ErrFailed) {
		t.Fatalf("replayed: %v", err)
	}
	letters, err = here.executor.DeadLetters(here.ctx, stent.DeadLetterFilter{})
	check(t, err)
	check(t, here.executor.DiscardDeadLetter(here.ctx, letters[0].Task.ID))
	report, err := here.executor.Cleanup(here.ctx, stent.CleanupOptions{OlderThan: stent.Ptr(time.Duration(0))})
	check(t, err)
	if report.Executions < 2 {
		t.Fatalf("the cleanup removed %+v", report)
	}
	if text := must[string](t)(here.executor.Stats(here.ctx, stent.StatsOptions{Format: "prometheus"})); !strings.Contains(text, "stent_claimed_total") {
		t.Fatal("the statistics tell nothing of claims")
	}
	if err := here.store.Close(); !errors.Is(err, stent.ErrConflict) {
		t.Fatalf("closed with a worker on it: %v", err)
	}
}

func TestAStoreOfOnesOwnIsAFunction(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	inner := must[*stent.Store](t)(stent.Open(ctx, ":memory:"))
	var asked atomic.Int32
	store := must[*stent.Store](t)(stent.CustomStore(func(operation stent.Operation, request json.RawMessage) (any, error) {
		asked.Add(1)
		if operation == stent.OpCountDeadTasks {
			panic("the shelf is locked")
		}
		var response json.RawMessage
		err := inner.Call(ctx, operation, request, &response)
		return response, err
	}, stent.CustomOptions{Timeout: 20 * time.Second}))
	executor := must[*stent.Executor](t)(stent.NewExecutor(store))
	check(t, functions.Register(executor))
	worker := must[*stent.Worker](t)(executor.StartWorker(stent.WorkerOptions{}))
	defer func() { check(t, worker.Stop(ctx)) }()
	id := must[string](t)(executor.Dispatch(ctx, "go.hello", stent.Args{"ada"}))
	same(t, must[string](t)(stent.Result[string](ctx, executor, id)), "hello, ada")
	if asked.Load() == 0 {
		t.Fatal("nobody has asked the function")
	}
	err := store.Call(ctx, stent.OpCountDeadTasks, nil, nil)
	if !errors.Is(err, stent.ErrBackend) || !strings.Contains(err.Error(), "the shelf is locked") {
		t.Fatalf("a store in trouble: %v", err)
	}
}

func TestAStoreIsChecked(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	store := must[*stent.Store](t)(stent.Open(ctx, ":memory:"))
	options := stent.CheckOptions{Only: []string{"records/an_existing_id", "fences/"}, Timeout: 30 * time.Second}
	report := must[*stent.CheckReport](t)(store.Check(ctx, options))
	same(t, report.Level, "engine")
	same(t, []int{report.Passed, report.Failed, report.NotOffered}, []int{len(report.Cases), 0, 0})
	same(t, report.Cases[0].Name, "records/an_existing_id_is_a_conflict")
	for _, each := range report.Cases {
		same(t, each.Outcome, "passed")
	}
	if _, err := store.Check(ctx, stent.CheckOptions{Only: []string{"nonsense"}}); !errors.Is(err, stent.ErrInvalid) {
		t.Fatalf("cases that nobody knows: %v", err)
	}
	check(t, store.Close())
}

func TestAStoreInUseIsCopied(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	store := must[*stent.Store](t)(stent.Open(ctx, ":memory:"))
	path := filepath.Join(t.TempDir(), "copy.db")
	check(t, store.Backup(ctx, path))
	if err := store.Backup(ctx, path); !errors.Is(err, stent.ErrConflict) {
		t.Fatalf("a copy under a name that is taken: %v", err)
	}
	copied := must[*stent.Store](t)(stent.Open(ctx, path))
	var count int
	check(t, copied.Call(ctx, stent.OpCountExecutions, nil, &count))
	same(t, count, 0)
	check(t, copied.Close())
	check(t, store.Close())
}

// C holds the number of a handler, and gives it back when the executor is gone: then Go may forget it.
func TestHandlersAreGivenBack(t *testing.T) {
	var forgotten atomic.Int32
	register := func() {
		store := must[*stent.Store](t)(stent.Open(context.Background(), ":memory:"))
		executor := must[*stent.Executor](t)(stent.NewExecutor(store))
		held := &struct{ text string }{"held"}
		runtime.SetFinalizer(held, func(*struct{ text string }) { forgotten.Add(1) })
		handler := func(*stent.Task) (any, error) { return held.text, nil }
		check(t, executor.Handle("held", handler))
		// The second is given back at once.
		if err := executor.Handle("held", handler); !errors.Is(err, stent.ErrConflict) {
			t.Fatalf("registered twice: %v", err)
		}
	}
	register()
	waitFor(t, "nothing holds the handler", func() bool {
		runtime.GC()
		return forgotten.Load() == 1
	})
}

func TestAWorkerThatTheProgramForgetsRunsOn(t *testing.T) {
	here := newFilePlace(t)
	must[*stent.Worker](t)(here.executor.StartWorker(stent.WorkerOptions{WorkerID: "forgotten"}))
	collectGarbage(t)
	same(t, here.result(here.dispatch("go.hello", "ada")), "hello, ada")
	for _, worker := range stent.Working() {
		if must[*stent.WorkerStatus](t)(worker.Status()).WorkerID == "forgotten" {
			check(t, worker.Stop(here.ctx))
		}
	}
	for _, worker := range stent.Working() {
		if must[*stent.WorkerStatus](t)(worker.Status()).WorkerID == "forgotten" {
			t.Fatal("a worker that has stopped is kept")
		}
	}
}

// Returns when what nobody has by now has met its finalizer.
func collectGarbage(t *testing.T) {
	t.Helper()
	var met atomic.Bool
	func() {
		nobodys := &struct{ text string }{"nobody's"}
		runtime.SetFinalizer(nobodys, func(*struct{ text string }) { met.Store(true) })
	}()
	waitFor(t, "the garbage is collected", func() bool {
		runtime.GC()
		return met.Load()
	})
}

func TestAWorkerRunsUntilItsContextEnds(t *testing.T) {
	here := newFilePlace(t)
	worker := must[*stent.Worker](t)(here.executor.StartWorker(stent.WorkerOptions{CleanupInterval: stent.Never}))
	ctx, cancel := context.WithCancel(here.ctx)
	ended := make(chan error)
	go func() { ended <- worker.Run(ctx, patience) }()
	same(t, here.result(here.dispatch("go.hello", "ada")), "hello, ada")
	cancel()
	check(t, <-ended)
	same(t, must[*stent.WorkerStatus](t)(worker.Status()).State, "stopped")
}

func TestAFunctionIsTakenBack(t *testing.T) {
	here := newFilePlace(t)
	says := func(what string) stent.Handler { return func(*stent.Task) (any, error) { return what, nil } }
	here.handle("says", says("old"))
	check(t, here.executor.Unregister("says"))
	if err := here.executor.Unregister("says"); !errors.Is(err, stent.ErrNotFound) {
		t.Fatalf("taken back twice: %v", err)
	}
	here.handle("says", says("new"))
	here.worker(stent.WorkerOptions{})
	same(t, here.result(here.dispatch("says")), "new")
}
