package cloudtest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// The pure part of the shadow service: JSON trees of map[string]any, []any,
// json.Number, string, bool and nil (aws-iot.md 1.4 to 1.7).

type object = map[string]any

// merger merges patches at a time, in Unix seconds, as the readings have it.
type merger struct {
	stamp    int64
	readings *Readings
}

// merge merges a patch into state, and stamps what it touches in metadata.
// Objects merge, null removes, all else replaces.
func (m merger) merge(state, metadata, patch object) {
	for key, value := range patch {
		switch value := value.(type) {
		case nil:
			delete(state, key)
			delete(metadata, key)
		case object:
			inner, ok := state[key].(object)
			innerMeta, okMeta := metadata[key].(object)
			if !ok || !okMeta {
				if m.readings.NullsLeaveNothing && nullsAlone(value) {
					delete(state, key)
					delete(metadata, key)
					continue
				}
				inner, innerMeta = object{}, object{}
				state[key], metadata[key] = inner, innerMeta
			}
			m.merge(inner, innerMeta, value)
		default:
			state[key], metadata[key] = value, m.stamps(value)
		}
	}
}

// nullsAlone tells whether an object has members, and all are nulls or such
// objects.
func nullsAlone(o object) bool {
	for _, value := range o {
		inner, ok := value.(object)
		if value != nil && !(ok && nullsAlone(inner)) {
			return false
		}
	}
	return len(o) > 0
}

// stamps mirrors a value with a timestamp at every leaf; nil is none. A null,
// which only a request has, is a leaf.
func (m merger) stamps(value any) any {
	switch value := value.(type) {
	case nil:
		if m.readings.NullsUnstamped {
			return nil
		}
	case object:
		out := object{}
		for key, inner := range value {
			if stamped := m.stamps(inner); stamped != nil {
				out[key] = stamped
			}
		}
		return out
	case []any:
		if m.readings.ArrayStamp {
			break
		}
		out := make([]any, len(value))
		for i, inner := range value {
			out[i] = m.stamps(inner)
		}
		return out
	}
	return object{"timestamp": m.stamp}
}

// difference is what desired has and reported lacks or has otherwise, with the
// metadata of desired.
func difference(desired, reported, metadata object) (delta, deltaMeta object) {
	delta, deltaMeta = object{}, object{}
	for key, want := range desired {
		have, there := reported[key]
		wantObject, ok := want.(object)
		haveObject, okHave := have.(object)
		if ok && okHave {
			inner, _ := metadata[key].(object)
			if d, m := difference(wantObject, haveObject, inner); len(d) > 0 {
				delta[key], deltaMeta[key] = d, m
			}
			continue
		}
		if !there || !same(want, have) {
			delta[key], deltaMeta[key] = want, metadata[key]
		}
	}
	return delta, deltaMeta
}

// same compares values; numbers by value, so 1 is 1.0 (AWS does not say).
func same(a, b any) bool {
	switch a := a.(type) {
	case object:
		b, ok := b.(object)
		if !ok || len(a) != len(b) {
			return false
		}
		for key, inner := range a {
			if other, there := b[key]; !there || !same(inner, other) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, same)
	case json.Number:
		b, ok := b.(json.Number)
		return ok && sameNumber(string(a), string(b))
	}
	return a == b
}

func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	if !strings.ContainsAny(a+b, ".eE") {
		return false // two integers: their text decides, also beyond 2^53
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && x == y
}

// clone copies a tree, so that an answer does not change with the shadow.
func clone(value any) any {
	switch value := value.(type) {
	case object:
		out := make(object, len(value))
		for key, inner := range value {
			out[key] = clone(inner)
		}
		return out
	case []any:
		out := make([]any, len(value))
		for i, inner := range value {
			out[i] = clone(inner)
		}
		return out
	}
	return value
}

// depth is how many levels a value has: 0 for a scalar.
func depth(value any) (levels int) {
	switch value := value.(type) {
	case object:
		for _, inner := range value {
			levels = max(levels, depth(inner))
		}
		return levels + 1
	case []any:
		for _, inner := range value {
			levels = max(levels, depth(inner))
		}
		return levels + 1
	}
	return 0
}

// nullInArray tells whether an array, at any depth, has a null element.
func nullInArray(value any) bool {
	switch value := value.(type) {
	case object:
		for _, inner := range value {
			if nullInArray(inner) {
				return true
			}
		}
	case []any:
		for _, inner := range value {
			if inner == nil || nullInArray(inner) {
				return true
			}
		}
	}
	return false
}
