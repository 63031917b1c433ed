package localshadow_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"greengate/localshadow"
)

// kilobyte is a document of 1 KiB: what a heating controller might keep. Each
// update changes two leaves of ten.
func kilobyte(tb testing.TB) (localshadow.Document, []string) {
	var state strings.Builder
	for _, section := range []string{"desired", "reported"} {
		fmt.Fprintf(&state, `"%s":{"mode":"auto","firmware":"v1.14.2-rc3","tags":["a","b","c"]`, section)
		for i := range 9 {
			fmt.Fprintf(&state, `,"zone%d":{"target":%d.5,"valve":"open","on":true}`, i, 18+i%4)
		}
		state.WriteString(`},`)
	}
	seed := `{"state":{` + strings.TrimSuffix(state.String(), ",") + `}}`
	d, _, err := localshadow.Update(localshadow.Document{}, seed, time.Unix(1730481958, 0), localshadow.DefaultLimits())
	if err != nil {
		tb.Fatal(err)
	}
	if d.Size() < 1000 || d.Size() > 1100 {
		tb.Fatalf("the document has %d bytes", d.Size())
	}
	var updates []string
	for i := range 100 {
		updates = append(updates, fmt.Sprintf(
			`{"state":{"reported":{"zone%d":{"target":%d.%d},"mode":"m%d"}},"clientToken":"58de9848-e4db-e2ac-9622-%012d"}`, i%9, 18+i%5, i%10, i, i))
	}
	return d, updates
}

func BenchmarkMerge1KiB(b *testing.B) {
	b.Run("greengate", func(b *testing.B) {
		d, updates := kilobyte(b)
		now, lim := time.Unix(1730482794, 0), localshadow.DefaultLimits()
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			next, answer, err := localshadow.Update(d, updates[i%len(updates)], now, lim)
			if err != nil || answer.Delta == nil {
				b.Fatal(err, answer)
			}
			d = next
		}
	})
	// The same through maps of encoding/json, the plainest way to write it: all
	// that an update does, but for the metadata, which would double it.
	b.Run("encoding-json", func(b *testing.B) {
		d, updates := kilobyte(b)
		stored := []byte(`{"desired":` + d.Desired + `,"reported":` + d.Reported + `}`)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			var state map[string]any
			var request struct{ State map[string]any }
			if err := json.Unmarshal(stored, &state); err != nil {
				b.Fatal(err)
			}
			if err := json.Unmarshal([]byte(updates[i%len(updates)]), &request); err != nil {
				b.Fatal(err)
			}
			mergeMaps(state, request.State)
			var err error
			if stored, err = json.Marshal(state); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// The same through the model of the tests: all that an update does, through maps.
func BenchmarkMerge1KiBAll(b *testing.B) {
	d, updates := kilobyte(b)
	m := newModel()
	if _, _, _, r := m.update(`{"state":{"desired":`+d.Desired+`,"reported":`+d.Reported+`}}`, 1730481958); r != nil {
		b.Fatal(r)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		accepted, documents, delta, r := m.update(updates[i%len(updates)], 1730482794)
		if r != nil {
			b.Fatal(r)
		}
		for _, answer := range []doc{accepted, documents, delta} {
			if _, err := json.Marshal(answer); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func mergeMaps(dst, patch map[string]any) {
	for k, v := range patch {
		p, ok := v.(map[string]any)
		d, is := dst[k].(map[string]any)
		switch {
		case v == nil:
			delete(dst, k)
		case ok && is:
			mergeMaps(d, p)
		default:
			dst[k] = v
		}
	}
}

// residentMiB reads the memory of this process, that of SQLite included.
func residentMiB(b *testing.B) float64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Skip("no /proc here")
	}
	var size, resident int
	if _, err := fmt.Sscan(string(data), &size, &resident); err != nil {
		b.Fatal(err)
	}
	return float64(resident*os.Getpagesize()) / (1 << 20)
}
