// Package functions has the functions of bindings/scenarios.md, in Go.
package functions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	stent "github.com/stent-dev/stent/bindings/go"
)

// AppendLine adds a line with one write, so that lines of several processes don't mix.
func AppendLine(file, line string) error {
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = out.WriteString(line + "\n")
	return err
}

// Lines are those of a file; none when it is not there.
func Lines(file string) []string {
	text, _ := os.ReadFile(file)
	lines := []string{}
	for _, line := range bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n")) {
		if len(text) > 0 {
			lines = append(lines, string(line))
		}
	}
	return lines
}

const look = 10 * time.Millisecond

func greet(_ *stent.Task, name string) (string, error) { return "hello, " + name, nil }

func add(_ *stent.Task, a, b int) (int, error) { return a + b, nil }

func square(_ *stent.Task, n int) (int, error) { return n * n, nil }

func flaky(task *stent.Task, times int) (int, error) {
	attempt := task.Info().Attempt
	if attempt <= times {
		return 0, &stent.Failure{Type: "Flaky", Message: fmt.Sprintf("attempt %d", attempt)}
	}
	return attempt, nil
}

func patient(task *stent.Task) ([]int, error) {
	info := task.Info()
	if info.Snoozes == 0 {
		return nil, task.Snooze(20 * time.Millisecond)
	}
	if info.Attempt == 1 {
		return nil, &stent.Failure{Type: "Busy", Message: "come back later", RetryAfter: "1"}
	}
	return []int{info.Snoozes, info.Attempt}, nil
}

func putOff(task *stent.Task) ([]any, error) {
	snoozes := task.Info().Snoozes
	if snoozes == 0 {
		return nil, task.Snooze(20 * time.Millisecond)
	}
	result, err := stent.Call[[]int](task, "go.patient", nil)
	return []any{snoozes, result}, err
}

func charge(_ *stent.Task, card string) (any, error) {
	details, err := json.Marshal(map[string]string{"card": card})
	if err != nil {
		return nil, err
	}
	return nil, &stent.Failure{
		Type: "CardDeclined", Message: "the card " + card + " was declined", Code: "card_declined", Details: details, Final: true,
	}
}

func appendTo(_ *stent.Task, file, line string) (int, error) {
	if err := AppendLine(file, line); err != nil {
		return 0, err
	}
	return len(Lines(file)), nil
}

func mark(task *stent.Task, file string, n int) (int, error) {
	if err := AppendLine(file, fmt.Sprint(n)); err != nil {
		return 0, err
	}
	for n == 3 {
		if _, err := os.Stat(file + ".go"); err == nil {
			break
		}
		select {
		case <-task.Context().Done():
			return 0, task.Context().Err()
		case <-time.After(look):
		}
	}
	return n, nil
}

func untilCancelled(task *stent.Task, file string) (any, error) {
	if err := AppendLine(file, "started"); err != nil {
		return nil, err
	}
	<-task.Context().Done()
	if err := AppendLine(file, "cancelled"); err != nil {
		return nil, err
	}
	return nil, task.Heartbeat(nil)
}

func hello(task *stent.Task, name string) (string, error) {
	return stent.Call[string](task, "go.greet", stent.Args{name})
}

func sequence(task *stent.Task, n int) (int, error) {
	for i := 1; i <= 5; i++ {
		var err error
		if n, err = stent.Call[int](task, "go.add", stent.Args{n, i}); err != nil {
			return 0, err
		}
	}
	return n, nil
}

func fanOut(task *stent.Task, n int) (int, error) {
	squares := make([]stent.Op[int], n)
	for i := range squares {
		var err error
		if squares[i], err = stent.Spawn[int](task, "go.square", stent.Args{i + 1}); err != nil {
			return 0, err
		}
	}
	results, err := stent.WaitAll(task, squares)
	sum := 0
	for _, result := range results {
		sum += result
	}
	return sum, err
}

func race(task *stent.Task, function string, args stent.Args, duration string) (any, error) {
	limit, err := time.ParseDuration(duration)
	if err != nil {
		return nil, err
	}
	call, err := stent.Spawn[any](task, "go."+function, args)
	if err != nil {
		return nil, err
	}
	sleep, err := task.SpawnSleep(limit)
	if err != nil {
		return nil, err
	}
	first, err := task.WaitAny(call, sleep)
	if err != nil {
		return nil, err
	}
	if first == 1 {
		return map[string]any{"winner": "sleep"}, task.CancelOp(call)
	}
	if err := task.CancelOp(sleep); err != nil {
		return nil, err
	}
	result, err := stent.Wait(task, call)
	return map[string]any{"winner": "call", "result": result}, err
}

func sleeper(task *stent.Task, duration string) (any, error) {
	length, err := time.ParseDuration(duration)
	if err != nil {
		return nil, err
	}
	began, err := task.Now()
	if err != nil {
		return nil, err
	}
	if err := task.Sleep(length); err != nil {
		return nil, err
	}
	woke, err := task.Now()
	return map[string]time.Time{"began": began, "woke": woke}, err
}

func inbox(task *stent.Task, n int) ([]any, error) {
	payloads := []any{}
	for ; n > 0; n-- {
		payload, err := stent.WaitSignal[any](task, "message")
		if err != nil {
			return nil, err
		}
		payloads = append(payloads, payload)
	}
	return payloads, nil
}

func retried(task *stent.Task, times int) (int, error) {
	return stent.Call[int](task, "go.flaky", stent.Args{times})
}

func purchase(task *stent.Task, card string, caught bool) (any, error) {
	result, err := stent.Call[any](task, "go.charge", stent.Args{card})
	var failure *stent.Failure
	if caught && errors.As(err, &failure) {
		return map[string]any{
			"type": failure.Type, "message": failure.Message, "code": failure.Code, "details": failure.Details,
		}, nil
	}
	return result, err
}

func throws(*stent.Task) (any, error) { panic(errors.New("out of paper")) }

func holder(task *stent.Task, file string) (any, error) {
	return stent.Call[any](task, "go.until_cancelled", stent.Args{file})
}

func marks(task *stent.Task, file string, n int) ([]int, error) {
	results := []int{}
	for i := 1; i <= n; i++ {
		result, err := stent.Call[int](task, "go.mark", stent.Args{file, i})
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	return results, nil
}

func once(task *stent.Task, file string) ([]int, error) {
	results := []int{}
	for i := 0; i < 2; i++ {
		key := stent.CallOptions{IdempotencyKey: file}
		result, err := stent.Call[int](task, "go.append", stent.Args{file, "paid"}, key)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	return results, nil
}

func ledger(task *stent.Task, n int) (any, error) {
	for i := 1; i <= n; i++ {
		line := map[string]int{"i": i}
		if err := task.CounterAdd("items", 1); err != nil {
			return nil, err
		}
		if err := task.CounterAdd("total", i); err != nil {
			return nil, err
		}
		if err := task.StateSet("last", line); err != nil {
			return nil, err
		}
		if err := task.Progress(line); err != nil {
			return nil, err
		}
		if _, err := stent.Call[int](task, "go.add", stent.Args{i, 0}); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func reversed(_ *stent.Task, given []byte) ([]byte, error) {
	turned := make([]byte, len(given))
	for i, b := range given {
		turned[len(given)-1-i] = b
	}
	return turned, nil
}

// A step of a relay: [function, args].
type step struct {
	function string
	args     stent.Args
}

func (s *step) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&s.function, &s.args})
}

func relay(task *stent.Task, steps []step) ([]any, error) {
	results := []any{}
	for _, step := range steps {
		result, err := stent.Call[any](task, step.function, step.args)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	return results, nil
}

// Register registers them all.
func Register(executor *stent.Executor) error {
	var problems []error
	handle := func(name string, handler stent.Handler, options ...stent.FunctionOptions) {
		if err := executor.Handle("go."+name, handler, options...); err != nil {
			problems = append(problems, err)
		}
	}
	handle("greet", stent.Func1(greet))
	handle("add", stent.Func2(add))
	handle("square", stent.Func1(square))
	handle("flaky", stent.Func1(flaky), stent.FunctionOptions{RetryPolicy: &stent.RetryPolicy{
		MaxAttempts: 5, InitialDelay: stent.Ptr(20 * time.Millisecond), Jitter: stent.Ptr(0.0),
	}})
	handle("patient", stent.Func0(patient), stent.FunctionOptions{RetryPolicy: &stent.RetryPolicy{
		MaxAttempts: 5, Delays: []time.Duration{20 * time.Millisecond}, MaxElapsed: time.Hour, Jitter: stent.Ptr(0.0),
	}})
	handle("put_off", stent.Func0(putOff))
	handle("charge", stent.Func1(charge))
	handle("append", stent.Func2(appendTo))
	handle("mark", stent.Func2(mark))
	handle("until_cancelled", stent.Func1(untilCancelled))
	handle("hello", stent.Func1(hello))
	handle("sequence", stent.Func1(sequence))
	handle("fan_out", stent.Func1(fanOut))
	handle("race", stent.Func3(race))
	handle("sleeper", stent.Func1(sleeper))
	handle("inbox", stent.Func1(inbox))
	handle("retried", stent.Func1(retried))
	handle("purchase", stent.Func2(purchase))
	handle("throws", stent.Func0(throws), stent.FunctionOptions{RetryPolicy: &stent.RetryPolicy{MaxAttempts: 1}})
	handle("holder", stent.Func1(holder))
	handle("marks", stent.Func2(marks))
	handle("once", stent.Func1(once))
	handle("ledger", stent.Func1(ledger))
	handle("reversed", stent.Func1(reversed))
	handle("relay", stent.Func1(relay))
	if len(problems) > 0 {
		return problems[0]
	}
	return nil
}
