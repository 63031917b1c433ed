package localshadow_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"sort"
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

func alike(v, w any) bool {
	switch v := v.(type) {
	case json.Number:
		n, ok := w.(json.Number)
		return ok && (v == n || value(v).Cmp(value(n)) == 0)
	case doc:
		o, ok := w.(doc)
		if !ok || len(v) != len(o) {
			return false
		}
		for k, e := range v {
			f, there := o[k]
			if !there || !alike(e, f) {
				return false
			}
		}
		return true
	case []any:
		l, ok := w.([]any)
		if !ok || len(v) != len(l) {
			return false
		}
		for i := range v {
			if !alike(v[i], l[i]) {
				return false
			}
		}
		return true
	}
	return v == w
}

func value(n json.Number) *big.Rat {
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		panic("no number: " + n)
	}
	return r
}

// length is that of the compact text.
func length(v any) int {
	if v == nil {
		return 0
	}
	return len(compact(nil, v))
}

func compact(b []byte, v any) []byte {
	switch v := v.(type) {
	case doc:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		b = append(b, '{')
		for i, k := range keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(compact(b, k), ':')
			b = compact(b, v[k])
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = compact(b, e)
		}
		return append(b, ']')
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err)
	}
	s := strings.TrimSuffix(text.String(), "\n")
	// encoding/json escapes two separators that JSON need not escape.
	s = strings.ReplaceAll(strings.ReplaceAll(s, `\u2028`, "\u2028"), `\u2029`, "\u2029")
	return append(b, s...)
}
