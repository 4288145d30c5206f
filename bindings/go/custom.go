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
	response, err := answer(function, Operation(C.GoString(operation)), json.RawMessage(C.GoString(request)))
	if err == nil {
		var text []byte
		if text, err = json.Marshal(response); err == nil {
			out := cText(string(text))
			defer out.free()
			C.stent_reply_ok(reply, out.c)
			return
		}
	}
	status, details := ErrBackend, cstring{}
	var came *Error
	if errors.As(err, &came) {
		status, details = came.Status, cText(string(came.Details))
		defer details.free()
	} else if !errors.As(err, &status) {
		status = ErrBackend
	}
	message := cText(err.Error())
	defer message.free()
	C.stent_reply_error(reply, C.stent_status(status), message.c, details.c)
}

func answer(function StoreFunction, operation Operation, request json.RawMessage) (response any, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("the store's function panicked: %v", panicked)
		}
	}()
	return function(operation, request)
}
