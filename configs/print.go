package configs

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"time"

	"gopkg.in/yaml.v3"
)

// Print writes the effective configuration: every key with the value that is in
// force, paths absolute. Parse reads it back as the same Config. Entries of
// lists stand in one line each, without the keys that are empty.
func (c *Config) Print(w io.Writer) error {
	p := printer{newDecoder(nil)}
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(p.section(reflect.ValueOf(c).Elem())); err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	return enc.Close()
}

// printer shares the decoder's knowledge of the structs, so both agree on names
// and units.
type printer struct{ *decoder }

// sortedKeys returns the keys of a map with words as keys.
func sortedKeys(m reflect.Value) []string {
	keys := make([]string, 0, m.Len())
	for _, k := range m.MapKeys() {
		keys = append(keys, k.String())
	}
	slices.Sort(keys)
	return keys
}

// section writes every key of a struct.
func (p printer) section(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range p.info(v.Type()).fields {
		fv := v.Field(f.index)
		if fv.Kind() == reflect.Pointer {
			if fv.IsNil() {
				continue
			}
			fv = fv.Elem()
		}
		n.Content = append(n.Content, text(f.name), p.value(fv, f.bytes))
	}
	return n
}

// entry writes the struct of a list entry in one line. A zero value is left out
// where silence means zero.
func (p printer) entry(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	silent := reflect.New(v.Type())
	info := p.info(v.Type())
	if info.defaults {
		silent.Interface().(defaulter).SetDefaults()
	}
	for _, f := range info.fields {
		fv := v.Field(f.index)
		if fv.IsZero() && silent.Elem().Field(f.index).IsZero() {
			continue
		}
		if fv.Kind() == reflect.Pointer {
			fv = fv.Elem()
		}
		n.Content = append(n.Content, text(f.name), p.value(fv, f.bytes))
	}
	return n
}

func (p printer) value(v reflect.Value, bytes bool) *yaml.Node {
	switch {
	case v.Kind() == reflect.Struct:
		return p.section(v)
	case v.Type() == endsType && v.Len() == 1:
		return text(v.Index(0).String())
	case v.Kind() == reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			if v.Index(i).Kind() == reflect.Struct {
				n.Content = append(n.Content, p.entry(v.Index(i)))
			} else {
				n.Content = append(n.Content, p.value(v.Index(i), false))
			}
		}
		if v.Len() == 0 || v.Type().Elem().Kind() != reflect.Struct {
			n.Style = yaml.FlowStyle
		}
		return n
	case v.Kind() == reflect.Map:
		n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		for _, k := range sortedKeys(v) {
			one := v.MapIndex(reflect.ValueOf(k))
			if one.Kind() == reflect.Struct {
				n.Content = append(n.Content, text(k), p.entry(one))
			} else {
				n.Content = append(n.Content, text(k), p.value(one, false))
			}
		}
		return n
	case v.Kind() == reflect.Bool:
		return plain(strconv.FormatBool(v.Bool()))
	case v.Type() == durationType:
		return plain(formatDuration(time.Duration(v.Int())))
	case v.CanFloat():
		return plain(strconv.FormatFloat(v.Float(), 'g', -1, 64))
	case bytes:
		return plain(formatSize(v.Int()))
	case v.CanInt():
		return plain(strconv.FormatInt(v.Int(), 10))
	}
	return text(v.String())
}

func plain(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: s} }

// text is a scalar that stays text, whatever it looks like.
func text(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if s == "<<" { // yaml.v3 writes it without quotes, and then it is a merge key
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}
