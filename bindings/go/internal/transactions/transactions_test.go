package transactions_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	stent "github.com/stent-dev/stent/bindings/go"
)

// Adds an account, and waits after it: so the handler runs twice.
func adds(task *stent.Task, db *sql.DB, options stent.TransactionOptions, then func() error) (int, error) {
	number, err := stent.Transaction(task, "open", db, func(tx *sql.Tx) (int, error) {
		if _, err := tx.Exec("INSERT INTO accounts VALUES (7, 100)"); err != nil {
			return 0, err
		}
		return 7, then()
	}, options)
	if err != nil {
		return 0, err
	}
	return number, task.Sleep(10 * time.Millisecond)
}

func fine() error { return nil }

func (b *bank) register(function string, handler func(*stent.Task) (int, error)) {
	b.t.Helper()
	check(b.t, b.executor.Register(stent.Registered(function, stent.Func0(handler))))
}

// As docs/sql.md shows it.

func withdraw(task *stent.Task, bank *sql.DB, account, amount int, options stent.TransactionOptions) (int, error) {
	left, err := stent.Transaction(task, "book", bank, func(tx *sql.Tx) (left int, err error) {
		sql := "UPDATE accounts SET balance = balance - $1 WHERE number = $2 RETURNING balance"
		err = tx.QueryRow(sql, amount, account).Scan(&left)
		return left, err
	}, options)
	if err != nil {
		return 0, err
	}
	return left, task.Sleep(10 * time.Millisecond)
}

func TestThePagesFunction(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *bank) {
		_, err := here.db.Exec("INSERT INTO accounts VALUES (7, 100)")
		check(t, err)
		here.register("withdraw", func(task *stent.Task) (int, error) { return withdraw(task, here.db, 7, 30, here.options) })
		here.worker()
		left, err := here.result(here.dispatch("withdraw"))
		check(t, err)
		var balance int
		check(t, here.db.QueryRow("SELECT balance FROM accounts").Scan(&balance))
		if left != 70 || balance != 70 {
			t.Fatal(left, balance)
		}
	})
}

func TestAReplayFindsTheRecordAndRunsNothing(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *bank) {
		var runs, bodies atomic.Int32
		here.register("adds", func(task *stent.Task) (int, error) {
			runs.Add(1)
			return adds(task, here.db, here.options, func() error { bodies.Add(1); return nil })
		})
		here.worker()
		number, err := here.result(here.dispatch("adds"))
		check(t, err)
		if number != 7 || here.accounts() != 1 || runs.Load() < 2 || bodies.Load() != 1 {
			t.Fatal(number, here.accounts(), runs.Load(), bodies.Load())
		}
	})
}

func TestAnErrorRollsBackAndIsTheStepsFailure(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *bank) {
		other := here.options
		other.Schema += " other"
		noExtension := here.db
		if here.options.SQLite {
			var err error
			noExtension, err = sql.Open("sqlite3", here.name)
			check(t, err)
			defer noExtension.Close()
		}
		for function, wanted := range map[string]struct {
			failure string
			handler func(*stent.Task) (int, error)
		}{
			"refuses": {"Refused", func(task *stent.Task) (int, error) {
				return adds(task, here.db, here.options, func() error { return &stent.Failure{Type: "Refused", Message: "no"} })
			}},
			"fails": {"errors.errorString", func(task *stent.Task) (int, error) {
				return adds(task, here.db, here.options, func() error { return errors.New("no") })
			}},
			"elsewhere": {map[bool]string{true: "sqlite3.Error", false: "pgconn.PgError"}[here.options.SQLite], func(task *stent.Task) (int, error) {
				return adds(task, noExtension, other, fine)
			}},
		} {
			var bodies atomic.Int32
			here.register(function, func(task *stent.Task) (int, error) {
				number, err := wanted.handler(task)
				if errors.Is(err, stent.ErrFailed) {
					// It is recorded: a run after this one hears of the same.
					bodies.Add(1)
					if err := task.Sleep(10 * time.Millisecond); err != nil {
						return 0, err
					}
				}
				return number, err
			})
			t.Run(function, func(t *testing.T) {
				worker, err := here.executor.StartWorker(stent.WorkerOptions{})
				check(t, err)
				defer worker.Stop(context.Background())
				_, err = here.result(here.dispatch(function))
				var failure *stent.Failure
				if !errors.As(err, &failure) || failure.Type != wanted.failure {
					t.Fatal(err)
				}
				if here.accounts() != 0 || bodies.Load() != 2 {
					t.Fatal(here.accounts(), bodies.Load())
				}
			})
		}
	})
}

// By the policy it is tried again, as a child that has failed is.
func TestAFailedStepIsTriedAgainWherePolicyRetriesChildren(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *bank) {
		var bodies atomic.Int32
		policy := &stent.RetryPolicy{MaxAttempts: 3, InitialDelay: stent.Ptr(time.Millisecond), RetryChildren: true}
		check(t, here.executor.Register(stent.Registered("adds", stent.Func0(func(task *stent.Task) (int, error) {
			return adds(task, here.db, here.options, func() error {
				if bodies.Add(1) == 1 {
					return errors.New("a deadlock")
				}
				return nil
			})
		}), stent.FunctionOptions{RetryPolicy: policy})))
		here.worker()
		number, err := here.result(here.dispatch("adds"))
		if err != nil || number != 7 || here.accounts() != 1 || bodies.Load() != 2 {
			t.Fatal(err, number, here.accounts(), bodies.Load())
		}
	})
}

func TestWhatTheDatabaseRefusesForOthersSakeIsBegunAgain(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *bank) {
		_, err := here.db.Exec("INSERT INTO accounts VALUES (7, 100)")
		check(t, err)
		db, refused := here.db, "could not serialize access"
		here.options.Begin = &sql.TxOptions{Isolation: sql.LevelRepeatableRead}
		if here.options.SQLite {
			here.options.Begin, refused = nil, "database is locked"
			db, err = sql.Open("contended_sqlite", strings.Replace(here.name, "_busy_timeout=60000", "_busy_timeout=1", 1))
			check(t, err)
			defer db.Close()
		}
		contend := func(task *stent.Task, attempts int) (int, error) {
			begins, bodies := 0, 0
			other, err := here.db.Conn(task.Context())
			if err != nil {
				return 0, err
			}
			defer other.Close()
			say := func(sql string) error { _, err := other.ExecContext(task.Context(), sql); return err }
			nobody := func() (func(), error) { begins++; return func() {}, nil }
			// It is in the way when the transaction is begun for the first time.
			beforeBegin = func() (func(), error) {
				begins++
				beforeBegin = nobody
				return func() { check(t, say("ROLLBACK")) }, say("BEGIN IMMEDIATE")
			}
			options := here.options
			options.Attempts = attempts
			return stent.Transaction(task, "open", db, func(tx *sql.Tx) (int, error) {
				bodies++
				var balance int
				if err := tx.QueryRow("SELECT balance FROM accounts").Scan(&balance); err != nil {
					return 0, err
				}
				if !options.SQLite && bodies == 1 {
					if err := say("UPDATE accounts SET balance = balance + 1"); err != nil {
						return 0, err
					}
				}
				_, err := tx.Exec("UPDATE accounts SET balance = balance - 30")
				return max(begins, bodies), err
			}, options)
		}
		once := stent.FunctionOptions{RetryPolicy: &stent.RetryPolicy{MaxAttempts: 1}}
		for function, attempts := range map[string]int{"again": 0, "once": 1, "less": -1} {
			check(t, here.executor.Register(stent.Registered(function, stent.Func0(func(task *stent.Task) (int, error) {
				return contend(task, attempts)
			}), once)))
		}
		here.worker()
		if tries, err := here.result(here.dispatch("again")); err != nil || tries != 2 {
			t.Fatal(tries, err)
		}
		for function, says := range map[string]string{"once": refused, "less": "Attempts of TransactionOptions is less than 0"} {
			if _, err := here.result(here.dispatch(function)); err == nil || !strings.Contains(err.Error(), says) {
				t.Fatal(err)
			}
		}
		// Of what was refused only the other one's has stayed.
		wanted := 72
		if here.options.SQLite {
			wanted = 70
		}
		var balance int
		check(t, here.db.QueryRow("SELECT balance FROM accounts").Scan(&balance))
		if balance != wanted {
			t.Fatal(balance)
		}
	})
}

func TestAPanicRollsBackAndTheNextAttemptRunsItAgain(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *bank) {
		var bodies atomic.Int32
		policy := &stent.RetryPolicy{MaxAttempts: 3, InitialDelay: stent.Ptr(time.Millisecond)}
		check(t, here.executor.Register(stent.Registered("adds", stent.Func0(func(task *stent.Task) (int, error) {
			return adds(task, here.db, here.options, func() error {
				if bodies.Add(1) == 1 {
					panic("no")
				}
				return nil
			})
		}), stent.FunctionOptions{RetryPolicy: policy})))
		here.worker()
		number, err := here.result(here.dispatch("adds"))
		if err != nil || number != 7 || here.accounts() != 1 || bodies.Load() != 2 {
			t.Fatal(err, number, here.accounts(), bodies.Load())
		}
	})
}

func TestACommitThatNobodyHeardOfIsFound(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *bank) {
		lossy := here.open(here.lossy)
		var bodies atomic.Int32
		// At once, and not by another attempt.
		once := stent.FunctionOptions{RetryPolicy: &stent.RetryPolicy{MaxAttempts: 1}}
		check(t, here.executor.Register(stent.Registered("adds", stent.Func0(func(task *stent.Task) (int, error) {
			return adds(task, lossy, here.options, func() error { bodies.Add(1); return nil })
		}), once)))
		here.worker()
		number, err := here.result(here.dispatch("adds"))
		if err != nil || number != 7 || here.accounts() != 1 || bodies.Load() != 1 {
			t.Fatal(err, number, here.accounts(), bodies.Load())
		}
	})
}

func TestWhoHasLostTheTaskCommitsNothing(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *bank) {
		// As another worker's claim leaves it.
		lose := "UPDATE tasks SET fence = fence + 1, lease_expires_at = now()"
		if here.options.SQLite {
			lose = "UPDATE tasks SET fence = fence + 1, lease_until = 0"
		}
		var lost atomic.Bool
		var told atomic.Pointer[error]
		here.register("adds", func(task *stent.Task) (int, error) {
			if !lost.Swap(true) {
				if _, err := here.db.Exec(lose); err != nil {
					return 0, err
				}
				_, err := adds(task, here.db, here.options, fine)
				told.Store(&err)
				return 0, err
			}
			return adds(task, here.db, here.options, fine)
		})
		here.worker()
		number, err := here.result(here.dispatch("adds"))
		if err != nil || number != 7 || here.accounts() != 1 {
			t.Fatal(err, number, here.accounts())
		}
		if why := *told.Load(); !errors.Is(why, stent.ErrLeaseLost) {
			t.Fatal(why)
		}
	})
}

func TestWhatIsCancelledCommitsNothing(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *bank) {
		told := make(chan error, 1)
		here.register("adds", func(task *stent.Task) (int, error) {
			number, err := adds(task, here.db, here.options, func() error {
				if here.options.SQLite {
					return nil
				}
				return here.executor.Cancel(context.Background(), task.Info().ExecutionID, "")
			})
			told <- err
			return number, err
		})
		here.register("cancels_before", func(task *stent.Task) (int, error) {
			if err := here.executor.Cancel(context.Background(), task.Info().ExecutionID, ""); err != nil {
				return 0, err
			}
			number, err := adds(task, here.db, here.options, fine)
			told <- err
			return number, err
		})
		here.worker()
		function := "adds"
		if here.options.SQLite {
			// While it is open nobody else can write.
			function = "cancels_before"
		}
		ended, err := here.executor.Wait(here.ctx, here.dispatch(function))
		check(t, err)
		if err := <-told; ended.State != "cancelled" || here.accounts() != 0 || !errors.Is(err, stent.ErrCancelled) {
			t.Fatal(ended.State, here.accounts(), err)
		}
	})
}

// What a cleanup does there is done once, too.
func TestACleanupCommits(t *testing.T) {
	onBothStores(t, func(t *testing.T, here *bank) {
		waits := make(chan struct{})
		var once sync.Once
		check(t, here.executor.Register(stent.Registered("adds", stent.Func0(func(task *stent.Task) (int, error) {
			once.Do(func() { close(waits) })
			err := task.Sleep(time.Hour)
			if errors.Is(err, stent.ErrCancelled) {
				if _, err := adds(task, here.db, here.options, fine); err != nil {
					return 0, err
				}
			}
			return 0, err
		}), stent.FunctionOptions{Cleanup: time.Minute})))
		here.worker()
		id := here.dispatch("adds")
		<-waits
		check(t, here.executor.Cancel(here.ctx, id, ""))
		ended, err := here.executor.Wait(here.ctx, id)
		check(t, err)
		if ended.State != "cancelled" || here.accounts() != 1 {
			t.Fatal(ended.State, here.accounts())
		}
	})
}

// Set for a worker's process: the store, and where it is to be killed.
const diesAt, diesOn = "STENT_TEST_STEP_DIES", "STENT_TEST_STEP_STORE"

func die() error {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func TestWhatAKilledProcessHasCommittedIsDoneOnce(t *testing.T) {
	if place := os.Getenv(diesAt); place != "" {
		here := openBank(t, os.Getenv(diesOn))
		afterCommit = die
		here.register("adds", func(task *stent.Task) (int, error) {
			if place == "before" {
				return adds(task, here.db, here.options, die)
			}
			return adds(task, here.open(here.lossy), here.options, fine)
		})
		here.worker()
		// Its end comes from within, or it has failed.
		time.Sleep(patience)
		t.Fatal("it was not killed")
	}
	for place, again := range map[string]int32{"before": 1, "after": 0} {
		t.Run(place, func(t *testing.T) {
			onBothStores(t, func(t *testing.T, here *bank) {
				id := here.dispatch("adds")
				program := exec.Command(os.Args[0], "-test.run=^TestWhatAKilledProcessHasCommittedIsDoneOnce$")
				program.Env = append(os.Environ(), diesAt+"="+place, diesOn+"="+here.url)
				said, err := program.CombinedOutput()
				if status, ok := program.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
					t.Fatalf("%v: %s", err, said)
				}
				if accounts := here.accounts(); (accounts == 1) != (place == "after") {
					t.Fatal(accounts)
				}
				var bodies atomic.Int32
				here.register("adds", func(task *stent.Task) (int, error) {
					return adds(task, here.db, here.options, func() error { bodies.Add(1); return nil })
				})
				here.worker()
				number, err := here.result(id)
				if err != nil || number != 7 || here.accounts() != 1 || bodies.Load() != again {
					t.Fatal(err, number, here.accounts(), bodies.Load())
				}
			})
		})
	}
}
