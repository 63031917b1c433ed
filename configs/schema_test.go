package configs

import (
	"bytes"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"greengate/gpio"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource(SchemaFile, doc); err != nil {
		t.Fatal(err)
	}
	return c.MustCompile(SchemaFile)
}

// instance reads a file as an editor does.
func instance(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// The schema has the keys of the structs, each with a description.
func TestSchemaHasTheKeysOfTheStructs(t *testing.T) {
	var compare func(where string, s *jsonschema.Schema, typ reflect.Type)
	compare = func(where string, s *jsonschema.Schema, typ reflect.Type) {
		for s.Ref != nil && s.Properties == nil {
			s = s.Ref
		}
		switch typ.Kind() {
		case reflect.Pointer:
			compare(where, s, typ.Elem())
			return
		case reflect.Slice:
			if typ.Elem().Kind() == reflect.Struct {
				compare(where, s.Items2020, typ.Elem())
			}
			return
		case reflect.Struct:
		default:
			return
		}
		info := describe(typ)
		var got []string
		for name, p := range s.Properties {
			got = append(got, name)
			if p.Description == "" && (p.Ref == nil || p.Ref.Description == "") {
				t.Errorf("%s.%s has no description", where, name)
			}
		}
		want := slices.Sorted(slices.Values(info.names))
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: the schema has the keys %q, the struct %q", where, got, want)
		}
		if s.AdditionalProperties != false {
			t.Errorf("%s takes other keys", where)
		}
		for _, f := range info.fields {
			compare(where+"."+f.name, s.Properties[f.name], typ.Field(f.index).Type)
		}
	}
	compare("", compileSchema(t), reflect.TypeFor[Config]())
}

// The schema knows the sensors that the gateway knows.
func TestSchemaHasTheKindsOfSensors(t *testing.T) {
	sensor := compileSchema(t).Properties["gpio"].Properties["sensors"].Items2020
	var got []string
	for _, kind := range sensor.Properties["kind"].Enum.Values {
		got = append(got, kind.(string))
	}
	if !slices.Equal(got, gpio.Kinds) {
		t.Errorf("the schema has %q, the gateway %q", got, gpio.Kinds)
	}
}

func TestSchemaTakesGoodFiles(t *testing.T) {
	schema := compileSchema(t)
	sample, err := Sample(SampleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string][]byte{"the sample": sample}
	for _, file := range testFiles(t, "*.good.yml") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Load(file)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := c.Print(&b); err != nil {
			t.Fatal(err)
		}
		texts[file], texts[file+" printed"] = data, b.Bytes()
	}
	for name, data := range texts {
		if err := schema.Validate(instance(t, data)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	schema := compileSchema(t)
	for _, text := range []string{
		"quux: 1", "broker: {quux: 1}", "devices: [{thing: A, quux: 1}]", "gpio: {leds: [{name: a, pin: b, quux: 1}]}",
		"subscriptions: [{from: A, topic: t, to: B, quux: 1}]", "functions: [{name: f, command: [x], quux: 1}]",
		"devices: [{}]", "devices: [{thing: a b}]", "devices: [{thing: A, shadow: both}]", "devices: [{thing: A, certificate: abc}]",
		"subscriptions: [{from: A, to: B}]", "subscriptions: [{from: A, topic: t, to: B, shadow: C}]", "subscriptions: [{from: A, topic: t, to: B, ttl: 1w}]", "subscriptions: [{from: A, topic: t, to: B, ttl: 0h0m}]",
		"gpio: {pwm: [{name: a, pin: GPIO5, safe: 101}]}", "gpio: {pwm: [{name: a, pin: GPIO5, frequency: 0}]}", "gpio: {servo: [{name: a, pin: GPIO5, max_on: 1s}]}",
		"gpio: {outputs: [{name: a, pin: GPIO5, hold: 10}]}", "gpio: {buttons: [{name: a, pin: GPIO5}]}", "gpio: {inputs: [{name: a, pin: GPIO5, key: k}]}",
		"gpio: {sensors: [{name: a, kind: bme281, topic: t}]}", "gpio: {sensors: [{name: a, kind: bme280, topic: t, calibrate: {humidity: {x: 1}}}]}",
		"broker: {listen: []}", "broker: {listen: 0.0.0.0}", "log: {level: loud}", "cloud:", "functions: [{name: f, command: [x], memory: 64MB}]",
		"functions: [{name: f, command: [x], encoding: text}]", "functions: [{name: f, command: [x], concurrency: 0}]", "functions: [{name: f, command: [x], queue: {quux: 1}}]",
		"functions: [{name: f, command: [x], cron: ''}]", "subscriptions: [{from: A, topic: t, to: B, durable: maybe}]",
	} {
		if schema.Validate(instance(t, []byte(head+text))) == nil {
			t.Errorf("the schema takes %s", text)
		}
		if _, err := Parse("", []byte(head+text)); err == nil {
			t.Errorf("Parse takes %s", text)
		}
	}
	if err := schema.Validate(instance(t, []byte("group: g\ncore: c"))); err == nil || !strings.Contains(err.Error(), "version") {
		t.Errorf("without version: %v", err)
	}
}
