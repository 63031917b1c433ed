package configs

import (
	"bytes"
	"os"
	"testing"
)

// FuzzParse: whatever stands in a file, Parse gives a configuration or faults,
// and nothing that edits or prints what it took spoils it.
func FuzzParse(f *testing.F) {
	for _, file := range []string{"design.good.yml", "byte-order-mark.good.yml", "anchors.good.yml", "alias-cycle.bad.yml", "odd-keys.bad.yml", "no-values.bad.yml", "syntax-bracket.bad.yml"} {
		data, err := os.ReadFile("testdata/" + file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, c := range addCases {
		f.Add([]byte(editHead + c.before))
	}
	for _, c := range removeCases {
		f.Add([]byte(editHead + c.before))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			t.Skip("long files cost time and show nothing more")
		}
		c, err := Parse("", data)
		if err != nil {
			if _, ok := err.(Faults); !ok || c != nil {
				t.Fatalf("%T %v, %v", err, err, c)
			}
			return
		}
		var b bytes.Buffer
		if err := c.Print(&b); err != nil {
			t.Fatal(err)
		}
		if _, err := Parse("", b.Bytes()); err != nil {
			t.Fatalf("%v\n%s", err, b.String())
		}
		if added, err := AddDevice(data, DeviceEdit{Thing: "New", Labels: []string{"l"}}); err == nil {
			if _, _, err := RemoveDevice(added, "New", true); err != nil {
				t.Fatalf("what was added cannot be removed: %v\n%s", err, added)
			}
		}
		if len(c.Devices) > 0 {
			// That the result is right, the edit itself makes sure of.
			RemoveDevice(data, c.Devices[0].Thing, true)
		}
	})
}
