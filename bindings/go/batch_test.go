package stent_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	stent "github.com/stent-dev/stent/bindings/go"
)

// A full batch, which waits for an hour else.
func full(size int) stent.BatchOptions { return stent.BatchOptions{Size: size, Wait: time.Hour} }

func (p *place) batch(name string, handler stent.BatchHandler, batch stent.BatchOptions, options ...stent.FunctionOptions) {
	p.t.Helper()
	check(p.t, p.executor.HandleBatch(name, handler, batch, options...))
}

// Dispatches one for each argument, and gives what each came to: its result, or the failure.
func (p *place) outcomes(function string, args ...any) []any {
	p.t.Helper()
	requests := make([]stent.DispatchRequest, len(args))
	for i, arg := range args {
		requests[i] = stent.DispatchRequest{Function: function, Args: stent.Args{arg}}
	}
	came := make([]any, len(args))
	for i, id := range must[[]string](p.t)(p.executor.DispatchMany(p.ctx, requests)) {
		result, err := stent.Result[any](p.ctx, p.executor, id)
		var failure *stent.Failure
		if came[i] = result; errors.As(err, &failure) {
			came[i] = failure
		} else {
			check(p.t, err)
		}
	}
	return came
}

func TestEachTaskOfABatchHasAnOutcomeOfItsOwn(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		var mutex sync.Mutex
		seen := []string{}
		var calls atomic.Int32
		here.batch("mixed", stent.Batch1(func(items []stent.Item[string]) ([]stent.Outcome[string], error) {
			calls.Add(1)
			outcomes := make([]stent.Outcome[string], len(items))
			for i, item := range items {
				info := item.Info()
				mutex.Lock()
				seen = append(seen, fmt.Sprintf("%s %d %d %s", item.Arg, info.Attempt, info.Snoozes, info.Heartbeat))
				mutex.Unlock()
				check(t, item.Heartbeat(info.Attempt))
				switch first := info.Attempt == 1 && info.Snoozes == 0; {
				case item.Arg == "final":
					outcomes[i].Err = &stent.Failure{Type: "Refused", Message: "never", Final: true}
				case item.Arg == "again" && first:
					outcomes[i].Err = errors.New("once")
				case item.Arg == "later" && first:
					check(t, item.Snooze(10*time.Millisecond))
				default:
					outcomes[i].Result = item.Arg + "!"
				}
			}
			return outcomes, nil
		}), stent.BatchOptions{Size: 5, Wait: 300 * time.Millisecond},
			stent.FunctionOptions{RetryPolicy: &stent.RetryPolicy{MaxAttempts: 2, InitialDelay: stent.Ptr(time.Duration(0))}})
		here.worker(stent.WorkerOptions{})
		came := here.outcomes("mixed", "a", "final", "again", "later", "b")
		same(t, came[1].(*stent.Failure).Type, "Refused")
		same(t, []any{came[0], came[2], came[3], came[4]}, []any{"a!", "again!", "later!", "b!"})
		slices.Sort(seen)
		same(t, seen, []string{"a 1 0 null", "again 1 0 null", "again 2 0 1", "b 1 0 null", "final 1 0 null", "later 1 0 null", "later 1 1 1"})
		if calls.Load() > 3 {
			t.Fatalf("%d calls: five that came together, and two that came again", calls.Load())
		}
	})
}

func TestWhatABatchFailsWithCountsForEachOfItsTasks(t *testing.T) {
	here := newFilePlace(t)
	three := full(3)
	here.batch("error", func([]*stent.Task) ([]stent.Outcome[any], error) {
		return nil, &stent.Failure{Type: "Down", Message: "the database", Code: "57P03"}
	}, three, once)
	here.batch("panic", func([]*stent.Task) ([]stent.Outcome[any], error) { panic("out of ink") }, three, once)
	here.batch("goexit", func([]*stent.Task) ([]stent.Outcome[any], error) {
		runtime.Goexit()
		return nil, nil
	}, three, once)
	here.batch("short", func(tasks []*stent.Task) ([]stent.Outcome[any], error) {
		return make([]stent.Outcome[any], len(tasks)-1), nil
	}, three)
	here.batch("typed short", stent.Batch1(func(items []stent.Item[int]) ([]stent.Outcome[int], error) {
		return make([]stent.Outcome[int], len(items)+1), nil
	}), three)
	here.batch("typed error", stent.Batch1(func([]stent.Item[int]) ([]stent.Outcome[int], error) {
		return nil, &stent.Failure{Type: "Down", Message: "typed"}
	}), three, once)
	here.worker(stent.WorkerOptions{})
	for function, wanted := range map[string]string{
		"error": "Down: the database", "panic": "panic: out of ink",
		"goexit":      "Goexit: the handler ended its goroutine, by runtime.Goexit or a test's FailNow",
		"short":       "INVALID: the batch's handler gave 2 outcomes for 3 tasks; there must be one for each",
		"typed short": "INVALID: the batch's handler gave 4 outcomes for 3 tasks; there must be one for each",
		"typed error": "Down: typed",
	} {
		for _, came := range here.outcomes(function, 1, 2, 3) {
			if failure, failed := came.(*stent.Failure); !failed || failure.Error() != wanted {
				t.Errorf("%s: %v, wanted %s", function, came, wanted)
			}
		}
	}
}

func TestWhatOneTaskOfABatchDoesIsNoOthersTrouble(t *testing.T) {
	here := newFilePlace(t)
	here.batch("typed", stent.Batch1(func(items []stent.Item[int]) ([]stent.Outcome[any], error) {
		outcomes := make([]stent.Outcome[any], len(items))
		for i, item := range items {
			switch outcomes[i].Result = item.Arg; item.Arg {
			case 2:
				outcomes[i].Err = endingError{}
			case 3:
				outcomes[i].Result = make(chan int)
			case 4:
				outcomes[i].Result = strings.Repeat("a", 65<<20)
			case 5:
				var none *nilError
				outcomes[i].Err = none
			}
		}
		return outcomes, nil
	}), full(6), once)
	here.batch("sorted", func(tasks []*stent.Task) ([]stent.Outcome[any], error) {
		outcomes := []stent.Outcome[any]{}
		for _, task := range tasks {
			outcomes = append(outcomes, stent.Outcome[any]{Result: string(task.RawArgs())})
		}
		clear(tasks)
		return outcomes, nil
	}, full(2), once)
	here.batch("calls", stent.Batch1(func(items []stent.Item[string]) ([]stent.Outcome[string], error) {
		outcomes := make([]stent.Outcome[string], len(items))
		for i, item := range items {
			outcomes[i].Result, outcomes[i].Err = stent.Call[string](item.Task, "go.hello", stent.Args{item.Arg})
		}
		return outcomes, nil
	}), stent.BatchOptions{}, once)
	here.worker(stent.WorkerOptions{})
	same(t, here.outcomes("calls", "ada", "bo"), []any{"hello, ada", "hello, bo"})
	came := here.outcomes("typed", 1, 2, 3, 4, 5, "no number")
	same(t, came[0], 1.0)
	for i, wanted := range []string{"Goexit", "json.UnsupportedTypeError", "INVALID", "stent_test.nilError", "BadArguments"} {
		if failure, failed := came[i+1].(*stent.Failure); !failed || failure.Type != wanted {
			t.Errorf("%d: %.200v, wanted %s", i+1, came[i+1], wanted)
		}
	}
	if !strings.Contains(came[3].(*stent.Failure).Message, "at most") {
		t.Errorf("it is not told why: %s", came[3].(*stent.Failure).Message)
	}
	same(t, here.outcomes("sorted", "a", "b"), []any{`["a"]`, `["b"]`})
}

func TestATaskThatIsCancelledBeforeItsBatchDoesNotCome(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		seen := make(chan []int, 8)
		waits := stent.Define1[int, bool]("waits")
		check(t, here.executor.Register(waits.WithBatch(func(items []stent.Item[int]) ([]stent.Outcome[bool], error) {
			args := []int{}
			for _, item := range items {
				args = append(args, item.Arg)
			}
			seen <- args
			if len(items) == 2 {
				<-items[0].Context().Done()
			}
			outcomes := make([]stent.Outcome[bool], len(items))
			for i, item := range items {
				outcomes[i].Result = item.IsCancelled()
			}
			return outcomes, nil
		}, full(2), once)))
		worker := here.worker(stent.WorkerOptions{})
		running := func(count int) func() bool {
			return func() bool { return must[*stent.WorkerStatus](t)(worker.Status()).Running == count }
		}
		first := must[stent.Started[bool]](t)(waits.Dispatch(here.ctx, here.executor, 1))
		waitFor(t, "it is gathered", running(1))
		check(t, first.Cancel(here.ctx, "enough"))
		waitFor(t, "its slot is free", running(0))
		second := must[stent.Started[bool]](t)(waits.Dispatch(here.ctx, here.executor, 2))
		third := must[stent.Started[bool]](t)(waits.Dispatch(here.ctx, here.executor, 3))
		args := <-seen
		cancelled, other := second, third
		if args[0] == 3 {
			cancelled, other = third, second
		}
		check(t, cancelled.Cancel(here.ctx, "enough"))
		same(t, must[bool](t)(other.Result(here.ctx)), false)
		slices.Sort(args)
		same(t, args, []int{2, 3})
		_, err := cancelled.Result(here.ctx)
		same(t, errors.Is(err, stent.ErrCancelled), true)
	})
}

func TestABatchThatMakesNoSenseIsRefused(t *testing.T) {
	here := newFilePlace(t)
	none := func([]*stent.Task) ([]stent.Outcome[any], error) { return nil, nil }
	channels := stent.Define1[chan int, int]("channels")
	for wanted, err := range map[string]error{
		"the handler of the function f is nil": here.executor.HandleBatch("f", nil, full(1)),
		"the handler of the function g is nil": here.executor.Register(stent.Define1[int, int]("g").WithBatch(nil, full(1))),
		"the function channels: argument 1": here.executor.Register(channels.WithBatch(
			func([]stent.Item[chan int]) ([]stent.Outcome[int], error) { return nil, nil }, full(1))),
		"BatchOptions: Size is":    here.executor.HandleBatch("h", none, full(10_001)),
		"BatchOptions: Wait is":    here.executor.HandleBatch("i", none, stent.BatchOptions{Wait: 2 * time.Hour}),
		"BatchOptions.Wait is -1s": here.executor.HandleBatch("j", none, stent.BatchOptions{Wait: -time.Second}),
		"FunctionOptions: RetryPolicy.Jitter is 3": here.executor.HandleBatch("k", none, full(1), stent.FunctionOptions{
			RetryPolicy: &stent.RetryPolicy{Jitter: stent.Ptr(3.0)}}),
	} {
		if !errors.Is(err, stent.ErrInvalid) || !strings.Contains(err.Error(), wanted) {
			t.Errorf("wanted %q: %v", wanted, err)
		}
	}
}
