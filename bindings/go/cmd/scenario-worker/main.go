// The scenario worker of bindings/scenarios.md: hosts the functions until it is told to stop.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	stent "github.com/stent-dev/stent/bindings/go"
	"github.com/stent-dev/stent/bindings/go/internal/functions"
)

func main() {
	if len(os.Args) < 2 || len(os.Args) > 3 {
		fmt.Fprintln(os.Stderr, "usage: scenario-worker <store url> [<worker options as a JSON object>]")
		os.Exit(2)
	}
	options := "{}"
	if len(os.Args) == 3 {
		options = os.Args[2]
	}
	if err := host(os.Args[1], options); err != nil {
		fmt.Fprintln(os.Stderr, "scenario-worker:", err)
		os.Exit(1)
	}
}

func host(url, options string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	store, err := stent.Open(ctx, url)
	if err != nil {
		return err
	}
	executor, err := stent.NewExecutor(store)
	if err != nil {
		return err
	}
	if err := functions.Register(executor); err != nil {
		return err
	}
	worker, err := executor.StartWorkerJSON(options)
	if err != nil {
		return err
	}
	if err := worker.Wait(ctx, "ready"); err != nil {
		return err
	}
	fmt.Println("ready")

	// The end of the standard input counts as SIGTERM.
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	<-ctx.Done()
	if err := worker.Drain(); err != nil {
		return err
	}
	fmt.Println("draining")
	if err := worker.Wait(context.Background(), "stopped"); err != nil {
		return err
	}
	if err := stent.Shutdown(context.Background()); err != nil {
		return err
	}
	fmt.Println("stopped")
	return nil
}
