package configs

import (
	"errors"
	"strings"
	"testing"
)

const editHead = "version: 1\ngroup: g\ncore: c\n"

const aFingerprint = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"

// addCases: what `devices` looks like before and after AddDevice of New.
var addCases = []struct{ name, before, after string }{
	{"no key", "", "\ndevices:\n  - thing: New\n"},
	{"no key, blank lines at the end", "data: d\n\n\n", "data: d\n\ndevices:\n  - thing: New\n\n\n"},
	{"no final newline", "data: d # state", "data: d # state\n\ndevices:\n  - thing: New"},
	{"null", "devices:\ndata: d\n", "devices:\n  - thing: New\ndata: d\n"},
	{"null with comments", "devices: # who\n#  - thing: Example\n\ndata: d\n", "devices: # who\n  - thing: New\n#  - thing: Example\n\ndata: d\n"},
	{"tilde", "devices: ~ # none\n", "devices:  # none\n  - thing: New\n"},
	{"empty list", "devices: []\ndata: d\n", "devices:\n  - thing: New\ndata: d\n"},
	{"empty list with comment", "devices: [ ]   # none yet\n", "devices:   # none yet\n  - thing: New\n"},
	{"empty list in lines", "devices: [\n  # none yet\n]\n", "devices: [{thing: New}\n  # none yet\n]\n"},
	{"block", "devices:\n  - thing: A\n    labels: [x]\n\n# next\ndata: d\n", "devices:\n  - thing: A\n    labels: [x]\n  - thing: New\n\n# next\ndata: d\n"},
	{"block at the margin", "devices:\n- thing: A\n- thing: B\ndata: d\n", "devices:\n- thing: A\n- thing: B\n- thing: New\ndata: d\n"},
	{"block with wide dashes", "devices:\n  -   thing: A\n      shadow: none\n", "devices:\n  -   thing: A\n      shadow: none\n  -   thing: New\n"},
	{"block with lone dashes", "devices:\n  -\n    thing: A\n", "devices:\n  -\n    thing: A\n  - thing: New\n"},
	{"block of flow", "devices:\n  - {thing: A}  # the first\n  # - {thing: B}\n", "devices:\n  - {thing: A}  # the first\n  - {thing: New}\n  # - {thing: B}\n"},
	{"block of flow over lines", "devices:\n  - {thing: A,\n labels: [x]}\ndata: d\n", "devices:\n  - {thing: A,\n labels: [x]}\n  - {thing: New}\ndata: d\n"},
	{"block without final newline", "devices:\n  - thing: A", "devices:\n  - thing: A\n  - thing: New"},
	{"comment within the last entry", "devices:\n  - thing: A\n    # it has a label\n\n    labels: [x]\n    # and no more\n  # - thing: B\n", "devices:\n  - thing: A\n    # it has a label\n\n    labels: [x]\n    # and no more\n  - thing: New\n  # - thing: B\n"},
	{"flow", "devices: [{thing: A}, {thing: B}]\n", "devices: [{thing: A}, {thing: B}, {thing: New}]\n"},
	{"flow with brackets in quotes", "devices: [{thing: \"A\", labels: ['x']}] # [x]\n", "devices: [{thing: \"A\", labels: ['x']}, {thing: New}] # [x]\n"},
	{"flow in lines", "devices: [\n  {thing: A}, # one\n  {thing: B} # two\n]\n", "devices: [\n  {thing: A}, # one\n  {thing: B}, # two\n  {thing: New}\n]\n"},
	{"flow in lines with a comma at the end", "devices: [\n  {thing: A}, # one ]\n]\n", "devices: [\n  {thing: A}, # one ]\n  {thing: New},\n]\n"},
	{"anchored", "devices: &all\n  - thing: A\n", "devices: &all\n  - thing: A\n  - thing: New\n"},
	{"anchored flow", "devices: &all [&a {thing: A}]\n", "devices: &all [&a {thing: A}, {thing: New}]\n"},
	{"carriage returns", "devices:\r\n  - thing: A\r\ndata: d\r\n", "devices:\r\n  - thing: A\r\n  - thing: New\r\ndata: d\r\n"},
	{"end of document", "data: d\n...\n", ""},
}

// headFor returns the head of a file with the line ends of the rest.
func headFor(rest string) string {
	if strings.Contains(rest, "\r\n") {
		return strings.ReplaceAll(editHead, "\n", "\r\n")
	}
	return editHead
}

func TestAddDevice(t *testing.T) {
	for _, c := range addCases {
		t.Run(c.name, func(t *testing.T) {
			head := headFor(c.before)
			got, err := AddDevice([]byte(head+c.before), DeviceEdit{Thing: "New"})
			if c.after == "" {
				if !errors.Is(err, ErrByHand) && !errors.As(err, new(Faults)) {
					t.Fatalf("got %q, %v", got, err)
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

func TestAddDeviceRootStyles(t *testing.T) {
	for before, want := range map[string]string{
		"{version: 1, group: g, core: c}":                                      "{devices: [{thing: New}], version: 1, group: g, core: c}",
		"{\"version\": 1, \"group\": \"g\", \"core\": \"c\", \"devices\": []}": "{\"version\": 1, \"group\": \"g\", \"core\": \"c\", \"devices\": [{\"thing\": \"New\"}]}",
		"  version: 1\n  group: g\n  core: c\n":                                "  version: 1\n  group: g\n  core: c\n\n  devices:\n    - thing: New\n",
		"\uFEFFversion: 1\ngroup: g\ncore: c\ndevices: []\n":                   "\uFEFFversion: 1\ngroup: g\ncore: c\ndevices:\n  - thing: New\n",
		"# a\u2028# line separators count\n" + editHead + "devices: []\n":      "# a\u2028# line separators count\n" + editHead + "devices:\n  - thing: New\n",
	} {
		got, err := AddDevice([]byte(before), DeviceEdit{Thing: "New"})
		if err != nil || string(got) != want {
			t.Errorf("%q: got %q, %v", before, got, err)
		}
	}
}

func TestAddDeviceKeys(t *testing.T) {
	const file = editHead + "devices:\n  - thing: A\n"
	const print = "sha256:00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEE:FF"
	got, err := AddDevice([]byte(file), DeviceEdit{Thing: "0123", Labels: []string{"on", "light"}, Certificate: print})
	if err != nil {
		t.Fatal(err)
	}
	want := file + "  - thing: \"0123\"\n    labels: [\"on\", light]\n    certificate: sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, err := AddDevice(got, DeviceEdit{Thing: "0123"}); !errors.Is(err, ErrDeviceExists) {
		t.Errorf("a second time: %v", err)
	}
	for _, bad := range []DeviceEdit{{Thing: ""}, {Thing: "a b"}, {Thing: "B", Labels: []string{"a]"}}, {Thing: "B", Certificate: "x"}, {Thing: "c"}} {
		if got, err := AddDevice([]byte(file), bad); err == nil {
			t.Errorf("%+v: %q", bad, got)
		}
	}
	if _, err := AddDevice([]byte("version: 1\n"), DeviceEdit{Thing: "B"}); !errors.As(err, new(Faults)) {
		t.Errorf("a wrong file: %v", err)
	}
}

// What is wrong with a new entry is told without a line: the user's file does not have it.
func TestAddDeviceTellsWhatIsWrong(t *testing.T) {
	const file = editHead + "devices: [{thing: A, certificate: \"sha256:" + aFingerprint + "\"}]\n"
	for _, c := range []struct {
		d    DeviceEdit
		want string
	}{
		{DeviceEdit{Thing: "c"}, `add "c": "c" is the core itself (the core is no device of its group)`},
		{DeviceEdit{Thing: "B", Labels: []string{"x", "x"}}, `add "B": the label "x" is in the list already (take one out)`},
		{DeviceEdit{Thing: "B", Certificate: "sha256:" + aFingerprint}, `add "B": the device "A" has this certificate already (one certificate is one thing)`},
	} {
		if got, err := AddDevice([]byte(file), c.d); err == nil || err.Error() != c.want {
			t.Errorf("got %v\nwant %s\n%s", err, c.want, got)
		}
	}
}

// Whatever was added can be removed, and the file is as it was before.
func TestAddThenRemove(t *testing.T) {
	sample, err := Sample(SampleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	files := []string{string(sample)}
	for _, c := range addCases {
		// An empty list and one in flow style change with the first device.
		if strings.Contains(c.before, "- ") && strings.HasSuffix(c.before, "\n") {
			files = append(files, headFor(c.before)+c.before)
		}
	}
	for _, before := range files {
		added, err := AddDevice([]byte(before), DeviceEdit{Thing: "New", Labels: []string{"l"}})
		if err != nil {
			t.Errorf("%s\n%v", before, err)
			continue
		}
		after, rows, err := RemoveDevice(added, "New", false)
		if err != nil || len(rows) != 0 || string(after) != before {
			t.Errorf("got\n%s\n%v\nwant\n%s", after, err, before)
		}
	}
}
