package stent

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"context"
	"encoding/json"
	"log/slog"
	"runtime"
	"runtime/cgo"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// LogLevel is the weight of a line in the library's log.
type LogLevel int32

const (
	LevelError LogLevel = C.STENT_LOG_ERROR
	LevelWarn  LogLevel = C.STENT_LOG_WARN
	LevelInfo  LogLevel = C.STENT_LOG_INFO
	LevelDebug LogLevel = C.STENT_LOG_DEBUG
)

// LogLine is one line of the library's log.
type LogLine struct {
	Time    time.Time       `json:"time"`
	Level   string          `json:"level"`
	Target  string          `json:"target"`
	Message string          `json:"message"`
	Fields  json.RawMessage `json:"fields"`
	// Lines before this one that the handler was too slow for.
	Lost int `json:"lost"`
}

// The logger of the process, or of one executor.
type logPlace struct{ given atomic.Pointer[slog.Logger] }

var processLog logPlace

// The process's where none was given, and slog's own, asked for each line, where that has none either.
func (p *logPlace) logger() *slog.Logger {
	for _, place := range []*logPlace{p, &processLog} {
		if given := place.given.Load(); given != nil {
			return given
		}
	}
	return slog.Default()
}

// SetLogger hands the library's log to a logger instead of [slog.Default], which has it from the start: its lines with
// their levels and times, and their facts as attributes (target, function, task, execution, attempt, worker). nil gives it
// back to slog.Default.
func SetLogger(logger *slog.Logger) error {
	processLog.given.Store(logger)
	hearing.Lock()
	defer hearing.Unlock()
	return hear()
}

// SetLogger hands the log of this executor, its workers and its tasks to a logger of its own. nil gives it back to the
// process's, see the function [SetLogger].
func (e *Executor) SetLogger(logger *slog.Logger) error {
	defer runtime.KeepAlive(e)
	e.log.given.Store(logger)
	number := C.uintptr_t(0)
	if logger != nil {
		number = C.uintptr_t(cgo.NewHandle(func(line LogLine) { line.write(logger) }))
	}
	in := cText(`{"level": "debug"}`)
	defer in.free()
	return call(func(why **C.stent_error) C.stent_status {
		return C.stent_go_set_executor_log(e.handle, in.c, number, why)
	})
}

// SetLogHandler hands the library's log to a function instead of a logger, one line at a time; nil ends the log.
func SetLogHandler(handler func(LogLine), options LogOptions) error {
	hearing.Lock()
	defer hearing.Unlock()
	return setLogHandler(handler, options)
}

func setLogHandler(handler func(LogLine), options LogOptions) error {
	text, err := encodeOptions(options)
	if err != nil {
		return err
	}
	in := cText(text)
	defer in.free()
	number := C.uintptr_t(0)
	if handler != nil {
		number = C.uintptr_t(cgo.NewHandle(handler))
	}
	err = call(func(why **C.stent_error) C.stent_status { return C.stent_go_set_log(in.c, number, why) })
	heard = heard || err == nil
	return err
}

// Somebody has said where the log goes.
var (
	hearing sync.Mutex
	heard   bool
)

// Before the first store: the log goes to slog from the start.
func hearFromTheStart() error {
	hearing.Lock()
	defer hearing.Unlock()
	if heard {
		return nil
	}
	return hear()
}

// What a line is worth is the logger's to say.
func hear() error {
	return setLogHandler(func(line LogLine) { line.write(processLog.logger()) }, LogOptions{Level: "debug"})
}

var slogLevels = map[string]slog.Level{
	"error": slog.LevelError, "warn": slog.LevelWarn, "info": slog.LevelInfo, "debug": slog.LevelDebug,
}

func (line LogLine) write(logger *slog.Logger) {
	level, ctx := slogLevels[line.Level], context.Background()
	if !logger.Enabled(ctx, level) {
		return
	}
	record := slog.NewRecord(line.Time, level, line.Message, 0)
	record.AddAttrs(slog.String("target", line.Target))
	var fields map[string]any
	if json.Unmarshal(line.Fields, &fields) == nil {
		names := make([]string, 0, len(fields))
		for name := range fields {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			record.AddAttrs(slog.Any(name, fields[name]))
		}
	}
	if line.Lost > 0 {
		record.AddAttrs(slog.Int("lost", line.Lost))
	}
	// What a logger can't write it tells nobody else either.
	_ = logger.Handler().Handle(ctx, record)
}

//export stentGoLog
func stentGoLog(number C.uintptr_t, _ C.int32_t, line *C.char) {
	var told LogLine
	if json.Unmarshal([]byte(C.GoString(line)), &told) != nil {
		return
	}
	// There is nobody to tell of a log that panics, or that ends its goroutine.
	_ = aside(func() {
		defer func() { _ = recover() }()
		cgo.Handle(number).Value().(func(LogLine))(told)
	})
}

// Log writes a line to the library's log, and so to its logger, unless the task is replaying.
func (t *Task) Log(level LogLevel, message string) error {
	in := cText(message)
	defer in.free()
	return call(func(why **C.stent_error) C.stent_status {
		return C.stent_task_log(t.handle, C.int32_t(level), in.c, why)
	})
}

// Logger is the logger that the library's log goes to, with the task's function, ids and attempt, for lines with attributes
// of your own. It says nothing while the task is replaying. It may outlive the task.
func (t *Task) Logger() *slog.Logger {
	info := t.Info()
	return slog.New(taskLog{t, t.log.logger().Handler()}).With("target", "stent.task", "attempt", info.Attempt,
		"execution", info.ExecutionID, "function", info.Function, "task", info.TaskID)
}

// A slog.Handler that is silent in replay.
type taskLog struct {
	task *Task
	slog.Handler
}

func (l taskLog) Enabled(ctx context.Context, level slog.Level) bool {
	return l.Handler.Enabled(ctx, level) && !l.task.isMuted()
}

func (l taskLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return taskLog{l.task, l.Handler.WithAttrs(attrs)}
}

func (l taskLog) WithGroup(name string) slog.Handler {
	return taskLog{l.task, l.Handler.WithGroup(name)}
}

func (t *Task) isMuted() bool {
	t.life.RLock()
	defer t.life.RUnlock()
	return !t.over && t.IsReplaying()
}
