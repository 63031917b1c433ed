package localshadow_test

import (
	"encoding/json"
	"fmt"
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
