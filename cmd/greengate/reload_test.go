package main

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"greengate/configs"
	"greengate/core/admin/client"
	"greengate/gpio"
)

// A running daemon stays where its data are, and says how they move.
func TestReloadRefusesAnotherDataFolder(t *testing.T) {
	h := newHouse(t)
	old, err := os.ReadFile(h.file())
	if err != nil {
		t.Fatal(err)
	}
	h.write(string(old) + "data: elsewhere\n")
	var refusal *client.Refusal
	_, err = h.control.Reload(t.Context())
	want := "data: cannot change while the daemon runs (stop it, move " + h.dir + "/data to " + h.dir + "/elsewhere, put the file in place, start it)"
	if !errors.As(err, &refusal) || !strings.HasSuffix(refusal.Message, want) || !strings.HasPrefix(refusal.Message, h.file()+":") {
		t.Errorf("got %v", err)
	}
	h.write(string(old))
	if r, err := h.control.Reload(t.Context()); err != nil || r.Generation != 2 {
		t.Errorf("the old file again: %+v, %v", r, err)
	}
}

// Pins that are in the file already are not judged again: a board that has gone would keep back
// whatever else changes.
func TestReloadJudgesChangedPinsOnly(t *testing.T) {
	file := func(pin string) *configs.Config {
		c := configs.Default()
		c.GPIO = &gpio.Config{Driver: "sim", LEDs: []gpio.Output{{Name: "red", Pin: pin}}}
		return &c
	}
	g := &gateway{begun: file("GPIO98"), log: slog.New(slog.DiscardHandler)}
	for _, c := range []struct {
		old, next string
		refused   bool
	}{
		{"GPIO17", "GPIO99", true},
		{"GPIO99", "GPIO99", false}, // it waits for a restart
		{"GPIO17", "GPIO98", false}, // that of the start
		{"GPIO99", "GPIO17", false},
	} {
		err := g.judgePins(file(c.old), file(c.next))
		if refused := err != nil; refused != c.refused || refused && !strings.Contains(err.Error(), `gpio.leds[0].pin: the board has no pin "GPIO99"`) {
			t.Errorf("%s becomes %s: %v", c.old, c.next, err)
		}
	}
}

// What says the same in other words is no change: an empty list, and all that `check --print` writes.
func TestReloadOfTheSameInOtherWords(t *testing.T) {
	const head = "version: 1\ngroup: home\ncore: c_Core\n"
	parse := func(text string) *configs.Config {
		t.Helper()
		c, err := configs.Parse("/site/group.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	begun := parse(head + `gpio: {driver: sim, leds: [{name: red, pin: GPIO17}], sensors: [{name: room, kind: bme280, topic: room}]}
functions: [{name: f, command: [/bin/true]}]
cloud: {endpoint: a.example.com, certificate: c, key: k, ca: a}
`)
	var printed bytes.Buffer
	if err := begun.Print(&printed); err != nil {
		t.Fatal(err)
	}
	empty := head + `gpio: {driver: sim, leds: [{name: red, pin: GPIO17, interlock: []}], outputs: [], sensors: [{name: room, kind: bme280, topic: room, calibrate: {}}]}
functions: [{name: f, command: [/bin/true], read: [], environment: {}}]
cloud: {endpoint: a.example.com, certificate: c, key: k, ca: a, spool: {decrypt: []}}
`
	for name, text := range map[string]string{"empty lists": empty, "check --print": printed.String()} {
		c := parse(text)
		if keys := restartKeys(begun, c); len(keys) > 0 {
			t.Errorf("%s: %v wait for a restart", name, keys)
		}
		if !reflect.DeepEqual(c.Functions, begun.Functions) {
			t.Errorf("%s: the function would start anew: %+v", name, c.Functions)
		}
	}
}

// What a daemon works with is what it began with where it cannot take up another value, and the
// new file for the rest.
func TestWorkingConfig(t *testing.T) {
	begun, c := configs.Default(), configs.Default()
	begun.Group, c.Group = "home", "shed"
	begun.Broker.Listen, c.Broker.Listen = []string{":1"}, []string{":1", ":2"}
	c.Broker.StrictSubscribe = true
	if keys := restartKeys(&begun, &c); !slices.Equal(keys, []string{"group", "broker.listen"}) {
		t.Errorf("%v wait", keys)
	}
	w := working(&begun, &c)
	if keys := restartKeys(&begun, w); len(keys) > 0 || !w.Broker.StrictSubscribe {
		t.Errorf("%v differ in %+v", keys, w)
	}
	if c.Group != "shed" || len(c.Broker.Listen) != 2 {
		t.Error("the file has changed")
	}
}
