// Package stent runs workflows that survive crashes, on a SQLite file or a PostgreSQL database, over libstent's C API.
//
// Open a [Store], make an [Executor] on it, tell it the functions that this process has code for by
// [Executor.Handle], start a [Worker]; dispatch executions, here or in any other process on the same store.
//
// A handler calls other functions by [Call], sleeps, waits for signals. What is not there yet is answered by
// [ErrSuspended]: return it, as any other error, and the handler is run again from the top when it is there.
//
// The library is the one that pkg-config knows, or, with the build tag stent_lib_dir, that of a folder: see README.md.
package stent

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"runtime/cgo"
	"time"
	"unsafe"
)

// Version is the library's, such as "0.1.0".
func Version() string { return C.GoString(C.stent_version()) }

// Describe tells all that the library knows, as JSON: statuses, operations, options, records.
func Describe() json.RawMessage { return json.RawMessage(C.GoString(C.stent_describe())) }

// Configure sets what holds for the whole process, before the first store is opened.
func Configure(options ConfigureOptions) error {
	text, err := encodeOptions(options)
	if err != nil {
		return err
	}
	in := cText(text)
	defer in.free()
	return call(func(why **C.stent_error) C.stent_status { return C.stent_configure(in.c, why) })
}

// Shutdown drains and stops every worker of the process, closes every store, and waits for the library's last
// callback. Not in a handler. The end of ctx ends the wait: handlers that still run then are given up.
func Shutdown(ctx context.Context) error {
	if err := checkOutside("shutdown"); err != nil {
		return err
	}
	return background(ctx, func() error {
		working.Range(func(worker, _ any) bool {
			working.Delete(worker)
			return true
		})
		return call(func(why **C.stent_error) C.stent_status { return C.stent_shutdown(millis(ctx), why) })
	})
}

//export stentGoFree
func stentGoFree(number C.uintptr_t) { cgo.Handle(number).Delete() }

// A text in C's memory.
type cstring struct{ c *C.char }

func cText(text string) cstring { return cstring{C.CString(text)} }

func (s cstring) free() { C.free(unsafe.Pointer(s.c)) }

// Takes over a text that the library gave.
func taken(text *C.char) string {
	defer C.stent_free(unsafe.Pointer(text))
	return C.GoString(text)
}

// Makes a call, and an error of what it answers.
func call(make func(why **C.stent_error) C.stent_status) error {
	err := callJSON(make)
	var told *Error
	if errors.As(err, &told) {
		told.respell()
	}
	return err
}

// As call, for options that were given as JSON: its errors name them as they are there.
func callJSON(make func(why **C.stent_error) C.stent_status) error {
	var why *C.stent_error
	status := make(&why)
	if status >= 0 {
		return nil
	}
	defer C.stent_error_free(why)
	return errorFrom(Status(status), C.GoString(C.stent_error_json(why)))
}

// Makes a call that gives a text.
func callText(make func(out **C.char, why **C.stent_error) C.stent_status) (string, error) {
	var out *C.char
	if err := call(func(why **C.stent_error) C.stent_status { return make(&out, why) }); err != nil {
		return "", err
	}
	return taken(out), nil
}

// Calls that block hold a thread of the system each; beyond so many the next ones wait for a place.
var places = make(chan struct{}, 128)

// Runs what may block, until it is done or ctx is: then what it does goes on without the caller.
func background(ctx context.Context, work func() error) error {
	// select takes any of two that are ready: what is over before it began must not be done.
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case places <- struct{}{}:
	}
	if ctx.Done() == nil {
		defer func() { <-places }()
		return work()
	}
	done := make(chan error, 1)
	go func() {
		defer func() { <-places }()
		done <- work()
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// The time that ctx leaves, in milliseconds; -1 for as long as it takes.
func millis(ctx context.Context) C.int64_t {
	deadline, ok := ctx.Deadline()
	if !ok {
		return -1
	}
	left := time.Until(deadline).Milliseconds()
	if left < 0 {
		left = 0
	}
	return C.int64_t(left)
}
