// Orders and their executions in one transaction, by database/sql.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib"
)

func placeOrder(ctx context.Context, db *sql.DB, number int, price string) (execution string, err error) {
	args, err := json.Marshal([]any{number, price})
	if err != nil {
		return "", err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return "", err
	}
	defer tx.Rollback()
	if _, err = tx.ExecContext(ctx, "INSERT INTO orders (number, price) VALUES ($1, $2)", number, price); err != nil {
		return "", err
	}
	row := tx.QueryRowContext(ctx, "SELECT stent.dispatch('ship', $1, $2)", string(args), `{"queue": "shipping"}`)
	if err = row.Scan(&execution); err != nil {
		return "", err
	}
	return execution, tx.Commit()
}

func main() {
	ctx := context.Background()
	db, err := sql.Open("pgx", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	execution, err := placeOrder(ctx, db, 3, "4.75")
	if err != nil {
		log.Fatal(err)
	}
	// The same order again: neither the row nor another execution.
	if _, err := placeOrder(ctx, db, 3, "4.75"); err == nil {
		log.Fatal("the same order twice")
	}
	var refused *pgconn.PgError
	_, err = db.ExecContext(ctx, "SELECT stent.dispatch('ship', $1, $2)", "[]", `{"qeue": "q"}`)
	if !errors.As(err, &refused) || refused.Code != "22023" || refused.Detail != "STENT_E_INVALID" || refused.ColumnName != "qeue" {
		log.Fatal(err)
	}
	fmt.Println(execution)
}
