package stent

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"sync/atomic"
)

// Codec writes values as JSON and reads them back: arguments, results, payloads of signals, progress, state. Bytes that are
// a value by themselves are not given to it: they travel in one way in all languages.
type Codec interface {
	Marshal(value any) ([]byte, error)
	Unmarshal(text []byte, into any) error
}

// SetCodec has values written and read by a codec of yours instead of encoding/json; nil gives them back to that. Before
// the first worker and the first dispatch.
func SetCodec(codec Codec) {
	if codec == nil {
		given.Store(nil)
		return
	}
	given.Store(&codec)
}

var given atomic.Pointer[Codec]

// An error of the caller's: no other attempt can do better. cause is what another package said of it, or nil.
func invalid(cause error, format string, args ...any) error {
	message := fmt.Sprintf(format, args...)
	if cause != nil {
		message += ": " + cause.Error()
	}
	return &Error{Status: ErrInvalid, Message: message, cause: cause}
}

// A value of the user's as it travels. What is wrong with it is told where it is written: what and args name the value.
func encode(value any, what string, args ...any) (json.RawMessage, error) {
	text, err := marshal(value)
	if err != nil {
		return nil, invalid(err, "%s, of type %T, can't be carried", fmt.Sprintf(what, args...), value)
	}
	return text, nil
}

func marshal(value any) ([]byte, error) {
	codec := given.Load()
	_, isBytes := asBytes(value).(Bytes)
	if isBytes || codec == nil {
		text, err := json.Marshal(asBytes(value))
		if err == nil && !isBytes && bytes.Contains(text, []byte(bytesKey)) && looksLikeBytes(reflect.ValueOf(value)) {
			err = fmt.Errorf("a map has bytes alone under %q, as what is written of bytes has", bytesKey)
		}
		return text, err
	}
	text, err := (*codec).Marshal(value)
	if err == nil && !json.Valid(text) {
		err = fmt.Errorf("the codec has written what is no JSON: %.100q", text)
	}
	return text, err
}

// Arguments as they travel.
func encodeArgs(function string, args Args) (json.RawMessage, error) {
	var list bytes.Buffer
	list.WriteByte('[')
	for i, arg := range args {
		text, err := encode(arg, "argument %d of %s", i+1, function)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			list.WriteByte(',')
		}
		list.Write(text)
	}
	list.WriteByte(']')
	return list.Bytes(), nil
}

// MarshalJSON writes each as an argument is written; a nil Args is no arguments.
func (a Args) MarshalJSON() ([]byte, error) { return encodeArgs("a call", a) }

// Reads a value of the user's into a pointer.
func decodeInto(text []byte, into any) error {
	codec := given.Load()
	if codec == nil {
		return readInto(text, into)
	}
	switch into := into.(type) {
	case *[]byte, *Bytes:
		return readInto(text, into)
	case *any:
		if err := (*codec).Unmarshal(text, into); err != nil {
			return err
		}
		*into = revived(*into)
		return nil
	}
	return (*codec).Unmarshal(text, into)
}

// A value that a call gave, as the type that the caller wants; what names it in the error.
func decode[R any](text, what string, args ...any) (R, error) {
	var value R
	if err := decodeInto([]byte(text), &value); err != nil {
		var none R
		return none, invalid(err, "%s is no %v", fmt.Sprintf(what, args...), reflect.TypeFor[R]())
	}
	return value, nil
}

var (
	writesItself = []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()}
	readsItself  = []reflect.Type{reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler]()}
)

// Why no value of a type can be carried, whatever it holds: then a handler need not be run to see it. A codec of the user's
// may carry anything.
func checkCarried[T any](what string) error {
	if given.Load() != nil {
		return nil
	}
	if bad := uncarried(reflect.TypeFor[T](), map[reflect.Type]bool{}); bad != nil {
		return invalid(nil, "%s, of type %v, can't be carried: JSON has no %v", what, reflect.TypeFor[T](), bad)
	}
	return nil
}

func uncarried(t reflect.Type, seen map[reflect.Type]bool) reflect.Type {
	if seen[t] {
		return nil
	}
	seen[t] = true
	for _, itself := range append(writesItself, readsItself...) {
		if t.Implements(itself) || reflect.PointerTo(t).Implements(itself) {
			return nil
		}
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return t
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return uncarried(t.Elem(), seen)
	case reflect.Struct:
		for i := 0; i < t.NumField(); i++ {
			field := t.Field(i)
			if !field.IsExported() && !field.Anonymous || field.Tag.Get("json") == "-" {
				continue
			}
			if bad := uncarried(field.Type, seen); bad != nil {
				return bad
			}
		}
	}
	return nil
}
