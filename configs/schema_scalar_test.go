package configs

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// eachValue visits what is no mapping and no list.
func eachValue(where string, s *jsonschema.Schema, typ reflect.Type, visit func(string, *jsonschema.Schema, reflect.Type)) {
	switch {
	case typ == endsType: // one text, or a list of texts
		visit(where, s, typ.Elem())
		return
	case typ.Kind() == reflect.Pointer:
		eachValue(where, s, typ.Elem(), visit)
		return
	}
	whole := s
	for s.Ref != nil && s.Properties == nil && s.Items2020 == nil {
		s = s.Ref
	}
	switch typ.Kind() {
	case reflect.Slice:
		eachValue(where+"[]", s.Items2020, typ.Elem(), visit)
	case reflect.Map:
		eachValue(where+"{}", s.AdditionalProperties.(*jsonschema.Schema), typ.Elem(), visit)
	case reflect.Struct:
		for _, f := range describe(typ).fields {
			eachValue(where+"."+f.name, s.Properties[f.name], typ.Field(f.index).Type, visit)
		}
	default:
		visit(where, whole, typ)
	}
}

// Text and times need no quotes, also where YAML sees a number or a truth value: what an
// editor takes with quotes, it takes without.
func TestSchemaTakesTextWithoutQuotes(t *testing.T) {
	seen := 0
	eachValue("", compileSchema(t), reflect.TypeFor[Config](), func(where string, s *jsonschema.Schema, typ reflect.Type) {
		if typ.Kind() != reflect.String && typ != durationType {
			return // numbers and truth values, which have no quotes
		}
		seen++
		for _, plain := range []any{0, 5, 1.5, true, false} {
			asText, asIs := s.Validate(fmt.Sprint(plain)), s.Validate(plain)
			if (asText == nil) != (asIs == nil) {
				t.Errorf("%s: \"%v\" is %v, and %v is %v", where, plain, verdict(asText), plain, verdict(asIs))
			}
		}
	})
	if seen < 100 {
		t.Errorf("only %d values were looked at", seen)
	}
}

func verdict(err error) string {
	if err == nil {
		return "taken"
	}
	return "refused"
}

// The schema has the same idea of a time as the decoder.
func TestSchemaTimes(t *testing.T) {
	duration := compileSchema(t).Properties["gpio"].Properties["leds"].Items2020.Properties["hold"]
	check := func(text string) {
		_, problem, _ := parseDuration(text)
		if err := duration.Validate(text); (err == nil) != (problem == "") {
			t.Errorf("%q is %s by the schema, and the decoder says %q", text, verdict(err), problem)
		}
	}
	for _, text := range []string{"", "0", "+0", "10", "+5m", "5.s", ".5s", ".s", "1d12h", "1d+12h", "+1d", "1.5d", "1d0", "5µs", "5μs", "5ms", "1h 5m", "7D", "-5m"} {
		check(text)
	}
	r := rand.New(rand.NewPCG(1, 2))
	parts := []string{"0", "5", "5", ".", "+", "d", "h", "m", "s", "us"}
	for range 20000 {
		var b strings.Builder
		for range r.IntN(7) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		check(b.String())
	}
}
