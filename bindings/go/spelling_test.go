package stent_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	stent "github.com/stent-dev/stent/bindings/go"
)

// Who has written a struct of Go reads of its fields, and of no JSON.
func TestErrorsNameOptionsAsGoDoes(t *testing.T) {
	here := newFilePlace(t)
	dispatch := func(options stent.DispatchOptions) error {
		_, err := here.executor.Dispatch(here.ctx, "go.greet", nil, options)
		return err
	}
	worker := func(options stent.WorkerOptions) error {
		_, err := here.executor.StartWorker(options)
		return err
	}
	_, many := here.executor.DispatchMany(here.ctx, []stent.DispatchRequest{{Function: "go.greet",
		Options: stent.DispatchOptions{RetryPolicy: &stent.RetryPolicy{Jitter: stent.Ptr(3.0)}}}})
	_, opened := stent.Open(here.ctx, ":memory:", stent.SQLiteOptions{Synchronous: "maybe"})
	_, listed := here.executor.List(here.ctx, stent.ExecutionFilter{Limit: -1})
	for wanted, err := range map[string]error{
		"DispatchOptions: ID is wrong: ": dispatch(stent.DispatchOptions{ID: "order-1"}),
		"DispatchOptions: Expiry and MaxDuration are both given": dispatch(stent.DispatchOptions{Expiry: time.Second,
			MaxDuration: time.Second}),
		"DispatchOptions: IdempotencyReuse is \"x\"; it must be one of after_failure, never": dispatch(stent.DispatchOptions{
			IdempotencyKey: "k", IdempotencyReuse: "x"}),
		"DispatchOptions: RetryPolicy.MaxAttempts is the number -1": dispatch(stent.DispatchOptions{
			RetryPolicy: &stent.RetryPolicy{MaxAttempts: -1}}),
		"DispatchOptions.RetryPolicy.MaxDelay is -1s; it must not be negative": dispatch(stent.DispatchOptions{
			RetryPolicy: &stent.RetryPolicy{MaxDelay: stent.Ptr(-time.Second)}}),
		"DispatchOptions: RetryPolicy.Jitter is 3; it must be between 0 and 1": many,
		"WorkerOptions: MaxConcurrency is the number -1":                       worker(stent.WorkerOptions{MaxConcurrency: -1}),
		"WorkerOptions: HeartbeatInterval is 36000s and the lease lasts": worker(stent.WorkerOptions{
			HeartbeatInterval: 10 * time.Hour}),
		"SQLiteOptions: Synchronous is \"maybe\"; it must be one of full, normal, off": opened,
		"ExecutionFilter: Limit is": listed,
	} {
		if !errors.Is(err, stent.ErrInvalid) || !strings.Contains(err.Error(), wanted) {
			t.Errorf("wanted %q: %v", wanted, err)
		}
		if err != nil && regexp.MustCompile(`column|[a-z]_[a-z]`).MatchString(strings.Replace(err.Error(), "after_failure", "", 1)) &&
			!strings.Contains(err.Error(), "dispatch_many request 0: ") {
			t.Errorf("words of JSON: %v", err)
		}
	}
	// What was written as JSON is told as JSON.
	if _, err := here.executor.StartWorkerJSON(`{"max_concurrency": -1}`); !strings.Contains(err.Error(), "max_concurrency is the number -1 (line 1") {
		t.Error(err)
	}
}

func TestWordsThatAreNoOptionsStay(t *testing.T) {
	for message, wanted := range map[string]string{
		"execution_id: \"order-1\" is no UUID; give it to dispatch as its idempotency_key": "execution_id: \"order-1\" is no " +
			"UUID; give it to dispatch as its DispatchOptions.IdempotencyKey",
		"dispatch options: id is \"a\" (line 1, column 7); an id is no idempotency_key, of whatever delay": "DispatchOptions: ID is " +
			"\"a\"; an ID is no IdempotencyKey, of whatever delay",
	} {
		same(t, stent.Respelled(message, "dispatch"), wanted)
	}
	same(t, stent.Respelled("wait signal options: timeout is wrong", "nobody's"), "wait signal options: timeout is wrong")
}
