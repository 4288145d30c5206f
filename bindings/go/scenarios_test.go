package stent_test

import (
	"errors"
	"syscall"
	"testing"
	"time"

	stent "github.com/stent-dev/stent/bindings/go"
	"github.com/stent-dev/stent/bindings/go/internal/functions"
)

// The lines of bindings/scenarios.md, each on both stores.

func TestScenarioHello(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		here.worker(stent.WorkerOptions{})
		same(t, here.result(here.dispatch("go.hello", "ada")), "hello, ada")
	})
}

func TestScenarioSequence(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		here.worker(stent.WorkerOptions{})
		id := here.dispatch("go.sequence", 100)
		sameJSON(t, here.result(id), "115")
		tasks := here.tasks(id)
		same(t, len(tasks), 6)
		for _, task := range tasks {
			same(t, task.State, "completed")
		}
	})
}

func TestScenarioFanOut(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		here.worker(stent.WorkerOptions{})
		sameJSON(t, here.result(here.dispatch("go.fan_out", 50)), "42925")
	})
}

func TestScenarioRace(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		here.worker(stent.WorkerOptions{})
		file := here.file("race")
		sameJSON(t, here.result(here.dispatch("go.race", "greet", []string{"ada"}, "1h")),
			`{"winner": "call", "result": "hello, ada"}`)
		sameJSON(t, here.result(here.dispatch("go.race", "until_cancelled", []string{file}, "3s")), `{"winner": "sleep"}`)
		waitFor(t, "the loser is cancelled", func() bool { return len(functions.Lines(file)) == 2 })
		same(t, functions.Lines(file), []string{"started", "cancelled"})
	})
}

func TestScenarioSleep(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		worker := here.worker(stent.WorkerOptions{})
		id := here.dispatch("go.sleeper", "3s")
		waitFor(t, "it sleeps, and nothing runs", func() bool {
			execution := must[*stent.Execution](t)(here.executor.State(here.ctx, id))
			return execution.State == "running" && must[*stent.WorkerStatus](t)(worker.Status()).Running == 0
		})
		slept := must[map[string]time.Time](t)(stent.Result[map[string]time.Time](here.ctx, here.executor, id))
		if length := slept["woke"].Sub(slept["began"]); length < 3*time.Second {
			t.Fatalf("it slept for %v only", length)
		}
	})
}

func TestScenarioSignals(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		here.worker(stent.WorkerOptions{})
		id := here.dispatch("go.inbox", 3)
		send := func(n int, options ...stent.SignalOptions) {
			check(t, here.executor.Signal(here.ctx, id, "message", map[string]int{"n": n}, options...))
		}
		send(1, stent.SignalOptions{ID: "a"})
		send(2, stent.SignalOptions{ID: "b"})
		send(2, stent.SignalOptions{ID: "b"})
		send(3)
		sameJSON(t, here.result(id), `[{"n": 1}, {"n": 2}, {"n": 3}]`)
	})
}

func TestScenarioRetry(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		here.worker(stent.WorkerOptions{})
		sameJSON(t, here.result(here.dispatch("go.retried", 2)), "3")
	})
}

func TestScenarioSnooze(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		here.worker(stent.WorkerOptions{})
		began := time.Now()
		sameJSON(t, here.result(here.dispatch("go.put_off")), "[1, [1, 2]]")
		if took := time.Since(began); took < time.Second {
			t.Errorf("who was asked to come back in a second did so after %v", took)
		}
	})
}

func TestScenarioFailure(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		here.worker(stent.WorkerOptions{})
		sameJSON(t, here.result(here.dispatch("go.purchase", "42", true)), `{"type": "CardDeclined",
			"message": "the card 42 was declined", "code": "card_declined", "details": {"card": "42"}}`)

		declined := here.failure("go.purchase", "42", false)
		same(t, declined.Type, "CardDeclined")
		same(t, declined.Message, "the card 42 was declined")
		same(t, declined.Code, "card_declined")
		sameJSON(t, declined.Details, `{"card": "42"}`)
		same(t, declined.Final, true)

		thrown := here.failure("go.throws")
		same(t, thrown.Type, "errors.errorString")
		same(t, thrown.Message, "out of paper")
		if thrown.Stack == "" {
			t.Fatal("the failure has no stack")
		}
		letters, err := here.executor.DeadLetters(here.ctx, stent.DeadLetterFilter{Function: "go.throws"})
		check(t, err)
		same(t, len(letters), 1)
		same(t, here.result(here.dispatch("go.hello", "ada")), "hello, ada")
	})
}

func TestSchedulesAreDeclared(t *testing.T) {
	here := newFilePlace(t)
	executor := here.executor
	here.handle("hello", stent.Func1(func(_ *stent.Task, name string) (string, error) { return "hello, " + name, nil }))
	hourly := stent.Schedule{Name: "hourly", Function: "hello", Args: stent.Args{"ada"}, Cron: "0 * * * *", TimeZone: "Europe/Berlin"}
	err := executor.DeclareSchedules("billing", []stent.Schedule{hourly}, stent.DeclareOptions{RemoveOthers: true})
	check(t, err)
	here.worker(stent.WorkerOptions{})
	tick := must[[]stent.Tick](t)(executor.TriggerSchedule(here.ctx, "hourly"))[0]
	same(t, here.result(tick.ExecutionID), "hello, ada")
}

func TestScenarioSchedule(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		hourly := func(name string) stent.Schedule {
			return stent.Schedule{Name: name, Function: "go.hello", Args: stent.Args{"ada"}, Cron: "0 * * * *", TimeZone: "Europe/Berlin"}
		}
		old := hourly("old")
		old.Owner = "scenarios"
		check(t, here.executor.PutSchedule(here.ctx, old))
		declared := []stent.Schedule{hourly("greeting")}
		check(t, here.executor.DeclareSchedules("scenarios", declared, stent.DeclareOptions{RemoveOthers: true}))
		here.worker(stent.WorkerOptions{})
		kept := func() stent.KeptSchedule {
			all := must[[]stent.KeptSchedule](t)(here.executor.Schedules(here.ctx, stent.ScheduleFilter{Next: stent.Ptr(2)}))
			same(t, len(all), 1)
			return all[0]
		}
		first := kept()
		same(t, []string{first.Name, first.Owner, first.TimeZone}, []string{"greeting", "scenarios", "Europe/Berlin"})
		same(t, len(first.Next), 2)
		same(t, first.Next[1].Sub(first.Next[0]), time.Hour)

		tick := must[[]stent.Tick](t)(here.executor.TriggerSchedule(here.ctx, "greeting"))[0]
		same(t, tick.State, "started")
		same(t, here.result(tick.ExecutionID), "hello, ada")

		check(t, here.executor.PauseSchedule(here.ctx, "greeting", stent.SchedulePauseOptions{Note: "enough"}))
		paused := kept()
		same(t, paused.PauseNote, "enough")
		same(t, len(paused.Next), 0)
		check(t, here.executor.ResumeSchedule(here.ctx, "greeting"))
		same(t, len(kept().Next), 2)

		options := stent.BackfillOptions{From: tick.At.Add(-3 * time.Hour), To: tick.At, Overlap: "allow"}
		ticks := must[[]stent.Tick](t)(here.executor.BackfillSchedule(here.ctx, "greeting", options))
		same(t, len(ticks), 3)
		for _, tick := range ticks {
			same(t, here.result(tick.ExecutionID), "hello, ada")
		}
		check(t, here.executor.DeleteSchedule(here.ctx, "greeting"))
		if err := here.executor.DeleteSchedule(here.ctx, "greeting"); !errors.Is(err, stent.ErrNotFound) {
			t.Fatalf("it is deleted already: %v", err)
		}
	})
}

func TestScenarioCancel(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		here.worker(stent.WorkerOptions{})
		file := here.file("held")
		id := here.dispatch("go.holder", file)
		waitFor(t, "it has started", func() bool { return len(functions.Lines(file)) == 1 })
		check(t, here.executor.Cancel(here.ctx, id, "enough"))
		execution := must[*stent.Execution](t)(here.executor.Wait(here.ctx, id))
		same(t, execution.State, "cancelled")
		same(t, execution.CancelReason, "enough")
		if _, err := stent.Result[any](here.ctx, here.executor, id); !errors.Is(err, stent.ErrCancelled) {
			t.Fatalf("its result: %v", err)
		}
		same(t, functions.Lines(file), []string{"started", "cancelled"})
	})
}

// Waits until the third line is written, and the worker holds the task that wrote it.
func (p *place) atTheThirdMark(file string) {
	p.t.Helper()
	waitFor(p.t, "the third line", func() bool { return len(functions.Lines(file)) == 3 })
}

func TestScenarioCrash(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		file := here.file("marks")
		first := here.process()
		id := here.dispatch("go.marks", file, 5)
		here.atTheThirdMark(file)
		first.tell(syscall.SIGKILL)
		same(t, first.wait(), -1)
		check(t, functions.AppendLine(file+".go", ""))

		second := here.process()
		sameJSON(t, here.result(id), "[1, 2, 3, 4, 5]")
		same(t, functions.Lines(file), []string{"1", "2", "3", "3", "4", "5"})
		second.tell(syscall.SIGTERM)
		same(t, second.wait(), 0)
	})
}

func TestScenarioIdempotent(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		here.worker(stent.WorkerOptions{})
		file := here.file("paid")
		key := stent.DispatchOptions{IdempotencyKey: "k"}
		id := must[string](t)(here.executor.Dispatch(here.ctx, "go.once", stent.Args{file}, key))
		same(t, must[string](t)(here.executor.Dispatch(here.ctx, "go.once", stent.Args{file}, key)), id)
		_, err := here.executor.Dispatch(here.ctx, "go.once", stent.Args{here.file("other")}, key)
		if !errors.Is(err, stent.ErrConflict) {
			t.Fatalf("the same key with other arguments: %v", err)
		}
		sameJSON(t, here.result(id), "[1, 1]")
		same(t, functions.Lines(file), []string{"paid"})
	})
}

func TestScenarioCounters(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		here.worker(stent.WorkerOptions{})
		execution := must[*stent.Execution](t)(here.executor.Wait(here.ctx, here.dispatch("go.ledger", 4)))
		sameJSON(t, execution.Result, "null")
		sameJSON(t, execution.Counters, `{"items": 4, "total": 10}`)
		sameJSON(t, execution.StateValues, `{"last": {"i": 4}}`)
		details := []any{}
		for _, line := range execution.Progress {
			if string(line.Detail) != "null" {
				details = append(details, line.Detail)
			}
		}
		sameJSON(t, details, `[{"i": 1}, {"i": 2}, {"i": 3}, {"i": 4}]`)
	})
}

func TestScenarioBytes(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		here.worker(stent.WorkerOptions{})
		reversed := func(given string) stent.Args { return stent.Args{"go.reversed", stent.Args{[]byte(given)}} }
		relay := here.dispatch("go.relay", []stent.Args{reversed("321"), reversed("\x00\xff")})
		results := must[[]stent.Bytes](t)(stent.Result[[]stent.Bytes](here.ctx, here.executor, relay))
		same(t, results, []stent.Bytes{stent.Bytes("123"), stent.Bytes("\xff\x00")})
		same(t, here.result(relay), []any{stent.Bytes("123"), stent.Bytes("\xff\x00")})
		alone := here.dispatch("go.reversed", []byte(`}1:"a"{`))
		same(t, must[[]byte](t)(stent.Result[[]byte](here.ctx, here.executor, alone)), []byte(`{"a":1}`))
	})
}

func TestScenarioDrain(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		file := here.file("marks")
		first := here.process()
		id := here.dispatch("go.marks", file, 5)
		here.atTheThirdMark(file)
		first.tell(syscall.SIGTERM)
		first.expect("draining")
		check(t, functions.AppendLine(file+".go", ""))
		first.expect("stopped")
		same(t, first.wait(), 0)
		same(t, functions.Lines(file), []string{"1", "2", "3"})

		second := here.process()
		sameJSON(t, here.result(id), "[1, 2, 3, 4, 5]")
		same(t, functions.Lines(file), []string{"1", "2", "3", "4", "5"})
		tasks := here.tasks(id)
		same(t, len(tasks), 6)
		for _, task := range tasks {
			same(t, task.Retries, 0)
		}
		second.tell(syscall.SIGTERM)
		same(t, second.wait(), 0)
	})
}
