package stent_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	stent "github.com/stent-dev/stent/bindings/go"
)

// Money is "12.50 EUR" on the way, which encoding/json knows nothing of.
type money struct {
	cents    int
	currency string
}

type house struct{}

func (house) Marshal(value any) ([]byte, error) {
	switch value := value.(type) {
	case money:
		return json.Marshal(fmt.Sprintf("%d.%02d %s", value.cents/100, value.cents%100, value.currency))
	case error:
		return []byte("this is no JSON"), nil
	}
	return json.Marshal(value)
}

func (house) Unmarshal(text []byte, into any) error {
	held, is := into.(*money)
	if !is {
		return json.Unmarshal(text, into)
	}
	var said string
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	var whole, cents int
	if _, err := fmt.Sscanf(said, "%d.%d %s", &whole, &cents, &held.currency); err != nil {
		return fmt.Errorf("%q is no money: %w", said, err)
	}
	held.cents = whole*100 + cents
	return nil
}

func TestScenarioCodec(t *testing.T) {
	stent.SetCodec(house{})
	t.Cleanup(func() { stent.SetCodec(nil) })
	onBothStores(t, func(t *testing.T, here *place) {
		double := stent.Define1[money, money]("double")
		sent := stent.DefineSignal[money]("sent")
		check(t, here.executor.Register(
			double.With(func(_ *stent.Task, given money) (money, error) { return money{2 * given.cents, given.currency}, nil }),
			stent.Define1[money, money]("all").With(func(task *stent.Task, given money) (money, error) {
				stepped, err := stent.Step(task, "step", func() (money, error) { return given, nil })
				if err != nil {
					return money{}, err
				}
				doubled, err := double.Map(task, []money{stepped})
				if err != nil {
					return money{}, err
				}
				got, err := sent.Wait(task)
				if err != nil {
					return money{}, err
				}
				return money{doubled[0].cents + got.cents, got.currency}, task.StateSet("got", got)
			}, hasty)))
		here.handle("no JSON", func(*stent.Task) (any, error) { return errors.New("written by the codec"), nil }, hasty)
		here.worker(stent.WorkerOptions{})
		id := here.dispatch("all", money{1250, "EUR"})
		check(t, sent.Send(here.ctx, here.executor, id, money{5, "EUR"}))
		same(t, must[money](t)(stent.Result[money](here.ctx, here.executor, id)), money{2505, "EUR"})
		state := must[*stent.Execution](t)(here.executor.State(here.ctx, id))
		same(t, []string{string(state.Args), string(state.Result)}, []string{`["12.50 EUR"]`, `"25.05 EUR"`})
		sameJSON(t, state.StateValues, `{"got": "0.05 EUR"}`)
		// Bytes are the library's, whoever writes the rest.
		same(t, must[[]byte](t)(stent.Result[[]byte](here.ctx, here.executor, here.dispatch("go.reversed", []byte("ab")))), []byte("ba"))

		read := here.failure("all", "nothing")
		same(t, []any{read.Type, read.Final}, []any{"BadArguments", true})
		if !strings.Contains(read.Message, `"nothing" is no money`) {
			t.Error(read.Message)
		}
		written := here.failure("no JSON")
		same(t, written.Final, true)
		if !strings.Contains(written.Message, "the codec has written what is no JSON") {
			t.Error(written.Message)
		}
	})
}

// The compiler has refused the rest: see TestCallsOfWrongTypesDoNotCompile.
func TestScenarioWrongTypes(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		here.handle("asks for a number", func(task *stent.Task) (any, error) {
			return stent.Call[int](task, "go.greet", stent.Args{"ada"})
		}, hasty)
		here.handle("gives a channel", func(*stent.Task) (any, error) { return make(chan int), nil }, hasty)
		here.worker(stent.WorkerOptions{})
		for _, failure := range []*stent.Failure{
			here.failure("go.add", "one", 2), here.failure("go.add", 1), here.failure("asks for a number"), here.failure("gives a channel"),
		} {
			same(t, failure.Final, true)
		}
		letters := must[[]stent.DeadLetter](t)(here.executor.DeadLetters(here.ctx, stent.DeadLetterFilter{}))
		same(t, len(letters), 4)
		for _, letter := range letters {
			if letter.Task.Retries > 1 {
				t.Errorf("%s was tried %d times", letter.Task.StepName, letter.Task.Retries)
			}
		}
		_, err := stent.Result[int](here.ctx, here.executor, here.dispatch("go.greet", "ada"))
		if !errors.Is(err, stent.ErrInvalid) || !strings.Contains(err.Error(), "the result of the execution is no int") {
			t.Errorf("a greeting as a number: %v", err)
		}
	})
}

// A handler's goroutine that panics, or ends without a word, takes its task along and nothing else.
func TestScenarioDies(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *place) {
		dying := func(die func()) stent.Handler {
			return func(task *stent.Task) (any, error) {
				if task.Info().Attempt == 1 {
					die()
				}
				return task.Info().Attempt, nil
			}
		}
		here.handle("panics", dying(func() { panic("out of ink") }), hasty)
		here.handle("ends", dying(runtime.Goexit), hasty)
		here.handle("always", func(*stent.Task) (any, error) { panic("out of ink") }, hasty)
		here.worker(stent.WorkerOptions{})
		for _, name := range []string{"panics", "ends"} {
			sameJSON(t, here.result(here.dispatch(name)), "2")
		}
		same(t, here.failure("always").Type, "panic")
		same(t, here.result(here.dispatch("go.hello", "ada")), "hello, ada")
	})
}
