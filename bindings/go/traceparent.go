package stent

// #include "shim.h"
import "C"

// Traceparent is the W3C Trace Context below which spans of the handler's own belong: its run's, where the library exports
// spans (docs/tracing.md), else the dispatch's; empty where there is none. OpenTelemetry takes it as
//
//	carrier := propagation.MapCarrier{"traceparent": task.Traceparent()}
//	ctx := propagation.TraceContext{}.Extract(task.Context(), carrier)
func (t *Task) Traceparent() string {
	text := C.stent_task_traceparent(t.handle)
	if text == nil {
		return ""
	}
	return C.GoString(text)
}
