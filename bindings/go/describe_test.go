package stent_test

import (
	"encoding/json"
	"reflect"
	"sort"
	"strings"
	"testing"

	stent "github.com/stent-dev/stent/bindings/go"
)

// The binding knows all that the library knows.

var described struct {
	Statuses []struct {
		Name string
		Code stent.Status
	}
	Operations []named
	Options    []struct {
		Name   string
		Fields []named
	}
}

type named struct{ Name string }

func describe(t *testing.T) {
	check(t, json.Unmarshal(stent.Describe(), &described))
}

func names(list []named) []string {
	out := []string{}
	for _, each := range list {
		out = append(out, each.Name)
	}
	sort.Strings(out)
	return out
}

func TestEveryStatusIsKnown(t *testing.T) {
	describe(t)
	known := map[string]stent.Status{
		"OK": stent.StatusOK, "PENDING": stent.StatusPending, "SUSPEND": stent.ErrSuspended, "INVALID": stent.ErrInvalid,
		"NOT_FOUND": stent.ErrNotFound, "CONFLICT": stent.ErrConflict, "TIMEOUT": stent.ErrTimeout,
		"CANCELLED": stent.ErrCancelled, "CLOSED": stent.ErrClosed, "LEASE_LOST": stent.ErrLeaseLost,
		"NONDETERMINISM": stent.ErrNondeterminism, "FAILED": stent.ErrFailed, "BACKEND": stent.ErrBackend,
		"UNSUPPORTED": stent.ErrUnsupported, "WRONG_THREAD": stent.ErrWrongThread, "FORKED": stent.ErrForked,
		"PANIC": stent.ErrPanic,
	}
	told := map[string]stent.Status{}
	for _, status := range described.Statuses {
		told[status.Name] = status.Code
		same(t, status.Code.Name(), status.Name)
	}
	same(t, known, told)
}

func TestEveryOperationIsKnown(t *testing.T) {
	describe(t)
	known := []string{"close"}
	for _, operation := range stent.Operations {
		known = append(known, string(operation))
	}
	sort.Strings(known)
	same(t, known, names(described.Operations))
}

func TestEveryOptionIsKnown(t *testing.T) {
	describe(t)
	none := struct{}{}
	known := map[string]any{
		"rate":         stent.Rate{},
		"retry_policy": stent.RetryPolicy{}, "dispatch": stent.DispatchOptions{}, "dispatch_request": stent.DispatchRequest{},
		"call": stent.CallOptions{}, "function": stent.FunctionOptions{}, "batch": stent.BatchOptions{}, "worker": stent.WorkerOptions{},
		"sqlite": stent.SQLiteOptions{}, "custom": stent.CustomOptions{}, "check": stent.CheckOptions{}, "executor": none,
		"wait_signal": stent.WaitSignalOptions{}, "step": stent.StepOptions{},
		"signal": stent.SignalOptions{}, "execution_filter": stent.ExecutionFilter{}, "dead_letter_filter": stent.DeadLetterFilter{},
		"replay_dead_letter": none, "resume": none, "pause": stent.PauseOptions{}, "unpause": stent.UnpauseOptions{},
		"cleanup": stent.CleanupOptions{}, "stats": stent.StatsOptions{},
		"configure": stent.ConfigureOptions{}, "log_handler": stent.LogOptions{},
		"schedule": stent.Schedule{}, "schedule_filter": stent.ScheduleFilter{}, "declare_schedules": stent.DeclareOptions{},
		"pause_schedule": stent.SchedulePauseOptions{}, "trigger_schedule": stent.TriggerOptions{},
		"backfill_schedule": stent.BackfillOptions{},
	}
	same(t, len(described.Options), len(known))
	for _, options := range described.Options {
		fields := []string{}
		if value, ok := known[options.Name]; ok {
			for i, typed := 0, reflect.TypeOf(value); i < typed.NumField(); i++ {
				name, _, _ := strings.Cut(typed.Field(i).Tag.Get("stent"), ",")
				if name != "-" {
					fields = append(fields, name)
				}
			}
		} else {
			t.Errorf("the binding has no struct for the options %q", options.Name)
		}
		sort.Strings(fields)
		if told := names(options.Fields); !reflect.DeepEqual(fields, told) {
			t.Errorf("options %q: the struct has %v, the library %v", options.Name, fields, told)
		}
	}
}
