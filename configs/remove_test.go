package configs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// removeCases: a file without its head before and after RemoveDevice of Gone,
// rows included.
var removeCases = []struct{ name, before, after string }{
	{"only device", "devices:\n  - thing: Gone\n    labels: [x]\ndata: d\n", "devices:\ndata: d\n"},
	{"only device in flow", "devices: [{thing: Gone}] # all\n", "devices: [] # all\n"},
	{"first", "devices:\n  # the first\n  - thing: Gone # here\n    # within\n    shadow: none\n\n  # the second\n  - thing: A\n", "devices:\n  # the first\n\n  # the second\n  - thing: A\n"},
	{"last without final newline", "devices:\n- {thing: A}\n- {thing: Gone}", "devices:\n- {thing: A}\n"},
	{"first in flow", "devices: [{thing: Gone}, {thing: A}]\n", "devices: [{thing: A}]\n"},
	{"last in flow", "devices: [{thing: A}, {thing: Gone}]\n", "devices: [{thing: A}]\n"},
	{"last in flow with a comma", "devices: [{thing: A}, {thing: Gone}, ]\n", "devices: [{thing: A}, ]\n"},
	{"last in lines", "devices: [\n  {thing: A}, # one\n  {thing: Gone} # two\n]\n", "devices: [\n  {thing: A} # one\n]\n"},
	{"last in lines with a comma", "devices: [\n  {thing: A}, # one\n  {thing: Gone}, # two\n]\n", "devices: [\n  {thing: A}, # one\n]\n"},
	{"first in lines", "devices: [\n  # the lamp\n  {thing: Gone}, # here\n  # the bell\n  {thing: A}  # a\n  # spare\n]\n", "devices: [\n  # the lamp\n  # the bell\n  {thing: A}  # a\n  # spare\n]\n"},
	{"only device in lines", "devices: [\n  # the bell\n  {thing: Gone,\n   labels: [x]} # here\n  # spare\n]\n", "devices: [\n  # the bell\n  # spare\n]\n"},
	{"only device in lines without comments", "devices: [\n  {thing: Gone}\n]\n", "devices: []\n"},
	{"first in its line, with comments", "devices: [\n  # both\n  {thing: Gone}, {thing: A} # two\n]\n", "devices: [\n  # both\n  {thing: A} # two\n]\n"},
	{"last in its line, with comments", "devices: [\n  # both\n  {thing: A}, {thing: Gone} # two\n]\n", "devices: [\n  # both\n  {thing: A} # two\n]\n"},
	{"beside the bracket", "devices: [{thing: Gone}, # here\n  # the bell\n  {thing: A}]\n", "devices: [ # here\n  # the bell\n  {thing: A}]\n"},
	{"commas first", "devices: [\n  {thing: A} # one\n  , {thing: Gone} # two\n  , {thing: B} # three\n]\n", "devices: [\n  {thing: A} # one\n  , {thing: B} # three\n]\n"},
	{"several rows in lines", "devices: [{thing: A}, {thing: Gone}]\nsubscriptions: [\n  # one\n  {from: A, topic: a, to: A}, # a\n  # two\n  {from: Gone, topic: b, to: A}, # b\n  # three\n  {from: A, topic: c, to: Gone} # c\n]\n", "devices: [{thing: A}]\nsubscriptions: [\n  # one\n  {from: A, topic: a, to: A} # a\n  # two\n  # three\n]\n"},
	{"middle in lines", "devices: [\n  {thing: A}, # one\n  {thing: Gone},\n  {thing: B}\n]\n", "devices: [\n  {thing: A}, # one\n  {thing: B}\n]\n"},
	{"carriage returns", "devices:\r\n  - thing: Gone\r\n  - thing: A\r\n", "devices:\r\n  - thing: A\r\n"},
	{"rows", "devices: [{thing: A}, {thing: Gone}]\nsubscriptions:\n  # one\n  - {from: Gone, topic: a, to: A}\n  # two\n  - {from: A, topic: b, to: \"device:Gone\"} # b\n  - {from: A, topic: Gone, to: A}\n  - from: A\n    shadow: Gone\n", "devices: [{thing: A}]\nsubscriptions:\n  # one\n  # two\n  - {from: A, topic: Gone, to: A}\n"},
	{"all rows", "devices: [{thing: Gone}]\nsubscriptions: [{from: Gone, topic: t, to: cloud}]\n", "devices: []\nsubscriptions: []\n"},
	{"names in lists", "devices: [{thing: A}, {thing: Gone}]\nsubscriptions:\n  - {from: [Gone, A], topic: t, to: [A, Gone, cloud]}\n  - {from: A, topic: u, to: [cloud, Gone, \"device:Gone\"]}\n  - {from: A, topic: v, to: [Gone]}\n  - from:\n      - Gone\n      - A # stays\n    topic: w\n    to: A\n", "devices: [{thing: A}]\nsubscriptions:\n  - {from: [A], topic: t, to: [A, cloud]}\n  - {from: A, topic: u, to: [cloud]}\n  - from:\n      - A # stays\n    topic: w\n    to: A\n"},
	{"a thing called like a service", "devices: [{thing: Gone}, {thing: A}]\nsubscriptions: [{from: cloud, topic: t, to: A}, {from: Gone, topic: t, to: A}]\n", "devices: [{thing: A}]\nsubscriptions: [{from: cloud, topic: t, to: A}]\n"},
	{"brackets and commas in quotes", "devices: [{thing: A}, {thing: Gone}]\nsubscriptions: [{from: A, topic: \"a],[\\\"{b\", to: A}, {from: Gone, topic: 'it''s, [', to: A}]\n", "devices: [{thing: A}]\nsubscriptions: [{from: A, topic: \"a],[\\\"{b\", to: A}]\n"},
	{"by hand: a list that is also something else", "subscriptions: [{from: A, topic: t, to: &both [A, Gone]}]\ndevices: [{thing: A, labels: *both}, {thing: Gone}]\n", ""},
	{"by hand: a shared list", "devices: [{thing: A}, {thing: Gone}]\nsubscriptions:\n  - {from: A, topic: t, to: &both [A, Gone]}\n  - {from: A, topic: u, to: *both}\n", ""},
}

func TestRemoveDevice(t *testing.T) {
	for _, c := range removeCases {
		t.Run(c.name, func(t *testing.T) {
			head := headFor(c.before)
			got, _, err := RemoveDevice([]byte(head+c.before), "Gone", true)
			if c.after == "" {
				if !errors.Is(err, ErrByHand) {
					t.Fatalf("got\n%s\n%v", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := head + c.after; string(got) != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestRemoveDeviceInUse(t *testing.T) {
	const file = editHead + `devices: [{thing: A}, {thing: Gone}]
subscriptions:
  - {from: Gone, topic: t, to: A}
  - {from: A, topic: u, to: A}
  - from: A
    shadow: Gone
gpio: {leds: [{name: red, pin: GPIO17, thing: Gone, key: k}]}
`
	_, _, err := RemoveDevice([]byte(file), "Gone", false)
	var use *InUse
	if !errors.As(err, &use) {
		t.Fatal(err)
	}
	want := []RowRef{
		{6, "{from: Gone, topic: t, to: A}"}, {8, "{from: A, shadow: Gone}"},
		{10, "{name: red, pin: GPIO17, thing: Gone, key: k}"},
	}
	if !slices.Equal(use.Rows, want[:2]) || !slices.Equal(use.Pins, want[2:]) {
		t.Errorf("got %+v", use)
	}
	if text := err.Error(); !strings.Contains(text, "line 8: {from: A, shadow: Gone}") {
		t.Error(text)
	}
	if _, _, err := RemoveDevice([]byte(file), "Gone", true); !errors.As(err, &use) || len(use.Rows) != 0 || len(use.Pins) != 1 {
		t.Errorf("an LED is not taken out: %v", err)
	}
	_, rows, err := RemoveDevice([]byte(file[:strings.Index(file, "gpio")]), "Gone", true)
	if err != nil || len(rows) != 2 || rows[1] != want[1] {
		t.Errorf("rows %+v, %v", rows, err)
	}
	if _, _, err := RemoveDevice([]byte(file), "Gne", true); !errors.Is(err, ErrNoDevice) || !strings.Contains(err.Error(), `did you mean "Gone"?`) {
		t.Error(err)
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real.yaml"), filepath.Join(dir, "group.yaml")
	if err := WriteFile(real, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(real, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real.yaml", link); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(link, []byte("changed")); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(real)
	if err != nil || string(got) != "changed" {
		t.Errorf("the file that the link leads to holds %q, %v", got, err)
	}
	if info, err := os.Stat(real); err != nil || info.Mode() != 0o640 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("files are left: %v, %v", entries, err)
	}
	if err := WriteFile(filepath.Join(dir, "none", "group.yaml"), nil); err == nil {
		t.Error("a folder that does not exist is no error")
	}
}
