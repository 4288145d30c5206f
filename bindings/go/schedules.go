package stent

// #include "shim.h"
import "C"

import (
	"context"
	"encoding/json"
	"runtime"
	"time"
)

// Schedule says what is started at which times; one of Cron, Every and Times is given.
type Schedule struct {
	// Its identity in the store.
	Name     string          `stent:"name"`
	Function string          `stent:"function"`
	Args     Args            `stent:"args"`
	Options  DispatchOptions `stent:"options"`
	// Five fields, six with seconds before them, or a name as "@daily"; L, W and # for days.
	Cron string `stent:"cron"`
	// From Start on, else counted from 1970.
	Every time.Duration `stent:"every"`
	Times []time.Time   `stent:"times"`
	// Whose clock Cron reads, as "Europe/Berlin"; UTC where nobody says.
	TimeZone string    `stent:"time_zone"`
	Start    time.Time `stent:"start"`
	End      time.Time `stent:"end"`
	// Each tick is late by up to this.
	Jitter time.Duration `stent:"jitter"`
	// While the last one goes on: "skip" where nobody says, "queue_one", "queue_all", "cancel_running", "allow".
	Overlap string `stent:"overlap"`
	// A tick for which no worker was there is started up to so much later; a minute where nobody says.
	CatchUp *time.Duration `stent:"catch_up"`
	Owner   string         `stent:"owner"`
	// The named argument in which the function gets the tick's time.
	TimeArgument string `stent:"time_argument"`
}

// ScheduleFilter says which schedules are listed, and how many of their ticks.
type ScheduleFilter struct {
	Name     string `stent:"name"`
	Owner    string `stent:"owner"`
	Function string `stent:"function"`
	After    string `stent:"after"`
	Limit    int    `stent:"limit"`
	Next     *int   `stent:"next"`
	Last     *int   `stent:"last"`
}

// DeclareOptions says how an owner's schedules are declared.
type DeclareOptions struct {
	// Others of the same owner are deleted.
	RemoveOthers bool `stent:"remove_others"`
}

// SchedulePauseOptions says why a schedule is paused.
type SchedulePauseOptions struct {
	Note string `stent:"note"`
}

// TriggerOptions says how a tick is made by hand.
type TriggerOptions struct {
	// In place of the schedule's own.
	Overlap string `stent:"overlap"`
}

// BackfillOptions says which ticks are made by hand.
type BackfillOptions struct {
	From    time.Time `stent:"from"`
	To      time.Time `stent:"to"`
	Overlap string    `stent:"overlap"`
}

// Tick is what a tick of a schedule became.
type Tick struct {
	At time.Time `json:"at"`
	// "scheduled", "triggered" or "backfilled".
	Kind string `json:"kind"`
	// "started", "waiting", "skipped" or "missed".
	State       string    `json:"state"`
	ExecutionID string    `json:"execution_id"`
	DecidedAt   time.Time `json:"decided_at"`
}

// KeptSchedule is a schedule as the store has it.
type KeptSchedule struct {
	Name            string          `json:"name"`
	Function        string          `json:"function"`
	Args            json.RawMessage `json:"args"`
	Options         json.RawMessage `json:"options"`
	Cron            string          `json:"cron"`
	EverySeconds    float64         `json:"every"`
	Times           []time.Time     `json:"times"`
	TimeZone        string          `json:"time_zone"`
	Start           *time.Time      `json:"start"`
	End             *time.Time      `json:"end"`
	JitterSeconds   float64         `json:"jitter"`
	Overlap         string          `json:"overlap"`
	CatchUpSeconds  float64         `json:"catch_up"`
	Owner           string          `json:"owner"`
	TimeArgument    string          `json:"time_argument"`
	CreatedAt       time.Time       `json:"created_at"`
	UpdatedAt       time.Time       `json:"updated_at"`
	PausedAt        *time.Time      `json:"paused_at"`
	PauseNote       string          `json:"pause_note"`
	NextAt          *time.Time      `json:"next_at"`
	DueAt           *time.Time      `json:"due_at"`
	LastExecutionID string          `json:"last_execution_id"`
	Running         bool            `json:"running"`
	Waiting         int             `json:"waiting"`
	Trouble         string          `json:"trouble"`
	Next            []time.Time     `json:"next"`
	Last            []Tick          `json:"last"`
}

// As the library reads it.
func (s Schedule) encode() (json.RawMessage, error) {
	args, options := s.Args, s.Options
	s.Args, s.Options = nil, DispatchOptions{}
	text, err := encodeOptions(s)
	if err != nil {
		return nil, err
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		return nil, err
	}
	wanted, err := encodeOptions(options)
	if err != nil {
		return nil, err
	}
	members["options"] = json.RawMessage(wanted)
	if members["args"], err = encodeArgs(s.Function, args); err != nil {
		return nil, err
	}
	return json.Marshal(members)
}

// PutSchedule puts a schedule into the store, in place of one of the same name.
func (e *Executor) PutSchedule(ctx context.Context, schedule Schedule) error {
	text, err := schedule.encode()
	if err != nil {
		return err
	}
	return exchange(ctx, text, nil, func(in *C.char, _ **C.char, why **C.stent_error) C.stent_status {
		defer runtime.KeepAlive(e)
		return C.stent_executor_schedule_put(e.handle, in, why)
	})
}

// DeclareSchedules has the workers that are started from now on put an owner's schedules when they start.
func (e *Executor) DeclareSchedules(owner string, schedules []Schedule, options ...DeclareOptions) error {
	given, err := encodeFirst(options)
	if err != nil {
		return err
	}
	list := make([]json.RawMessage, len(schedules))
	for i, schedule := range schedules {
		if list[i], err = schedule.encode(); err != nil {
			return err
		}
	}
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	defer runtime.KeepAlive(e)
	name, all, how := cText(owner), cText(string(text)), cText(given)
	defer name.free()
	defer all.free()
	defer how.free()
	return call(func(why **C.stent_error) C.stent_status {
		return C.stent_executor_schedules_declare(e.handle, name.c, all.c, how.c, why)
	})
}

// Schedules gives the schedules that a filter admits, by name.
func (e *Executor) Schedules(ctx context.Context, filter ScheduleFilter) ([]KeptSchedule, error) {
	var schedules []KeptSchedule
	err := e.filtered(ctx, filter, &schedules, func(in *C.char, out **C.char, why **C.stent_error) C.stent_status {
		return C.stent_executor_schedule_list(e.handle, in, out, why)
	})
	return schedules, err
}

// DeleteSchedule deletes a schedule; what it has started goes on.
func (e *Executor) DeleteSchedule(ctx context.Context, name string) error {
	return e.named(ctx, name, nil, nil, func(name, _ *C.char, _ **C.char, why **C.stent_error) C.stent_status {
		return C.stent_executor_schedule_delete(e.handle, name, why)
	})
}

// PauseSchedule has a schedule start nothing by its times until it is resumed.
func (e *Executor) PauseSchedule(ctx context.Context, name string, options ...SchedulePauseOptions) error {
	return schedule(ctx, e, name, options, nil, func(name, in *C.char, _ **C.char, why **C.stent_error) C.stent_status {
		return C.stent_executor_schedule_pause(e.handle, name, in, why)
	})
}

// ResumeSchedule resumes a schedule from now on.
func (e *Executor) ResumeSchedule(ctx context.Context, name string) error {
	return e.named(ctx, name, nil, nil, func(name, _ *C.char, _ **C.char, why **C.stent_error) C.stent_status {
		return C.stent_executor_schedule_resume(e.handle, name, why)
	})
}

// TriggerSchedule makes a tick now, and tells what became of it.
func (e *Executor) TriggerSchedule(ctx context.Context, name string, options ...TriggerOptions) ([]Tick, error) {
	var ticks []Tick
	err := schedule(ctx, e, name, options, &ticks, func(name, in *C.char, out **C.char, why **C.stent_error) C.stent_status {
		return C.stent_executor_schedule_trigger(e.handle, name, in, out, why)
	})
	return ticks, err
}

// BackfillSchedule makes the ticks of a time that is over, but for those that were started.
func (e *Executor) BackfillSchedule(ctx context.Context, name string, options BackfillOptions) ([]Tick, error) {
	var ticks []Tick
	given := []BackfillOptions{options}
	err := schedule(ctx, e, name, given, &ticks, func(name, in *C.char, out **C.char, why **C.stent_error) C.stent_status {
		return C.stent_executor_schedule_backfill(e.handle, name, in, out, why)
	})
	return ticks, err
}

// A call about a schedule, with options.
func schedule[T any](ctx context.Context, e *Executor, name string, options []T, response any, make func(name, in *C.char, out **C.char, why **C.stent_error) C.stent_status) error {
	text, err := encodeFirst(options)
	if err != nil {
		return err
	}
	return e.named(ctx, name, json.RawMessage(text), response, make)
}
