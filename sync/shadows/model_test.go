package shadows_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"
)

// The reference model: what the rules of the package comment make of two
// documents, written anew on plain maps. It shares nothing with the reconciler.

// object is a JSON object; its values are objects, []any, json.Number, string,
// bool and nil.
type object = map[string]any

// state is the document of a shadow on one side: desired and reported, those that
// have members. nil is a shadow that does not exist.
type state object

// readState takes the state out of an answer of the service to a get.
func readState(answer []byte) (s state, version int64) {
	var d struct {
		State   object
		Version int64
	}
	r := json.NewDecoder(bytes.NewReader(answer))
	r.UseNumber()
	if err := r.Decode(&d); err != nil {
		panic(fmt.Sprintf("%s: %v", answer, err))
	}
	delete(d.State, "delta")
	if d.State == nil {
		d.State = object{}
	}
	return state(d.State), d.Version
}

func (s state) String() string {
	if s == nil {
		return "none"
	}
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// same compares values, numbers by value.
func same(a, b any) bool { return reflect.DeepEqual(plain(a), plain(b)) }

func sameState(a, b state) bool { return (a == nil) == (b == nil) && same(object(a), object(b)) }

// plain gives each value one form.
func plain(v any) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for key, inner := range v {
			out[key] = plain(inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	case json.Number:
		r, ok := new(big.Rat).SetString(string(v))
		if !ok {
			panic("no number: " + string(v))
		}
		return r.RatString()
	case string:
		return "text " + v
	}
	return v
}

// missing is a value that is not there.
type missing struct{}

// member is a member of what may be an object.
func member(v any, key string) any {
	if o, ok := v.(object); ok {
		if inner, there := o[key]; there {
			return inner
		}
	}
	return missing{}
}

// clash is a leaf that both sides changed, differently.
type clash struct{ path string }

// merge is what comes of two documents that had base in common (nil: nothing).
// Of a whole document that one side deleted, the other's changes decide.
func merge(base, local, cloud state) (merged state, clashes []clash) {
	switch {
	case local == nil && cloud == nil:
		return nil, nil
	case local == nil || cloud == nil:
		left := local
		if left == nil {
			left = cloud
		}
		if base == nil { // never there
			return left, nil
		}
		if sameState(left, base) {
			return nil, nil
		}
		return left, []clash{{""}}
	}
	merged = state{}
	for _, name := range []string{"desired", "reported"} {
		section := func(s state) any {
			if o, ok := s[name].(object); ok {
				return o
			}
			return object{}
		}
		v := merge3(name, "", section(base), section(local), section(cloud), &clashes)
		if o, ok := v.(object); ok && len(o) > 0 {
			merged[name] = o
		}
	}
	return merged, clashes
}

// mergeDown is what comes of a local document that gives way to that of the cloud:
// what is reported here stays, where the cloud has not changed it.
func mergeDown(base, local, cloud state) state {
	if local == nil || cloud == nil {
		return cloud
	}
	asDesired := func(s state) state { return state{"desired": s["reported"]} } // in which the cloud wins
	merged, _ := merge(asDesired(base), asDesired(local), asDesired(cloud))
	return withReported(cloud, state{"reported": merged["desired"]})
}

func merge3(section, path string, base, local, cloud any, clashes *[]clash) any {
	if same(local, cloud) || same(base, cloud) {
		return local
	}
	if same(base, local) {
		return cloud
	}
	_, wasObject := base.(object)
	_, localObject := local.(object)
	_, cloudObject := cloud.(object)
	gone := local == missing{} || cloud == missing{}
	if localObject && cloudObject || wasObject && gone && len(keys(local, cloud)) > 0 {
		out := object{}
		for key := range keys(local, cloud) {
			v := merge3(section, path+"/"+key, member(base, key), member(local, key), member(cloud, key), clashes)
			if v != (missing{}) {
				out[key] = v
			}
		}
		if gone && len(out) == 0 {
			return missing{}
		}
		return out
	}
	*clashes = append(*clashes, clash{section + path})
	if section == "desired" {
		return cloud
	}
	return local
}

func keys(values ...any) map[string]bool {
	all := map[string]bool{}
	for _, v := range values {
		if o, ok := v.(object); ok {
			for key := range o {
				all[key] = true
			}
		}
	}
	return all
}

// leaves are the values of a document that are no object with members, by path.
func (s state) leaves() map[string]any {
	out := map[string]any{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		if o, ok := v.(object); ok && len(o) > 0 {
			for key, inner := range o {
				walk(path+"/"+key, inner)
			}
			return
		}
		out[path] = v
	}
	for key, v := range s {
		walk(key, v)
	}
	return out
}

// at is the value at a path.
func (s state) at(path string) any {
	var v any = object(s)
	for _, key := range strings.Split(path, "/") {
		v = member(v, key)
	}
	return v
}

// write is one operation that somebody did on one side: the paths that it
// touched, and the document that it left there.
type write struct {
	touched map[string]bool // nil: all
	after   state
}

// touches tells whether an operation had a say at a path: it named the path, or
// one above or below it.
func (w write) touches(path string) bool {
	if w.touched == nil {
		return true
	}
	for t := range w.touched {
		if t == path || strings.HasPrefix(path, t+"/") || strings.HasPrefix(t, path+"/") {
			return true
		}
	}
	return false
}

// touchedBy are the paths that the state of an update names.
func touchedBy(update object) map[string]bool {
	out := map[string]bool{}
	for path := range state(update).leaves() {
		out[path] = true
	}
	return out
}

// unexplained names a path of the outcome whose value nobody wrote: each must be
// as it was in common, or as the last write of one side that touched it left it.
// Operations of one side follow each other; those of the two may have met in any
// order.
func unexplained(base, outcome state, local, cloud []write) string {
	all, deleted := map[string]any{}, false
	for _, s := range []state{base, outcome} {
		for path := range s.leaves() {
			all[path] = nil
		}
	}
	for _, w := range slices.Concat(local, cloud) {
		deleted = deleted || w.after == nil
	}
	for path := range all {
		var may []any
		for _, side := range [][]write{local, cloud} {
			for i := len(side) - 1; i >= 0; i-- {
				if side[i].touches(path) {
					may = append(may, side[i].after.at(path))
					break
				}
			}
		}
		if len(may) == 0 {
			may = []any{base.at(path)}
		}
		if got, ok := outcome.at(path).(object); ok && len(got) > 0 {
			continue // it was a leaf in base, and has become members, each a path of its own
		}
		if got, ok := outcome.at(path).(object); ok && len(got) == 0 && (touchedBelow(local, path) || touchedBelow(cloud, path)) {
			continue // each side took some of its members
		}
		if deleted || replaced(local, path) || replaced(cloud, path) { // what survives a deletion is whole
			may = append(may, base.at(path))
			for _, w := range slices.Concat(local, cloud) {
				may = append(may, w.after.at(path))
			}
		}
		got, found := outcome.at(path), false
		for _, v := range may {
			found = found || same(got, v)
		}
		if !found {
			return fmt.Sprintf("%s is %v, which nobody wrote last: %v", path, got, may)
		}
	}
	return ""
}

// touchedBelow tells whether a write named what is below a path.
func touchedBelow(writes []write, path string) bool {
	for _, w := range writes {
		for t := range w.touched {
			if strings.HasPrefix(t, path+"/") {
				return true
			}
		}
	}
	return false
}

// replaced tells whether a write put a value, or nothing, in the place of an object
// that a path leads through: then the object of the other side may have won whole.
func replaced(writes []write, path string) bool {
	for _, w := range writes {
		for t := range w.touched {
			if strings.HasPrefix(path, t+"/") {
				return true
			}
		}
	}
	return false
}
