// Orders and their executions in transactions of database/sql, with the SQLite that the driver has compiled in.
package main

import (
	"database/sql"
	"fmt"
	"os"
	"strings"

	"github.com/mattn/go-sqlite3"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	path, library := os.Args[1], os.Args[2]
	sql.Register("sqlite3_stent", &sqlite3.SQLiteDriver{
		ConnectHook: func(connection *sqlite3.SQLiteConn) error {
			return connection.LoadExtension(library, "stent_sqlite_init")
		},
	})
	db, err := sql.Open("sqlite3_stent", "file:"+path+"?_txlock=immediate&_busy_timeout=60000&_sync=full")
	check(err)
	_, err = db.Exec("CREATE TABLE orders (id INTEGER PRIMARY KEY, job TEXT)")
	check(err)

	order := func(commits bool) {
		tx, err := db.Begin()
		check(err)
		added, err := tx.Exec("INSERT INTO orders (job) VALUES (NULL)")
		check(err)
		id, err := added.LastInsertId()
		check(err)
		var job string
		check(tx.QueryRow("SELECT stent_dispatch('ship', json_array(?))", id).Scan(&job))
		_, err = tx.Exec("UPDATE orders SET job = ? WHERE id = ?", job, id)
		check(err)
		if commits {
			check(tx.Commit())
		} else {
			check(tx.Rollback())
		}
	}
	order(true)
	order(false)

	// Several connections at once.
	done := make(chan struct{})
	for range 4 {
		go func() {
			for range 5 {
				order(true)
			}
			done <- struct{}{}
		}()
	}
	for range 4 {
		<-done
	}

	var orders, executions, linked int
	check(db.QueryRow("SELECT count(*) FROM orders").Scan(&orders))
	check(db.QueryRow("SELECT count(*) FROM executions").Scan(&executions))
	check(db.QueryRow("SELECT count(*) FROM orders o JOIN executions e ON lower(hex(e.id)) = replace(o.job, '-', '')").Scan(&linked))
	if orders != 21 || executions != 21 || linked != 21 {
		panic(fmt.Sprint(orders, executions, linked))
	}
	_, err = db.Exec("SELECT stent_dispatch('ship', '{}')")
	if err == nil || !strings.Contains(err.Error(), "args: it is an object") {
		panic(fmt.Sprint("not refused: ", err))
	}
	check(db.Close())
	fmt.Println("good")
}
