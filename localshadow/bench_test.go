package localshadow_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
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
	for _, way := range mergers {
		b.Run(way.name, func(b *testing.B) {
			merge, i := way.start(b), 0
			b.ReportAllocs()
			for b.Loop() {
				merge(i)
				i++
			}
		})
	}
	// All in turn, by the CPU time of the process, that of the garbage collector
	// included: the machine is not the same from one second to the next.
	b.Run("ratio", func(b *testing.B) {
		const turns, each = 41, 300
		var merge []func(int)
		for _, way := range mergers {
			merge = append(merge, way.start(b))
		}
		figures := map[string][]float64{}
		for turn := range turns {
			row, mixed, json := cpu(b, each, merge[0]), cpu(b, each, merge[1]), cpu(b, each, merge[2])
			if turn == 0 {
				continue // to warm up
			}
			for unit, f := range map[string]float64{
				"cpu-us/merge": row, "mixed-cpu-us/merge": mixed, "json-cpu-us/merge": json,
				"of-json": row / json, "mixed-of-json": mixed / json,
			} {
				figures[unit] = append(figures[unit], f)
			}
		}
		b.ReportMetric(0, "ns/op")
		for unit, all := range figures {
			slices.Sort(all)
			b.ReportMetric(all[turns/2], unit)
		}
	})
}

// mergers make a document, and return what merges the update of a number into it.
var mergers = []struct {
	name  string
	start func(testing.TB) func(i int)
}{
	// The updates of one device in a row, as they come when it does not wait for each.
	{"greengate", func(tb testing.TB) func(int) { return merger(tb, 1) }},
	// Those of many, mixed.
	{"greengate-mixed", func(tb testing.TB) func(int) { return merger(tb, 16) }},
	// The same through maps of encoding/json, the plainest way to write it: all
	// that an update does, but for the metadata, which would double it.
	{"encoding-json", func(tb testing.TB) func(int) {
		d, updates := kilobyte(tb)
		stored := []byte(`{"desired":` + d.Desired + `,"reported":` + d.Reported + `}`)
		return func(i int) {
			var state map[string]any
			var request struct{ State map[string]any }
			if err := json.Unmarshal(stored, &state); err != nil {
				tb.Fatal(err)
			}
			if err := json.Unmarshal([]byte(updates[i%len(updates)]), &request); err != nil {
				tb.Fatal(err)
			}
			mergeMaps(state, request.State)
			var err error
			if stored, err = json.Marshal(state); err != nil {
				tb.Fatal(err)
			}
		}
	}},
}

// merger returns what merges updates into so many documents, in turn.
func merger(tb testing.TB, documents int) func(i int) {
	d, updates := kilobyte(tb)
	all := make([]localshadow.Document, documents)
	for i := range all {
		all[i] = d
		all[i].Desired = strings.Replace(d.Desired, "auto", fmt.Sprintf("%04d", i), 1)
	}
	now, lim := time.Unix(1730482794, 0), localshadow.DefaultLimits()
	return func(i int) {
		d := &all[i%documents]
		next, answer, err := localshadow.Update(*d, updates[i%len(updates)], now, lim)
		if err != nil || answer.Delta == nil {
			tb.Fatal(err, answer)
		}
		*d = next
	}
}

// cpu is the CPU time of a call in microseconds, of so many calls.
func cpu(b *testing.B, calls int, f func(i int)) float64 {
	before := used(b)
	for i := range calls {
		f(i)
	}
	return float64((used(b) - before).Nanoseconds()) / 1e3 / float64(calls)
}

// used is the CPU time that the process has used.
func used(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
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
