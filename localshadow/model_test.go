package localshadow_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"unicode/utf8"
)

// model is the shadow service once more, written from the documents without a
// look at the package: maps of encoding/json, a table of times by path, nothing
// done in place. It is slow, and simple enough to be believed.
type model struct {
	exists     bool
	version    int64
	state      map[string]any   // "desired" and "reported", when present
	times      map[string]int64 // of the leaves, by path
	size       int              // limit
	depth      int              // limit
	maxPayload int
}

// refusal is a rejection by the model.
type refusal struct {
	code    int
	message string
	token   any // nil: none
}

type doc = map[string]any

func newModel() *model {
	return &model{state: doc{}, times: map[string]int64{}, size: 8192, depth: 8, maxPayload: 128 << 10}
}

// update returns the three answers; delta is nil when there is none.
func (m *model) update(payload string, now int64) (accepted, documents, delta doc, r *refusal) {
	if len(payload) > m.maxPayload {
		return nil, nil, nil, &refusal{code: 413, message: "The payload exceeds the maximum size allowed"}
	}
	if !utf8.ValidString(payload) {
		return nil, nil, nil, &refusal{code: 415, message: "Unsupported documented encoding; supported encoding is UTF-8"}
	}
	value, r := m.decode(payload)
	if r != nil {
		return nil, nil, nil, r
	}
	request, _ := value.(doc)
	if request == nil {
		return nil, nil, nil, &refusal{code: 400, message: "Missing required node: state"}
	}
	token := request["clientToken"]
	if token != nil {
		if s, ok := token.(string); !ok || len(s) > 64 {
			return nil, nil, nil, &refusal{code: 400, message: "Invalid clientToken"}
		}
	}
	if r = m.check(request); r != nil {
		r.token = token
		return nil, nil, nil, r
	}
	if v, ok := request["version"].(json.Number); ok && v.String() != fmt.Sprint(m.current()) && v.String() != "-0" || ok && v.String() == "-0" && m.current() != 0 {
		return nil, nil, nil, &refusal{409, "Version conflict", token}
	}
	next, touched := m.merged(request["state"])
	if length(next["desired"])+length(next["reported"]) > m.size {
		return nil, nil, nil, &refusal{413, "The payload exceeds the maximum size allowed", token}
	}
	documents = doc{}
	if m.exists {
		documents["previous"] = m.snapshot()
	}
	m.version++
	m.exists, m.state = true, next
	m.times = m.timesAfter(touched, now)
	documents["current"] = m.snapshot()
	accepted = doc{"state": request["state"], "metadata": stamp(request["state"], now), "version": m.version}
	if d := m.delta(); d != nil {
		delta = doc{"state": d, "metadata": m.mirror(d, "desired"), "version": m.version}
	}
	for _, answer := range []doc{accepted, documents, delta} {
		finish(answer, token, now)
	}
	return accepted, documents, delta, nil
}

func finish(answer doc, token any, now int64) {
	if answer == nil {
		return
	}
	answer["timestamp"] = now
	if token != nil {
		answer["clientToken"] = token
	}
}

func (m *model) current() int64 {
	if m.exists {
		return m.version
	}
	return 0
}

func (m *model) get(now int64) (doc, *refusal) {
	if !m.exists {
		return nil, &refusal{code: 404, message: "No shadow exists with name: 'GG_TrafficLight'"}
	}
	answer := m.snapshot()
	if d := m.delta(); d != nil {
		state := doc{"delta": d}
		for k, v := range m.state {
			state[k] = v
		}
		answer["state"] = state
	}
	finish(answer, nil, now)
	return answer, nil
}

func (m *model) delete(now int64) (doc, *refusal) {
	if !m.exists {
		return nil, &refusal{code: 404, message: "No shadow exists with name: 'GG_TrafficLight'"}
	}
	m.exists, m.state, m.times = false, doc{}, map[string]int64{}
	answer := doc{"version": m.version}
	finish(answer, nil, now)
	return answer, nil
}

// check looks at the form of a request.
func (m *model) check(request doc) *refusal {
	fault := func(message string) *refusal { return &refusal{code: 400, message: message} }
	switch v := request["version"].(type) {
	case nil:
	case json.Number:
		n, ok := new(big.Int).SetString(v.String(), 10)
		if !ok || n.Sign() < 0 || !n.IsInt64() {
			return fault("Invalid version")
		}
	default:
		return fault("Invalid version")
	}
	value, ok := request["state"]
	if !ok {
		return fault("Missing required node: state")
	}
	if value == nil {
		return nil
	}
	state, ok := value.(doc)
	if !ok {
		return fault("State node must be an object")
	}
	// Of several faults the first in the request is told; the model does not know
	// the order, so that generated requests have one at most.
	for k, v := range state {
		if k != "desired" && k != "reported" {
			return fault("State contains an invalid node")
		}
		if _, ok := v.(doc); !ok && v != nil {
			return fault(strings.ToUpper(k[:1]) + k[1:] + " node must be an object")
		}
	}
	if nullInArray(state) {
		return fault("State contains an invalid node")
	}
	return nil
}

func nullInArray(v any) bool {
	switch v := v.(type) {
	case doc:
		for _, e := range v {
			if nullInArray(e) {
				return true
			}
		}
	case []any:
		for _, e := range v {
			if e == nil || nullInArray(e) {
				return true
			}
		}
	}
	return false
}

// merged returns the state after a patch, and the paths of the leaves it sets.
func (m *model) merged(patch any) (next doc, touched map[string]bool) {
	touched = map[string]bool{}
	if patch == nil {
		return doc{}, touched
	}
	next = doc{}
	for k, v := range m.state {
		next[k] = v
	}
	for section, p := range patch.(doc) {
		if p == nil {
			delete(next, section)
			continue
		}
		old, had := next[section]
		if v, ok := laid(old, had, p, section, touched); ok && len(v.(doc)) > 0 {
			next[section] = v
		} else {
			delete(next, section)
		}
	}
	return next, touched
}

// laid returns what a value is after a patch, and whether it is there at all.
func laid(old any, had bool, patch any, path string, touched map[string]bool) (any, bool) {
	p, ok := patch.(doc)
	if !ok {
		touched[path] = true
		return patch, patch != nil
	}
	result := doc{}
	if o, ok := old.(doc); ok {
		for k, v := range o {
			result[k] = v
		}
	}
	for k, v := range p {
		o, there := result[k]
		if n, ok := laid(o, there, v, under(path, k), touched); ok {
			result[k] = n
		} else {
			delete(result, k)
		}
	}
	return result, had || len(result) > 0 || len(p) == 0
}

func under(path, key string) string { return path + "\x00" + fmt.Sprintf("%q", key) }

// timesAfter returns the times of the leaves that there are now.
func (m *model) timesAfter(touched map[string]bool, now int64) map[string]int64 {
	times := map[string]int64{}
	var walk func(v any, path string)
	walk = func(v any, path string) {
		if o, ok := v.(doc); ok {
			for k, e := range o {
				walk(e, under(path, k))
			}
		} else if times[path] = m.times[path]; touched[path] {
			times[path] = now
		}
	}
	for section, v := range m.state {
		walk(v, section)
	}
	return times
}

func (m *model) snapshot() doc {
	metadata := doc{}
	for section, v := range m.state {
		metadata[section] = m.mirror(v, section)
	}
	return doc{"state": m.state, "metadata": metadata, "version": m.version}
}

// mirror returns the metadata of a value at path.
func (m *model) mirror(v any, path string) any {
	o, ok := v.(doc)
	if !ok {
		return stamp(v, m.times[path])
	}
	result := doc{}
	for k, e := range o {
		result[k] = m.mirror(e, under(path, k))
	}
	return result
}

func stamp(v any, t int64) any {
	switch v := v.(type) {
	case doc:
		result := doc{}
		for k, e := range v {
			result[k] = stamp(e, t)
		}
		return result
	case []any:
		result := make([]any, len(v))
		for i, e := range v {
			result[i] = stamp(e, t)
		}
		return result
	}
	return doc{"timestamp": t}
}

func (m *model) delta() any {
	d, _ := m.state["desired"].(doc)
	r, _ := m.state["reported"].(doc)
	if result := difference(d, r); len(result) > 0 {
		return result
	}
	return nil
}

func difference(d, r doc) doc {
	result := doc{}
	for k, v := range d {
		w, there := r[k]
		vo, vok := v.(doc)
		wo, wok := w.(doc)
		switch {
		case !there:
			result[k] = v
		case vok && wok:
			if inner := difference(vo, wo); len(inner) > 0 {
				result[k] = inner
			}
		case !alike(v, w):
			result[k] = v
		}
	}
	return result
}
