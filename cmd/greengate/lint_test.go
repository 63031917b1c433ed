package main

import (
	"strings"
	"testing"
	"time"

	"greengate/configs"
	"greengate/core/message"
	"greengate/subscriptions"
)

// Who writes a shadow every second is told at the row that lets him, or, where that
// is nobody's row, at the device.
func TestLintBusyShadows(t *testing.T) {
	text := "version: 1\ngroup: home\ncore: c_Core\ndevices:\n  - {thing: lamp}\n  - {thing: meter}\nsubscriptions:\n" +
		"  - {from: meter, shadow: lamp}\n"
	file := t.TempDir() + "/group.yaml"
	h := &house{t: t, dir: strings.TrimSuffix(file, "/group.yaml")}
	h.write(text)
	c, err := configs.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	flow := func(from, thing string, count uint64) subscriptions.RecordedFlow {
		return subscriptions.RecordedFlow{From: message.DeviceEndpoint(from), Topic: "$aws/things/" + thing + "/shadow/update", Count: count}
	}
	l := &linter{app: &app{config: file}, c: c}
	use := &subscriptions.Use{Recorded: time.Hour, Flows: []subscriptions.RecordedFlow{
		flow("meter", "lamp", 3600), flow("meter", "meter", 7200), flow("lamp", "lamp", 60), flow("lamp", "meter", 9999),
	}}
	if err := l.busyShadows(use); err != nil {
		t.Fatal(err)
	}
	want := []string{
		file + ":8:5: warning: subscriptions[0]: meter writes a shadow every 1s on average",
		file + ":6:5: warning: devices[1]: meter writes a shadow every 500ms on average",
	}
	if len(l.faults) != len(want) {
		t.Fatalf("got %v, want %q", l.faults, want)
	}
	for i, f := range l.faults {
		if !strings.HasPrefix(f.Error(), want[i]) {
			t.Errorf("got %v, want %s", f, want[i])
		}
	}
	l.faults, use.Recorded = nil, time.Second
	if err := l.busyShadows(use); err != nil || len(l.faults) > 0 {
		t.Errorf("after a second: %v, %v", l.faults, err)
	}
}
