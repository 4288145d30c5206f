// Package transactions_test is of a module of its own: the binding needs no driver, and this needs two.
package transactions_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/mattn/go-sqlite3"

	stent "github.com/stent-dev/stent/bindings/go"
)

// A condition that has not come true by then never will.
const patience = 60 * time.Second

func init() {
	lite := &sqlite3.SQLiteDriver{
		ConnectHook: func(connection *sqlite3.SQLiteConn) error {
			return connection.LoadExtension(filepath.Join(os.Getenv("STENT_LIB_DIR"), "libstent.so.0"), "stent_sqlite_init")
		},
	}
	sql.Register("sqlite3_stent", lite)
	sql.Register("lossy_sqlite", lossy{lite})
	sql.Register("contended_sqlite", contended{lite})
	sql.Register("lossy_postgres", lossy{stdlib.GetDefaultDriver()})
}

// What comes between a commit that was carried out and the one who has asked for it.
var afterCommit = func() error { return errors.New("the connection was lost") }

// Commits, and never hears of it.
type lossy struct{ driver.Driver }

func (l lossy) Open(name string) (driver.Conn, error) {
	connection, err := l.Driver.Open(name)
	return lossyConn{connection}, err
}

type lossyConn struct{ driver.Conn }

func (c lossyConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, options)
	return lossyTx{tx}, err
}

type lossyTx struct{ driver.Tx }

func (t lossyTx) Commit() error {
	if err := t.Tx.Commit(); err != nil {
		return err
	}
	return afterCommit()
}

// What comes before a transaction is begun, and gives what comes after.
var beforeBegin = func() (func(), error) { return func() {}, nil }

// Somebody else is in its way.
type contended struct{ driver.Driver }

func (c contended) Open(name string) (driver.Conn, error) {
	connection, err := c.Driver.Open(name)
	return contendedConn{connection}, err
}

type contendedConn struct{ driver.Conn }

func (c contendedConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	then, err := beforeBegin()
	if err != nil {
		return nil, err
	}
	defer then()
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, options)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A store with a table of the program's own.
type bank struct {
	t       *testing.T
	ctx     context.Context
	url     string
	options stent.TransactionOptions
	// Of the program: the driver's name, and what it opens.
	driver, name, lossy string
	db                  *sql.DB
	executor            *stent.Executor
}

var schemas atomic.Int32

func onBothStores(t *testing.T, test func(t *testing.T, here *bank)) {
	t.Run("sqlite", func(t *testing.T) { test(t, openBank(t, filepath.Join(t.TempDir(), "store.db"))) })
	t.Run("postgres", func(t *testing.T) {
		server := os.Getenv("STENT_TEST_POSTGRES")
		if server == "" {
			t.Fatal("STENT_TEST_POSTGRES is not set; run the tests by scripts/with-postgres")
		}
		joint := "?"
		if strings.Contains(server, "?") {
			joint = "&"
		}
		schema := fmt.Sprintf("schema=go steps %d %d&min_size=0&max_size=6", os.Getpid(), schemas.Add(1))
		test(t, openBank(t, server+joint+strings.ReplaceAll(schema, " ", "%20")))
	})
}

func openBank(t *testing.T, url string) *bank {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	store, err := stent.Open(ctx, url)
	check(t, err)
	here := &bank{t: t, ctx: ctx, url: url}
	if server, schema, found := strings.Cut(url, "schema="); found {
		schema, _, _ = strings.Cut(schema, "&")
		here.options.Schema = strings.ReplaceAll(schema, "%20", " ")
		here.driver, here.lossy = "pgx", "lossy_postgres"
		here.name = server + "search_path=%22" + schema + "%22"
	} else {
		here.options.SQLite = true
		here.driver, here.lossy = "sqlite3_stent", "lossy_sqlite"
		here.name = "file:" + url + "?_txlock=immediate&_busy_timeout=60000&_sync=full"
	}
	here.db = here.open(here.driver)
	_, err = here.db.Exec("CREATE TABLE IF NOT EXISTS accounts (number INTEGER PRIMARY KEY, balance INTEGER)")
	check(t, err)
	here.executor, err = stent.NewExecutor(store)
	check(t, err)
	t.Cleanup(func() {
		cancel()
		check(t, here.db.Close())
		check(t, store.Close())
	})
	return here
}

func (b *bank) open(driver string) *sql.DB {
	b.t.Helper()
	db, err := sql.Open(driver, b.name)
	check(b.t, err)
	b.t.Cleanup(func() { _ = db.Close() })
	return db
}

// Takes over soon what another one has left.
func (b *bank) worker() {
	b.t.Helper()
	worker, err := b.executor.StartWorker(stent.WorkerOptions{
		LeaseDuration: time.Second, PollInterval: 20 * time.Millisecond, PollIntervalMax: 50 * time.Millisecond,
	})
	check(b.t, err)
	b.t.Cleanup(func() { check(b.t, worker.Stop(context.Background())) })
}

func (b *bank) dispatch(function string) string {
	b.t.Helper()
	id, err := b.executor.Dispatch(b.ctx, function, nil)
	check(b.t, err)
	return id
}

func (b *bank) result(id string) (int, error) { return stent.Result[int](b.ctx, b.executor, id) }

func (b *bank) accounts() (count int) {
	b.t.Helper()
	check(b.t, b.db.QueryRow("SELECT count(*) FROM accounts").Scan(&count))
	return count
}
