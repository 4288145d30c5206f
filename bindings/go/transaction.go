package stent

// #include "shim.h"
import "C"

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
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
}

// Transaction runs a function in a transaction on the store's own database, once: the transaction has the step's record
// too, so what the function does there is done exactly once. It neither commits nor rolls back.
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
	op, token, err := t.beginTransaction(name, given.Key)
	if err != nil {
		return result, err
	}
	if token != "" {
		failed := inTransaction(t.Context(), db, func(tx *sql.Tx) error {
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

func inTransaction(ctx context.Context, db *sql.DB, body func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
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
	statement := "SELECT stent_record_step(?, ?)"
	if !o.SQLite {
		schema := o.Schema
		if schema == "" {
			schema = "stent"
		}
		statement = `SELECT "` + strings.ReplaceAll(schema, `"`, `""`) + `".record_step($1, $2)`
	}
	_, err := tx.ExecContext(ctx, statement, token, string(result))
	return err
}
