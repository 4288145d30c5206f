// An HTTP server with a worker in it: POST /orders?item=… starts a workflow, GET /orders/{id} tells of it. SIGTERM drains
// both: no request is cut off, no handler either, and what waits goes on with the next start.
//
//	go run . [<store url> [<address>]]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	stent "github.com/stent-dev/stent/bindings/go"
)

// What a start may take to end, of requests and of handlers.
const drain = 20 * time.Second

type receipt struct {
	Item  string `json:"item"`
	Price int    `json:"price"`
}

var (
	price = stent.Define1[string, int]("price")
	order = stent.Define1[string, receipt]("order")
)

func prices(_ *stent.Task, item string) (int, error) { return 100 * len(item), nil }

func orders(task *stent.Task, item string) (receipt, error) {
	cost, err := price.Call(task, item)
	if err != nil {
		return receipt{}, err
	}
	task.Logger().Info("ordered", "item", item)
	return receipt{item, cost}, nil
}

func routes(executor *stent.Executor) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", func(answer http.ResponseWriter, request *http.Request) {
		// A request that is sent again starts nothing new.
		key := stent.DispatchOptions{IdempotencyKey: request.Header.Get("Idempotency-Key")}
		started, err := order.Dispatch(request.Context(), executor, request.FormValue("item"), key)
		if err != nil {
			refuse(answer, err)
			return
		}
		answer.Header().Set("Location", "/orders/"+started.ID)
		answer.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("GET /orders/{id}", func(answer http.ResponseWriter, request *http.Request) {
		// Its end, if it comes soon.
		ctx, cancel := context.WithTimeout(request.Context(), 10*time.Second)
		defer cancel()
		got, err := order.Started(executor, request.PathValue("id")).Result(ctx)
		if err != nil {
			refuse(answer, err)
			return
		}
		answer.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(answer).Encode(got)
	})
	return mux
}

func refuse(answer http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		code = http.StatusAccepted
	case errors.Is(err, stent.ErrNotFound):
		code = http.StatusNotFound
	case errors.Is(err, stent.ErrInvalid):
		code = http.StatusBadRequest
	case errors.Is(err, stent.ErrConflict):
		code = http.StatusConflict
	}
	http.Error(answer, err.Error(), code)
}

func run(ctx context.Context, url, address string) error {
	store, err := stent.Open(ctx, url)
	if err != nil {
		return err
	}
	executor, err := stent.NewExecutor(store)
	if err != nil {
		return err
	}
	if err := executor.Register(price.With(prices), order.With(orders)); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	server := &http.Server{Handler: routes(executor)}
	ends := make(chan error, 2)
	go func() {
		// One that can't go on takes the other along.
		defer stop()
		ends <- executor.Serve(ctx, drain)
	}()
	go func() {
		defer stop()
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			ends <- err
			return
		}
		ends <- nil
	}()
	fmt.Println("listening on", listener.Addr())
	<-ctx.Done()
	slog.Info("draining")
	end, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	return errors.Join(server.Shutdown(end), <-ends, <-ends, stent.Shutdown(end))
}

func main() {
	url, address := "orders.db", "127.0.0.1:8080"
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	if len(os.Args) > 2 {
		address = os.Args[2]
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, url, address); err != nil {
		slog.Error("the server has ended", "error", err)
		os.Exit(1)
	}
}
