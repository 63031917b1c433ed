package configs

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"greengate/subscriptions"
)

// maxAliased bounds how many values may be read through aliases: a page of
// nested aliases can stand for more values than there is memory.
const maxAliased = 1_000_000

// decoder reads YAML nodes into Go values, strictly and over what the values
// hold already. yaml.v3's own decoder stops at the first unknown key and tells
// no columns; this one goes on and tells every fault.
type decoder struct {
	*report
	steps   []step // the way to the value at hand
	flow    bytes.Buffer
	types   map[reflect.Type]*structInfo
	aliases int // how many aliases stand above the value at hand
	aliased int // values read through aliases so far
}

// step leads from a list or a mapping to one of its values. A path would take memory
// for each.
type step struct {
	key   *yaml.Node // nil: an entry of a list
	index int
}

func newDecoder(r *report) *decoder {
	return &decoder{report: r, types: map[reflect.Type]*structInfo{}}
}

func (d *decoder) info(t reflect.Type) *structInfo {
	s := d.types[t]
	if s == nil {
		s = describe(t)
		d.types[t] = s
	}
	return s
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	endsType     = reflect.TypeFor[subscriptions.Ends]()
)

// fault records what is wrong with n, the value at hand.
func (d *decoder) fault(n *yaml.Node, problem, hint string) {
	var p path
	for _, s := range d.steps {
		if s.key != nil {
			p = append(p, s.key.Value)
		} else {
			p = append(p, s.index)
		}
	}
	d.at(n, p, problem, hint)
}

// value decodes n into v; bytes says that v is a size.
func (d *decoder) value(n *yaml.Node, v reflect.Value, bytes bool) {
	if n.Kind == yaml.AliasNode {
		d.aliases++
		d.value(n.Alias, v, bytes)
		d.aliases--
		if d.bad[n.Alias] {
			d.bad[n] = true
		}
		return
	}
	if d.aliases > 0 {
		if d.aliased++; d.aliased >= maxAliased {
			if d.aliased == maxAliased {
				d.fault(n, fmt.Sprintf("the aliases of this file stand for more than %d values", maxAliased), "write fewer of them")
			}
			return
		}
	}
	if n.Style&yaml.TaggedStyle != 0 && !plainTag(n.Tag) {
		d.fault(n, fmt.Sprintf("the tag %q means nothing here", n.Tag), "take it out")
		return
	}
	switch {
	case v.Kind() == reflect.Pointer:
		d.pointer(n, v)
	case v.Kind() == reflect.Struct:
		d.mapping(n, v)
	case v.Type() == endsType && n.Kind == yaml.ScalarNode:
		one := reflect.MakeSlice(endsType, 1, 1)
		if d.scalar(n, one.Index(0), false) {
			v.Set(one)
		}
	case v.Kind() == reflect.Slice:
		d.list(n, v)
	case v.Kind() == reflect.Map:
		d.table(n, v)
	default:
		d.scalar(n, v, bytes)
	}
}

// plainTag tells whether a tag that stands in the file is one of YAML's own.
func plainTag(tag string) bool {
	switch tag {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!seq", "!!map":
		return true
	}
	return false
}

// pointer decodes an optional value: one that stands in the file is not nil.
func (d *decoder) pointer(n *yaml.Node, v reflect.Value) {
	v.Set(reflect.New(v.Type().Elem()))
	if v.Elem().Kind() == reflect.Struct && d.info(v.Type().Elem()).defaults {
		v.Interface().(defaulter).SetDefaults()
	}
	d.value(n, v.Elem(), false)
}

// empty deals with a list or mapping that has a key, but no value. A section
// whose every line is a comment is as good as absent; deeper in the file a
// value was forgotten.
func (d *decoder) empty(n *yaml.Node, want string) bool {
	if !isNull(n) {
		return false
	}
	if len(d.steps) > 1 {
		d.fault(n, "has no value", "write "+want+", or take it out")
	}
	return true
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value) {
	if d.empty(n, "its keys") {
		return
	}
	s := d.info(v.Type())
	if n.Kind != yaml.MappingNode {
		d.fault(n, "must be a mapping, not "+kindName(n), "write keys and values: "+s.names[0]+": ...")
		return
	}
	seen := uint64(0)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			d.fault(key, "a key must be a word, not "+kindName(key), "known here: "+strings.Join(s.names, ", "))
			continue
		}
		d.steps = append(d.steps, step{key: key})
		at := s.find(key.Value)
		switch {
		case at < 0:
			d.unknown(n, key, s)
		case seen&(1<<at) != 0:
			d.fault(key, "stands here a second time", "the first is in line "+lineOf(n, key.Value))
		default:
			seen |= 1 << at
			f := &s.fields[at]
			d.value(value, v.Field(f.index), f.bytes)
			if !f.told {
				none(v.Field(f.index))
			}
			if f.silent && v.Field(f.index).IsZero() && !d.bad[value] {
				problem := "is not more than 0"
				if v.Field(f.index).Kind() == reflect.String {
					problem = "is empty"
				}
				d.fault(value, problem, "write "+wanted(v.Field(f.index), f.bytes)+", or take the key out")
			}
		}
		d.steps = d.steps[:len(d.steps)-1]
	}
	if s.line >= 0 {
		v.Field(s.line).SetInt(int64(n.Line))
	}
	if s.column >= 0 {
		v.Field(s.column).SetInt(int64(n.Column))
	}
	if s.text >= 0 {
		v.Field(s.text).SetString(d.text(n))
	}
}

// none makes an empty list or map nil, as one that is not in the file is: who compares two
// configurations finds no change.
func none(v reflect.Value) {
	if k := v.Kind(); (k == reflect.Slice || k == reflect.Map) && v.Len() == 0 {
		v.SetZero()
	}
}

// text is flow(n); it is part of the text of the file when n stands there so.
func (d *decoder) text(n *yaml.Node) string {
	d.flow.Reset()
	writeFlow(&d.flow, n)
	written := d.flow.Bytes()
	if source := d.source(n); source == string(written) {
		return source
	}
	return d.flow.String()
}

// unknown records a key that the struct does not have.
func (d *decoder) unknown(parent, key *yaml.Node, s *structInfo) {
	if key.Tag == "!!merge" {
		d.fault(key, "merge keys are not supported", "write the keys out, or use an alias for a whole value")
		return
	}
	if near := nearest(key.Value, s.names); near != "" {
		d.misspelt[misspelling{parent, near}] = true
		d.fault(key, "unknown key", fmt.Sprintf("did you mean %q?", near))
		return
	}
	d.fault(key, "unknown key", "known here: "+strings.Join(s.names, ", "))
}

func (d *decoder) list(n *yaml.Node, v reflect.Value) {
	if d.empty(n, "a list, as in [a, b]") {
		return
	}
	if n.Kind != yaml.SequenceNode {
		hint := "write - before each entry"
		if v.Type().Elem().Kind() == reflect.String && n.Kind == yaml.ScalarNode {
			hint = fmt.Sprintf("write [%s]", scalarText(n))
		}
		want := "a list"
		if v.Type() == endsType {
			want = "text or a list"
		}
		d.fault(n, "must be "+want+", not "+kindName(n), hint)
		return
	}
	count := d.entries(n)
	all := reflect.MakeSlice(v.Type(), count, count)
	elem := v.Type().Elem()
	defaults := elem.Kind() == reflect.Struct && d.info(elem).defaults
	for i := range count {
		if d.aliased >= maxAliased {
			break
		}
		if defaults {
			all.Index(i).Addr().Interface().(defaulter).SetDefaults()
		}
		d.steps = append(d.steps, step{index: i})
		d.value(d.entry(n, i), all.Index(i), false)
		d.steps = d.steps[:len(d.steps)-1]
	}
	v.Set(all)
}

// table decodes a map with words as keys.
func (d *decoder) table(n *yaml.Node, v reflect.Value) {
	if d.empty(n, "keys and values") {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.fault(n, "must be a mapping, not "+kindName(n), "write keys and values: KEY: value")
		return
	}
	all, elem := reflect.MakeMap(v.Type()), v.Type().Elem()
	defaults := elem.Kind() == reflect.Struct && d.info(elem).defaults
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		d.steps = append(d.steps, step{key: key})
		switch twice := all.MapIndex(reflect.ValueOf(key.Value)).IsValid(); {
		case key.Kind != yaml.ScalarNode || key.Tag == "!!merge":
			d.fault(key, "a key must be a word", "")
		case twice:
			d.fault(key, "stands here a second time", "the first is in line "+lineOf(n, key.Value))
		default:
			one := reflect.New(elem)
			if defaults {
				one.Interface().(defaulter).SetDefaults()
			}
			d.value(value, one.Elem(), false)
			all.SetMapIndex(reflect.ValueOf(key.Value), one.Elem())
		}
		d.steps = d.steps[:len(d.steps)-1]
	}
	v.Set(all)
}

// lineOf returns the line of the first such key of a mapping.
func lineOf(n *yaml.Node, key string) string {
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return fmt.Sprint(n.Content[i].Line)
		}
	}
	return "?"
}
