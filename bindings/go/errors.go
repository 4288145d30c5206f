package stent

// #include "shim.h"
import "C"

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Status is what a call of the library answered. It is an error, so that errors.Is can ask for it:
//
//	if errors.Is(err, stent.ErrNotFound) { … }
type Status int32

const (
	StatusOK      Status = C.STENT_OK
	StatusPending Status = C.STENT_PENDING

	// ErrSuspended is what a durable call answers when what it waits for is not there yet. A handler returns it;
	// until it does, every further durable call on its task answers the same.
	ErrSuspended Status = C.STENT_SUSPEND

	ErrInvalid        Status = C.STENT_E_INVALID
	ErrNotFound       Status = C.STENT_E_NOT_FOUND
	ErrConflict       Status = C.STENT_E_CONFLICT
	ErrTimeout        Status = C.STENT_E_TIMEOUT
	ErrCancelled      Status = C.STENT_E_CANCELLED
	ErrClosed         Status = C.STENT_E_CLOSED
	ErrLeaseLost      Status = C.STENT_E_LEASE_LOST
	ErrNondeterminism Status = C.STENT_E_NONDETERMINISM
	ErrFailed         Status = C.STENT_E_FAILED
	ErrBackend        Status = C.STENT_E_BACKEND
	ErrUnsupported    Status = C.STENT_E_UNSUPPORTED
	ErrWrongThread    Status = C.STENT_E_WRONG_THREAD
	ErrForked         Status = C.STENT_E_FORKED
	ErrPanic          Status = C.STENT_E_PANIC
)

// Name is the status without its prefix, such as "NOT_FOUND".
func (s Status) Name() string { return C.GoString(C.stent_status_name(C.stent_status(s))) }

func (s Status) Error() string { return "stent: " + s.Name() }

// Error is a call that failed.
type Error struct {
	Status    Status
	Message   string
	Retryable bool
	// Facts for programs, such as the option that was unknown and those that are known.
	Details json.RawMessage
	// Why the child or the execution failed, when Status is ErrFailed.
	Failure *Failure
	// The failure as it came, to the letter.
	failure json.RawMessage
	// What another package said of a value, or nil.
	cause error
}

func (e *Error) Error() string { return e.Message }

// Is makes errors.Is(err, stent.ErrNotFound) true for an error of that status.
func (e *Error) Is(target error) bool {
	status, ok := target.(Status)
	return ok && status == e.Status
}

// Unwrap makes errors.As find the failure, or what encoding/json said of a value.
func (e *Error) Unwrap() error {
	if e.Failure == nil {
		return e.cause
	}
	return e.Failure
}

// An error as the library told it.
func errorFrom(status Status, text string) error {
	var told struct {
		Message   string          `json:"message"`
		Retryable bool            `json:"retryable"`
		Details   json.RawMessage `json:"details"`
		Failure   json.RawMessage `json:"failure"`
	}
	if err := json.Unmarshal([]byte(text), &told); err != nil {
		return fmt.Errorf("stent: %s, and its error can't be read: %w", status.Name(), err)
	}
	made := &Error{Status: status, Message: told.Message, Retryable: told.Retryable, Details: told.Details}
	if len(told.Failure) > 0 && string(told.Failure) != "null" {
		made.failure = told.Failure
		made.Failure = new(Failure)
		if err := json.Unmarshal(told.Failure, made.Failure); err != nil {
			return fmt.Errorf("stent: %s, and its failure can't be read: %w", status.Name(), err)
		}
	}
	return made
}

// Failure is why a task failed, in the shape that all languages share. A handler returns one to fail its task:
//
//	return "", &stent.Failure{Type: "CardDeclined", Message: "the card was declined", Final: true}
type Failure struct {
	Type    string
	Message string
	Code    string
	// No further attempt, whatever the retry policy says.
	Final bool
	// No further attempt sooner than this: seconds, or the text of an HTTP header Retry-After, as it came. Empty: as the
	// retry policy says.
	RetryAfter string
	Details    json.RawMessage
	Stack      string
}

func (f *Failure) Error() string { return f.Type + ": " + f.Message }

type failureJSON struct {
	Type      string  `json:"type"`
	Message   string  `json:"message"`
	Code      *string `json:"code"`
	Retryable *bool   `json:"retryable"`
	// A number, or what a handler has said.
	RetryAfter any             `json:"retry_after,omitempty"`
	Details    json.RawMessage `json:"details"`
	Stack      *string         `json:"stack"`
}

func (f *Failure) MarshalJSON() ([]byte, error) {
	retryable := !f.Final
	out := failureJSON{Type: f.Type, Message: f.Message, Retryable: &retryable, Details: f.Details}
	if f.Code != "" {
		out.Code = &f.Code
	}
	if f.RetryAfter != "" {
		out.RetryAfter = f.RetryAfter
	}
	if f.Stack != "" {
		out.Stack = &f.Stack
	}
	return json.Marshal(out)
}

func (f *Failure) UnmarshalJSON(text []byte) error {
	var in failureJSON
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	*f = Failure{Type: in.Type, Message: in.Message, Final: in.Retryable != nil && !*in.Retryable, Details: in.Details}
	if in.Code != nil {
		f.Code = *in.Code
	}
	switch after := in.RetryAfter.(type) {
	case float64:
		f.RetryAfter = strconv.FormatFloat(after, 'f', -1, 64)
	case string:
		f.RetryAfter = after
	}
	if in.Stack != nil {
		f.Stack = *in.Stack
	}
	return nil
}

// The failure that an error is told as, in JSON. A child's that is returned as it came goes out to the letter, and so
// the library knows it as a child's; one that is wrapped keeps its type, and is not tried again.
func failureOf(err error) ([]byte, error) {
	if came, ok := err.(*Error); ok && came.failure != nil {
		return came.failure, nil
	}
	if own, ok := err.(*Failure); ok {
		return json.Marshal(own)
	}
	var inner *Failure
	if errors.As(err, &inner) {
		told := *inner
		told.Message = err.Error()
		var came *Error
		if errors.As(err, &came) {
			told.Final = true
		}
		return json.Marshal(&told)
	}
	var came *Error
	if errors.As(err, &came) {
		told := &Failure{Type: came.Status.Name(), Message: err.Error(), Details: came.Details}
		// A mistake of the handler's, which it makes again.
		told.Final = came.Status == ErrInvalid
		if came.cause != nil {
			told.Type = typeName(came.cause)
		}
		return json.Marshal(told)
	}
	return json.Marshal(&Failure{Type: typeName(err), Message: err.Error()})
}

// The type of a value as its author wrote it, without the star: "fs.PathError".
func typeName(value any) string {
	name := fmt.Sprintf("%T", value)
	for len(name) > 0 && name[0] == '*' {
		name = name[1:]
	}
	return name
}
