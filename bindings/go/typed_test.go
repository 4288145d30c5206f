package stent_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	stent "github.com/stent-dev/stent/bindings/go"
)

// The compiler is asked: it refuses each line of the sample that says "// wrong: " and what is said of it, and no other.
func TestCallsOfWrongTypesDoNotCompile(t *testing.T) {
	const sample = "testdata/wrong/main.go"
	said, err := exec.Command("go", "build", "-gcflags=-e", "-o", os.DevNull, "./testdata/wrong").CombinedOutput()
	if err == nil {
		t.Fatal("the sample compiles")
	}
	told := map[int]string{}
	for _, found := range regexp.MustCompile(regexp.QuoteMeta(sample)+`:(\d+):\d+: (.*)`).FindAllStringSubmatch(string(said), -1) {
		line := must[int](t)(strconv.Atoi(found[1]))
		told[line] += found[2]
	}
	if len(told) == 0 {
		t.Fatalf("the compiler says nothing of the sample: %s", said)
	}
	for i, line := range strings.Split(string(must[[]byte](t)(os.ReadFile(sample))), "\n") {
		_, wanted, isWrong := strings.Cut(line, "// wrong: ")
		if got := told[i+1]; isWrong != (got != "") || !strings.Contains(got, wanted) {
			t.Errorf("line %d, %s: the compiler says %q", i+1, strings.TrimSpace(line), got)
		}
	}
}

type item struct {
	Name string    `json:"name"`
	Kept time.Time `json:"kept_until"`
	Tags []string  `json:"tags,omitempty"`
}

var (
	price   = stent.Define1[item, int]("price")
	total   = stent.Define2[[]item, int, map[string]int]("total")
	greeted = stent.DefineSignal[item]("greeted")
	nothing = stent.Define0[any]("nothing")
)

func prices(_ *stent.Task, one item) (int, error) { return len(one.Name) + len(one.Tags), nil }

func totals(task *stent.Task, items []item, more int) (map[string]int, error) {
	all, err := price.Map(task, items)
	if err != nil {
		return nil, err
	}
	last, err := greeted.Wait(task)
	if err != nil {
		return nil, err
	}
	op, err := price.Spawn(task, last)
	if err != nil {
		return nil, err
	}
	extra, err := stent.Wait(task, op)
	sum := more + extra
	for _, one := range all {
		sum += one
	}
	return map[string]int{"sum": sum, "kept": last.Kept.Year()}, err
}

func TestTypedFunctionsAndSignals(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		check(t, here.executor.Register(price.With(prices), total.With(totals)))
		here.worker(stent.WorkerOptions{})
		items := []item{{Name: "ink"}, {Name: "paper", Tags: []string{"white", "thin"}}}
		started := must[stent.Started[map[string]int]](t)(total.Dispatch(here.ctx, here.executor, items, 100))
		kept := time.Date(2031, 2, 3, 4, 5, 6, 7, time.UTC)
		check(t, greeted.Send(here.ctx, here.executor, started.ID, item{Name: "glue", Kept: kept}))
		sum := must[map[string]int](t)(started.Result(here.ctx))
		same(t, sum, map[string]int{"sum": 100 + 3 + 7 + 4, "kept": 2031})
		again := total.Started(here.executor, started.ID)
		same(t, must[*stent.Execution](t)(again.Wait(here.ctx)).State, "completed")
	})
}

func TestAMissingHandlerIsRefusedAtOnce(t *testing.T) {
	here := newFilePlace(t)
	var none func(*stent.Task, item) (int, error)
	for what, err := range map[string]error{
		"Handle":           here.executor.Handle("missing", nil),
		"Func1":            here.executor.Handle("missing", stent.Func1(none)),
		"With":             here.executor.Register(price.With(none)),
		"With, no handler": here.executor.Register(nothing.With(nil)),
	} {
		if !errors.Is(err, stent.ErrInvalid) || !strings.Contains(err.Error(), "is nil") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := stent.CustomStore(nil, stent.CustomOptions{}); !errors.Is(err, stent.ErrInvalid) {
		t.Errorf("a store that is nil: %v", err)
	}
}

// It has a way of its own, and so is JSON for all that it holds.
type spoken struct{ ch chan int }

func (spoken) MarshalJSON() ([]byte, error) { return []byte(`"spoken"`), nil }

type loop struct {
	Next *loop
	Done func() `json:"-"`
	note chan int
}

// Types alone tell it: no handler is run for what can't be recorded.
func TestTypesThatCannotBeCarriedAreRefusedAtOnce(t *testing.T) {
	here := newFilePlace(t)
	refused := func(registration stent.Registration, said string) {
		t.Helper()
		err := here.executor.Register(registration)
		if !errors.Is(err, stent.ErrInvalid) || !strings.Contains(fmt.Sprint(err), said) {
			t.Errorf("wanted %q: %v", said, err)
		}
	}
	refused(stent.Define0[chan int]("a").With(func(*stent.Task) (chan int, error) { return nil, nil }),
		"the function a: the result, of type chan int, can't be carried: JSON has no chan int")
	type inner struct{ Ready map[string][]func() }
	refused(stent.Define2[int, *inner, int]("b").With(func(*stent.Task, int, *inner) (int, error) { return 0, nil }),
		"argument 2, of type *stent_test.inner, can't be carried: JSON has no func()")
	check(t, here.executor.Register(
		stent.Define1[loop, spoken]("c").With(func(*stent.Task, loop) (spoken, error) { return spoken{}, nil })))

	ran := false
	here.handle("d", stent.Func0(func(*stent.Task) (complex128, error) {
		ran = true
		return 0, nil
	}), hasty)
	here.handle("e", func(task *stent.Task) (any, error) {
		return stent.Step(task, "step", func() (chan int, error) {
			ran = true
			return nil, nil
		})
	}, hasty)
	here.worker(stent.WorkerOptions{})
	for _, name := range []string{"d", "e"} {
		failure := here.failure(name)
		same(t, []any{failure.Type, failure.Final}, []any{"INVALID", true})
	}
	same(t, ran, false)
	same(t, here.result(here.dispatch("c", map[string]any{"Next": nil})), "spoken")
}
