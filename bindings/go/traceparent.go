package stent

// #include "shim.h"
import "C"

import (
	"context"
	"sync/atomic"
)

// TraceContext gives a context in which what a W3C Trace Context names is current, for the tracing that a program has.
type TraceContext func(ctx context.Context, traceparent string) context.Context

var traceContext atomic.Pointer[TraceContext]

// UseTraceContext makes the context of each task, [Task.Context], one below which spans of the handler's own hang. It holds
// for the process, and for the runs that begin from then on; nil takes it back. With OpenTelemetry it is
//
//	stent.UseTraceContext(func(ctx context.Context, traceparent string) context.Context {
//		return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
//	})
//
// The binding itself needs nothing of it.
func UseTraceContext(with TraceContext) {
	if with == nil {
		traceContext.Store(nil)
		return
	}
	traceContext.Store(&with)
}

// Has the task's context made one of the program's tracing, before its handler begins.
func (t *Task) trace() {
	with := traceContext.Load()
	if with == nil || t.traced {
		return
	}
	t.traced = true
	if traceparent := t.Traceparent(); traceparent != "" {
		t.ctx = (*with)(t.ctx, traceparent)
	}
}

// Traceparent is the W3C Trace Context below which spans of the handler's own belong: its run's, where the library exports
// spans (docs/tracing.md), else the dispatch's; empty where there is none. [UseTraceContext] puts it into [Task.Context].
func (t *Task) Traceparent() string {
	text := C.stent_task_traceparent(t.handle)
	if text == nil {
		return ""
	}
	return C.GoString(text)
}
