package stent

// #include "shim.h"
import "C"

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime/cgo"
)

// StoreFunction is a store of your own: it is given an operation and its request, and gives the response. Its error is
// ErrConflict for what is there already, ErrNotFound for what is not, or one that wraps them, or the [Error] of another
// store; any other is a store in trouble. Called on threads of the library, several at once.
type StoreFunction func(operation Operation, request json.RawMessage) (any, error)

// CustomStore makes a store of a function.
func CustomStore(function StoreFunction, options CustomOptions) (*Store, error) {
	if function == nil {
		return nil, invalid(nil, "the function of a custom store is nil")
	}
	text, err := encodeOptions(options)
	if err != nil {
		return nil, err
	}
	in, operations := cText(text), cstring{}
	defer in.free()
	if options.Operations != nil {
		names, err := json.Marshal(options.Operations)
		if err != nil {
			return nil, err
		}
		operations = cText(string(names))
		defer operations.free()
	}
	if err := hearFromTheStart(); err != nil {
		return nil, err
	}
	store := newStore()
	number := C.uintptr_t(cgo.NewHandle(function))
	err = call(func(why **C.stent_error) C.stent_status {
		return C.stent_go_custom(operations.c, in.c, number, &store.handle, why)
	})
	if err != nil {
		return nil, err
	}
	return store, nil
}

//export stentGoStore
func stentGoStore(number C.uintptr_t, operation, request *C.char, reply *C.stent_reply) {
	function := cgo.Handle(number).Value().(StoreFunction)
	asked, with := Operation(C.GoString(operation)), json.RawMessage(C.GoString(request))
	var text string
	refused := &Error{Status: ErrBackend, Message: "the store's function, or a method of its error or response, ended its " +
		"goroutine, by runtime.Goexit or a test's FailNow"}
	// On a thread of the library's, runtime.Goexit would end the program.
	_ = aside(func() { text, refused = answer(function, asked, with) })
	if refused == nil {
		out := cText(text)
		defer out.free()
		C.stent_reply_ok(reply, out.c)
		return
	}
	message, details := cText(refused.Message), cstring{}
	defer message.free()
	if len(refused.Details) > 0 {
		details = cText(string(refused.Details))
		defer details.free()
	}
	C.stent_reply_error(reply, C.stent_status(refused.Status), message.c, details.c)
}

// Asks the store's function. What panics in it, or in a method of what it returned, is a store in trouble.
func answer(function StoreFunction, operation Operation, request json.RawMessage) (text string, refused *Error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			refused = &Error{Status: ErrBackend, Message: fmt.Sprintf("the store's function panicked: %v", panicked)}
		}
	}()
	response, err := function(operation, request)
	if err == nil {
		encoded, why := json.Marshal(response)
		if why == nil {
			return string(encoded), nil
		}
		err = why
	}
	refused = &Error{Status: ErrBackend, Message: err.Error()}
	var came *Error
	if errors.As(err, &came) {
		refused.Status, refused.Details = came.Status, came.Details
	} else if !errors.As(err, &refused.Status) {
		refused.Status = ErrBackend
	}
	return "", refused
}
