package configs

import (
	"reflect"
	"strings"
)

// structInfo is what the decoder has to know of a struct type.
type structInfo struct {
	fields   []field
	names    []string // the keys, in the order of the struct
	defaults bool     // *T has SetDefaults
	// Indices of the fields that learn where the value stands; -1: none.
	line, column, text int
}

type field struct {
	name  string
	index int
	bytes bool // a size: KiB, MiB or GiB
	// silent: its zero value means that the key is not there, so no file may write it.
	silent bool
	// told: an empty list or map says something else than none, and stays.
	told bool
}

// defaulter is a type whose zero value is not what a silent file means. Every
// list entry and optional section is asked before it is decoded.
type defaulter interface{ SetDefaults() }

// describe reads the struct tags of t. A struct is described once per decoder;
// there are some fifteen types, so no cache outlives the file.
func describe(t reflect.Type) *structInfo {
	s := &structInfo{line: -1, column: -1, text: -1}
	s.defaults = reflect.PointerTo(t).Implements(reflect.TypeFor[defaulter]())
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case !f.IsExported() || name == "":
		case name != "-":
			s.fields = append(s.fields, field{
				name: name, index: i, bytes: f.Tag.Get("unit") == "bytes",
				silent: f.Tag.Get("zero") == "absent", told: f.Tag.Get("empty") == "told",
			})
			s.names = append(s.names, name)
		case f.Name == "Line":
			s.line = i
		case f.Name == "Column":
			s.column = i
		case f.Name == "Text":
			s.text = i
		}
	}
	return s
}

// find returns the index in fields of the key, or -1. Our structs have at most
// some twenty fields; a map would be slower.
func (s *structInfo) find(key string) int {
	for i := range s.fields {
		if s.fields[i].name == key {
			return i
		}
	}
	return -1
}
