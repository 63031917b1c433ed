package localshadow_test

import (
	"encoding/json"
	"fmt"
	"strings"
)

// decode reads a request for the model. encoding/json takes duplicate keys and
// any depth, so it is read token by token.
func (m *model) decode(payload string) (any, *refusal) {
	invalid := &refusal{code: 400, message: "Invalid JSON"}
	deep := &refusal{code: 400, message: fmt.Sprintf("JSON contains too many levels of nesting; maximum is %d", m.depth)}
	decoder := json.NewDecoder(strings.NewReader(payload))
	decoder.UseNumber()
	var read func(depth int) (any, *refusal)
	read = func(depth int) (any, *refusal) {
		token, err := decoder.Token()
		if err != nil {
			return nil, invalid
		}
		delim, ok := token.(json.Delim)
		if !ok {
			return token, nil
		}
		if depth == 0 {
			return nil, deep
		}
		object, list := doc{}, []any{}
		for decoder.More() {
			key := ""
			if delim == '{' {
				k, err := decoder.Token()
				if err != nil {
					return nil, invalid
				}
				if key, ok = k.(string); !ok {
					return nil, invalid
				}
				if _, twice := object[key]; twice {
					return nil, invalid
				}
			}
			v, r := read(depth - 1)
			if r != nil {
				return nil, r
			}
			object[key] = v
			list = append(list, v)
		}
		if _, err := decoder.Token(); err != nil {
			return nil, invalid
		}
		if delim == '{' {
			return object, nil
		}
		return list, nil
	}
	v, r := read(m.depth + 3)
	if r == deep {
		return nil, r
	}
	// Token is lax about what stands between the values.
	if r != nil || !json.Valid([]byte(payload)) {
		return nil, invalid
	}
	return v, nil
}
