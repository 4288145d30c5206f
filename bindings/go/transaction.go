package stent

// #include "shim.h"
import "C"

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unsafe"
)

// TransactionOptions is for a step in a transaction of the handler's own.
type TransactionOptions struct {
	// The operation's own key in the journal, in place of name and number.
	Key string
	// Where the store is on PostgreSQL, if it is not the schema "stent".
	Schema string
	// The database is the store's SQLite file, and each connection has loaded the extension; it begins with BEGIN IMMEDIATE
	// (go-sqlite3: _txlock=immediate).
	SQLite bool
	// How the transaction is begun, its isolation level above all; nil: as the database has it.
	Begin *sql.TxOptions
	// So often it is begun in all where the database refuses it for others' sake: a deadlock, a serialization failure,
	// "database is locked". 0: 5 times.
	Attempts int
}

const (
	transactionAttempts     = 5
	transactionPause        = 10 * time.Millisecond
	transactionPauseLongest = time.Second
)

// Transaction runs a function in a transaction on the store's own database, once: the transaction has the step's record
// too, so what the function does there is done exactly once. It neither commits nor rolls back. What the database refuses for
// others' sake is rolled back and begun again, so the function may run more than once.
//
// An error, of the function, the record or the commit, rolls back, and is recorded as the step's failure, whatever its type:
// ErrFailed, in this and every later run. So that one whose commit may have come through, as the connection was lost, is
// known: where the store has the record, the step has its result. A panic fails this attempt of the task.
func Transaction[R any](t *Task, name string, db *sql.DB, body func(tx *sql.Tx) (R, error), options ...TransactionOptions) (result R, err error) {
	given, err := firstOf(options)
	if err != nil {
		return result, err
	}
	what := "the result of the step " + name
	// Before the work is done.
	if err := checkCarried[R](what); err != nil {
		return result, t.breaks(err)
	}
	if given.Attempts < 0 {
		return result, t.breaks(&Error{Status: ErrInvalid, Message: "Attempts of TransactionOptions is less than 0"})
	}
	op, token, err := t.beginTransaction(name, given.Key)
	if err != nil {
		return result, err
	}
	if token != "" {
		failed := given.again(t.Context(), db, func(tx *sql.Tx) error {
			result, err := body(tx)
			if err != nil {
				return err
			}
			text, err := encode(result, "%s", what)
			if err != nil {
				return err
			}
			return given.record(t.Context(), tx, token, text)
		})
		if err := t.endTransaction(op, failed); err != nil {
			return result, err
		}
	}
	return ended[R](t, op)
}

// The token is empty where the step is recorded.
func (t *Task) beginTransaction(name, key string) (op C.uint32_t, token string, err error) {
	var given *C.char
	_, err = t.askWith(name, nil, StepOptions{Key: key}, func(name, _, options *C.char, _ **C.char, why **C.stent_error) C.stent_status {
		return C.stent_task_transaction_begin(t.handle, name, options, &op, &given, why)
	})
	if given != nil {
		token = taken(given)
	}
	return op, token, err
}

func (t *Task) endTransaction(op C.uint32_t, failed error) error {
	var failure cstring
	if failed != nil {
		text, err := failureOf(failed)
		if err != nil {
			// Details of the user's that are not JSON.
			text, _ = json.Marshal(&Failure{Type: typeName(failed), Message: failed.Error()})
		}
		failure = cText(string(text))
		defer failure.free()
	}
	return t.ask(func(why **C.stent_error) C.stent_status {
		return C.stent_task_transaction_end(t.handle, op, (*C.char)(unsafe.Pointer(failure.c)), why)
	})
}

func (o TransactionOptions) again(ctx context.Context, db *sql.DB, body func(tx *sql.Tx) error) error {
	most := o.Attempts
	if most == 0 {
		most = transactionAttempts
	}
	pause := transactionPause
	for attempt := 1; ; attempt++ {
		err := inTransaction(ctx, db, o.Begin, body)
		if err == nil || attempt == most || !o.isConflict(err) {
			return err
		}
		// Up to a half shorter, so that two don't meet again.
		timer := time.NewTimer(pause - rand.N(pause/2))
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
		pause = min(2*pause, transactionPauseLongest)
	}
}

// Whether the same transaction may come through when it is begun again. Drivers are known by what they can do: pgx and lib/pq
// tell the SQLSTATE, those of SQLite say what SQLite says.
func (o TransactionOptions) isConflict(err error) bool {
	if o.SQLite {
		return strings.Contains(err.Error(), "database is locked") || strings.Contains(err.Error(), "database table is locked")
	}
	state := sqlState(err)
	return state == "40001" || state == "40P01"
}

func sqlState(err error) string {
	var told interface{ SQLState() string }
	if errors.As(err, &told) {
		return told.SQLState()
	}
	return ""
}

func inTransaction(ctx context.Context, db *sql.DB, begin *sql.TxOptions, body func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, begin)
	if err != nil {
		return err
	}
	// However the body ends, a panic included; after the commit it does nothing.
	defer func() { _ = tx.Rollback() }()
	if err := body(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func (o TransactionOptions) record(ctx context.Context, tx *sql.Tx, token string, result json.RawMessage) error {
	if o.SQLite {
		_, err := tx.ExecContext(ctx, "SELECT stent_record_step(?, ?)", token, string(result))
		return err
	}
	schema := o.Schema
	if schema == "" {
		schema = "stent"
	}
	// The work has been done in this transaction; some work is to look at nothing.
	statement := `SELECT "` + strings.ReplaceAll(schema, `"`, `""`) + `".record_step($1, $2) FROM txid_current()`
	_, err := tx.ExecContext(ctx, statement, token, string(result))
	// No such schema, no such function.
	if state := sqlState(err); state == "3F000" || state == "42883" {
		message := fmt.Sprintf("there is no store in the schema %q of this database (%v): give the Schema of TransactionOptions that the store's URL names", schema, err)
		return &Failure{Type: typeName(err), Message: message}
	}
	return err
}
