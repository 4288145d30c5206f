package stent_test

import (
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	stent "github.com/stent-dev/stent/bindings/go"
)

// Tried at once, so that a test sees in no time what would be tried again.
var hasty = stent.FunctionOptions{RetryPolicy: &stent.RetryPolicy{
	MaxAttempts: 3, InitialDelay: stent.Ptr(time.Millisecond), Jitter: stent.Ptr(0.0),
}}

// What makes no sense now makes none at the next attempt.
func TestAMistakeOfAHandlerIsFinal(t *testing.T) {
	here := newFilePlace(t)
	var tries atomic.Int32
	mistake := func(name string, handler stent.Handler) {
		here.handle(name, func(task *stent.Task) (any, error) {
			tries.Add(1)
			return handler(task)
		}, hasty)
	}
	greet := func(task *stent.Task, args stent.Args, options ...stent.CallOptions) (any, error) {
		return stent.Call[string](task, "go.greet", args, options...)
	}
	mistake("returns NaN", func(*stent.Task) (any, error) { return math.NaN(), nil })
	mistake("returns func", func(*stent.Task) (any, error) { return map[string]any{"f": func() {}}, nil })
	mistake("sends a channel", func(task *stent.Task) (any, error) { return greet(task, stent.Args{make(chan int)}) })
	mistake("step of a channel", func(task *stent.Task) (any, error) {
		return stent.Step(task, "step", func() (any, error) { return make(chan int), nil })
	})
	mistake("progress of a channel", func(task *stent.Task) (any, error) { return nil, task.Progress(make(chan int)) })
	mistake("kwargs of a channel", func(task *stent.Task) (any, error) {
		return greet(task, nil, stent.CallOptions{Kwargs: map[string]any{"c": make(chan int)}})
	})
	mistake("reads another type", func(task *stent.Task) (any, error) {
		return stent.Call[int](task, "go.greet", stent.Args{"ada"})
	})
	mistake("negative delay", func(task *stent.Task) (any, error) {
		return greet(task, stent.Args{"ada"}, stent.CallOptions{Delay: -time.Second})
	})
	mistake("two options", func(task *stent.Task) (any, error) {
		return greet(task, stent.Args{"ada"}, stent.CallOptions{}, stent.CallOptions{})
	})
	mistake("bad key", func(task *stent.Task) (any, error) {
		return greet(task, stent.Args{"ada"}, stent.CallOptions{Key: "a#b"})
	})
	mistake("bad id", func(task *stent.Task) (any, error) { return here.executor.State(here.ctx, "order-1") })
	here.worker(stent.WorkerOptions{})
	for name, kind := range map[string]string{
		"returns NaN": "json.UnsupportedValueError", "returns func": "json.UnsupportedTypeError",
		"sends a channel": "json.UnsupportedTypeError", "step of a channel": "json.UnsupportedTypeError",
		"progress of a channel": "json.UnsupportedTypeError", "kwargs of a channel": "json.UnsupportedTypeError",
		"reads another type": "json.UnmarshalTypeError", "negative delay": "INVALID", "two options": "INVALID",
		"bad key": "INVALID", "bad id": "INVALID",
	} {
		before := tries.Load()
		failure := here.failure(name)
		if failure.Type != kind || !failure.Final {
			t.Errorf("%s: %s, final: %v: %s", name, failure.Type, failure.Final, failure.Message)
		}
		// Twice: once until what it asked for was there.
		if tried := tries.Load() - before; tried != 1 && (tried != 2 || name != "reads another type") {
			t.Errorf("%s was tried %d times", name, tried)
		}
	}
}

func TestWhatCannotBeCarriedIsToldWhereItIsWritten(t *testing.T) {
	here := newFilePlace(t)
	id := here.dispatch("go.inbox", 1)
	_, dispatched := here.executor.Dispatch(here.ctx, "go.add", stent.Args{1, math.Inf(1)})
	_, many := here.executor.DispatchMany(here.ctx, []stent.DispatchRequest{{Function: "go.add", Args: stent.Args{1, math.NaN()}}})
	_, kwargs := here.executor.Dispatch(here.ctx, "go.add", nil, stent.DispatchOptions{Kwargs: map[string]any{"b": make(chan int)}})
	signalled := here.executor.Signal(here.ctx, id, "message", func() {})
	for text, err := range map[string]error{
		"argument 2 of go.add, of type float64, can't be carried":             dispatched,
		"argument 2 of go.add, of type float64, can't be carried: json: ":     many,
		"DispatchOptions.Kwargs: b, of type chan int, can't be carried":       kwargs,
		"the payload of the signal message, of type func(), can't be carried": signalled,
	} {
		if !errors.Is(err, stent.ErrInvalid) || !strings.Contains(err.Error(), text) {
			t.Errorf("wanted %q: %v", text, err)
		}
	}
}

// Bytes alone under the key of bytes would come out as text.
func TestBytesUnderTheKeyOfBytesAreRefused(t *testing.T) {
	here := newFilePlace(t)
	here.handle("echo", stent.Func1(func(_ *stent.Task, given any) (any, error) { return given, nil }))
	here.worker(stent.WorkerOptions{})
	var none *string
	for _, bad := range []any{
		map[string]any{"$base64": stent.Bytes("x")},
		map[string]any{"$base64": []byte("x")},
		map[string]any{"$base64": map[string]any{"$base64": stent.Bytes("x")}},
		[]any{map[string]any{"in": map[string]any{"$base64": []byte("x")}}},
		[]map[string]any{{"$base64": stent.Bytes("x")}},
		map[string]any{"in": map[string]stent.Bytes{"$base64": nil}},
		map[string][]byte{"$base64": []byte("x")},
	} {
		_, err := here.executor.Dispatch(here.ctx, "echo", stent.Args{bad})
		if !errors.Is(err, stent.ErrInvalid) || !strings.Contains(err.Error(), `"$base64"`) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	for _, good := range []any{
		map[string]any{"$base64": "b25l", "more": 1.0},
		map[string]any{"$base64": 5.0},
		map[string]any{"$base64": []any{stent.Bytes("x")}},
		map[string]any{"$base64": none},
		stent.Bytes("x"),
		map[string]any{"in": []any{stent.Bytes("x")}},
		// As an object of another language's that only looks so is read, and written back.
		map[string]any{"$base64": map[string]any{"$base64": "b25l"}},
		map[string]any{"$base64": map[string]any{"$base64": map[string]any{"$base64": "b25l"}}},
	} {
		back := must[any](t)(stent.Result[any](here.ctx, here.executor, here.dispatch("echo", good)))
		if held, is := good.(map[string]any); is && held["$base64"] == any(none) {
			good = map[string]any{"$base64": nil}
		}
		same(t, back, good)
	}
}
