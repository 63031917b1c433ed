package configs

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// What --print shows is read back as the same configuration.
func TestPrintRoundTrip(t *testing.T) {
	for _, file := range testFiles(t, "*.good.yml") {
		c, err := Load(file)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := c.Print(&b); err != nil {
			t.Fatal(err)
		}
		again, err := Parse("/elsewhere/group.yaml", b.Bytes())
		if err != nil {
			t.Errorf("%s: %v\n%s", file, err, b.String())
			continue
		}
		if !reflect.DeepEqual(essence(again), essence(c)) {
			t.Errorf("%s\ngot  %+v\nwant %+v\n%s", file, again, c, b.String())
		}
	}
}

// An environment variable may have any name, also one that means something to YAML.
func TestPrintQuotesOddNames(t *testing.T) {
	c := mustParse(t, head+`functions: [{name: f, command: [x], environment: {"<<": a, "~": b, "on": c, "1": d, "a: b": e, "!x": "<<"}}]`)
	var b strings.Builder
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	again, err := Parse("", []byte(b.String()))
	if err != nil || !reflect.DeepEqual(again.Functions[0].Environment, c.Functions[0].Environment) {
		t.Errorf("%v in\n%s", err, b.String())
	}
}

func TestPrintIsForPeople(t *testing.T) {
	c := mustParse(t, head+"devices: [{thing: A}]\nsubscriptions: [{from: A, topic: t, to: [cloud], ttl: 7d}]\nfunctions: [{name: f, command: [x], memory: 64MiB}]\n")
	var b strings.Builder
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"  - {thing: A, shadow: sync, direction: both}", "  - {from: A, topic: t, to: cloud, ttl: 168h}", "  - {name: f, command: [x], dir: functions/f, encoding: json, concurrency: 4, idle: 5m, timeout: 3s, retries: 2, queue: {max: 1000, max_size: 8MiB, when_full: drop_oldest}, memory: 64MiB, processes: 256}",
		"  listen: ['0.0.0.0:8883']", "own_shadows: true", "  strict_subscribe: false",
	} {
		if !strings.Contains(b.String(), line+"\n") {
			t.Errorf("%q is not in\n%s", line, b.String())
		}
	}
}
