package stent_test

import (
	"testing"

	stent "github.com/stent-dev/stent/bindings/go"
)

func TestAHandlerHasTheTraceContextOfItsDispatch(t *testing.T) {
	const given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	here := newFilePlace(t)
	here.handle("where", func(task *stent.Task) (any, error) { return task.Traceparent(), nil })
	here.worker(stent.WorkerOptions{})
	options := stent.DispatchOptions{Traceparent: given}
	id := must[string](t)(here.executor.Dispatch(here.ctx, "where", nil, options))
	same(t, here.result(id), given)
	same(t, here.result(here.dispatch("where")), "")
}
