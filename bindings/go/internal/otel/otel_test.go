// Package otel_test is of a module of its own: the binding needs nothing of OpenTelemetry, and this needs its SDK.
package otel_test

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/otel/propagation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	stent "github.com/stent-dev/stent/bindings/go"
	"github.com/stent-dev/stent/bindings/go/stenttest"
)

var charge = stent.Define1[int, string]("charge")

func TestSpansOfAHandlerHangBelowWhatItsContextNames(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	tracer := sdk.NewTracerProvider(sdk.WithSpanProcessor(spans)).Tracer("shop")
	stent.UseTraceContext(func(ctx context.Context, traceparent string) context.Context {
		return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
	})
	t.Cleanup(func() { stent.UseTraceContext(nil) })
	executor := stenttest.Worker(t, charge.With(func(task *stent.Task, amount int) (string, error) {
		_, span := tracer.Start(task.Context(), "card")
		defer span.End()
		return "charged", task.Context().Err()
	}))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, traceparent := range []string{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", ""} {
		started, err := charge.Dispatch(ctx, executor, 7, stent.DispatchOptions{Traceparent: traceparent})
		if err != nil {
			t.Fatal(err)
		}
		if said, err := started.Result(ctx); said != "charged" || err != nil {
			t.Fatal(said, err)
		}
	}
	ended := spans.Ended()
	if len(ended) != 2 {
		t.Fatal(ended)
	}
	below := ended[0].Parent()
	if !below.IsRemote() || below.TraceID().String() != "4bf92f3577b34da6a3ce929d0e0e4736" || below.SpanID().String() != "00f067aa0ba902b7" {
		t.Error(below)
	}
	if ended[1].Parent().IsValid() {
		t.Error("a dispatch without a context has one:", ended[1].Parent())
	}
}
