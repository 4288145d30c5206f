package stent

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
)

// The key of bytes in JSON.
const bytesKey = "$base64"

// Bytes travel as bytes, and come out as bytes in every language, whatever they spell. A []byte that is an argument, a
// result, a signal's payload or another value by itself is Bytes too; in a struct or a slice say Bytes, for
// encoding/json makes a string of a []byte there.
type Bytes []byte

type bytesJSON struct {
	Base64 *string `json:"$base64"`
}

func (b Bytes) MarshalJSON() ([]byte, error) {
	text := base64.StdEncoding.EncodeToString(b)
	return json.Marshal(bytesJSON{&text})
}

func (b *Bytes) UnmarshalJSON(text []byte) error {
	var in bytesJSON
	if len(text) == 0 || text[0] != '{' {
		// As encoding/json has them, or null.
		return json.Unmarshal(text, (*[]byte)(b))
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	if in.Base64 == nil {
		return fmt.Errorf("stent: an object that is no bytes: %.100s", text)
	}
	held, err := base64.StdEncoding.DecodeString(*in.Base64)
	*b = held
	return err
}

func asBytes(value any) any {
	if held, ok := value.([]byte); ok {
		return Bytes(held)
	}
	return value
}

// Reads JSON into a pointer, bytes as bytes.
func readInto(text []byte, into any) error {
	switch into := into.(type) {
	case *[]byte:
		return json.Unmarshal(text, (*Bytes)(into))
	case *any:
		if err := json.Unmarshal(text, into); err != nil {
			return err
		}
		*into = revived(*into)
		return nil
	}
	return json.Unmarshal(text, into)
}

// Bytes in a value of whatever shape, at any depth.
func revived(value any) any {
	switch value := value.(type) {
	case []any:
		for i, element := range value {
			value[i] = revived(element)
		}
	case map[string]any:
		held, isBytes := value[bytesKey]
		if isBytes && len(value) == 1 {
			if text, ok := held.(string); ok {
				if decoded, err := base64.StdEncoding.DecodeString(text); err == nil {
					return Bytes(decoded)
				}
			}
			// An object that only looks so, with one key more around it: it is written back as it is.
			if inner, ok := held.(map[string]any); ok && isMark(inner) {
				return value
			}
		}
		for name, member := range value {
			value[name] = revived(member)
		}
	}
	return value
}

// A text under the key of bytes, alone, or such an object there.
func isMark(value map[string]any) bool {
	held, is := value[bytesKey]
	if !is || len(value) != 1 {
		return false
	}
	if inner, ok := held.(map[string]any); ok {
		return isMark(inner)
	}
	_, isText := held.(string)
	return isText
}

// Whether bytes in the value would come out as text: bytes alone under the key of bytes. For values that encoding/json has written, which hold no circles.
func looksLikeBytes(value reflect.Value) bool {
	value = bare(value)
	switch value.Kind() {
	case reflect.Slice, reflect.Array:
		for i := range value.Len() {
			if looksLikeBytes(value.Index(i)) {
				return true
			}
		}
	case reflect.Map:
		if held, is := aloneUnderKey(value); is {
			for inner, is := aloneUnderKey(held); is; inner, is = aloneUnderKey(held) {
				held = inner
			}
			if held.Kind() == reflect.String {
				// JSON that a program passes on as it got it.
				return false
			}
			if held.Kind() == reflect.Slice && held.Type().Elem().Kind() == reflect.Uint8 {
				return true
			}
			return looksLikeBytes(held)
		}
		for each := value.MapRange(); each.Next(); {
			if looksLikeBytes(each.Value()) {
				return true
			}
		}
	}
	return false
}

func aloneUnderKey(value reflect.Value) (held reflect.Value, is bool) {
	if value.Kind() != reflect.Map || value.Len() != 1 || value.Type().Key().Kind() != reflect.String {
		return held, false
	}
	each := value.MapRange()
	each.Next()
	return bare(each.Value()), each.Key().String() == bytesKey
}

// What an interface or a pointer holds.
func bare(value reflect.Value) reflect.Value {
	for value.Kind() == reflect.Interface || value.Kind() == reflect.Pointer {
		value = value.Elem()
	}
	return value
}
