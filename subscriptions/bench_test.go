package subscriptions_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"greengate/core/message"
	. "greengate/subscriptions"
)

// plant makes a group as it might be: machines with some ten rows of their own
// each, and rows for labels, for all devices and for the cloud.
func plant(rows int) ([]Row, Site) {
	var site Site
	var table []Row
	row := func(from, topic, to string) {
		r := Row{From: Ends{from}, Topic: topic, To: Ends{to}, Line: len(table) + 1}
		table = append(table, r)
	}
	row("device:*", "telemetry/${from}/#", "cloud")
	row("cloud", "cmd/${to}/#", "device:*")
	row("label:area0", "area0/+/state", "label:area0")
	for area := 1; area < max(1, rows/1000); area++ {
		row(fmt.Sprintf("label:area%d", area), fmt.Sprintf("area%d/+/state", area), fmt.Sprintf("label:area%d", area))
	}
	areas := len(table) - 2
	signals := []string{"temperature", "humidity", "pressure", "power", "speed", "state", "alarm/#"}
	for m := 0; len(table) < rows; m++ {
		name := fmt.Sprintf("machine-%05d", m)
		area := fmt.Sprintf("area%d", m%areas)
		site.Devices = append(site.Devices, Device{Thing: name, Labels: []string{area}, OwnShadows: true, Line: m})
		for s := 0; s < len(signals) && len(table) < rows; s++ {
			peer := fmt.Sprintf("machine-%05d", m^1)
			if s%2 == 0 || m^1 >= (rows-areas)/10 {
				peer = "cloud"
			}
			row(name, fmt.Sprintf("plant/%s/%s/%s", area, name, signals[s]), peer)
		}
		if len(table) < rows {
			row("cloud", fmt.Sprintf("plant/%s/%s/set/+", area, name), name)
		}
		if len(table) < rows {
			row("function:watch", fmt.Sprintf("alarm/%s", name), name)
		}
		if len(table) < rows {
			table = append(table, Row{From: Ends{name}, Shadow: fmt.Sprintf("line-%d", m), Line: len(table) + 1})
		}
	}
	return table, site
}

type probe struct {
	from  message.Endpoint
	topic string
}

// probes are lookups spread over all sources and topics; one in eight finds
// no row. Their texts stand one after the other in memory, so that a processor
// has them at hand, as it has those of a message just read: what is measured
// is the table.
func probes(site Site, n int) []probe {
	r := rand.New(rand.NewPCG(1, 2))
	ps := make([]probe, n)
	cloud := message.Endpoint{Kind: message.Cloud}
	signals := []string{"temperature", "humidity", "pressure", "power", "speed", "state", "alarm/oil/low"}
	for i := range ps {
		d := site.Devices[r.IntN(len(site.Devices))]
		from := message.DeviceEndpoint(d.Thing)
		switch i % 8 {
		case 0:
			ps[i] = probe{from, fmt.Sprintf("telemetry/%s/axis/%d", d.Thing, r.IntN(10))}
		case 1:
			ps[i] = probe{from, fmt.Sprintf("%s/%s/state", d.Labels[0], d.Thing)}
		case 2:
			ps[i] = probe{cloud, fmt.Sprintf("cmd/%s/restart", d.Thing)}
		case 3:
			ps[i] = probe{from, fmt.Sprintf("$aws/things/%s/shadow/update", d.Thing)}
		case 4:
			ps[i] = probe{from, fmt.Sprintf("plant/%s/other/%d", d.Labels[0], r.IntN(10))}
		default:
			ps[i] = probe{from, fmt.Sprintf("plant/%s/%s/%s", d.Labels[0], d.Thing, signals[r.IntN(len(signals))])}
		}
	}
	var b strings.Builder
	for _, p := range ps {
		b.WriteString(p.from.Name + p.topic)
	}
	text := b.String()
	for i := range ps {
		p := &ps[i]
		name, topic := len(p.from.Name), len(p.topic)
		p.from.Name, p.topic, text = text[:name], text[name:name+topic], text[name+topic:]
	}
	return ps
}

var sizes = []int{10, 1_000, 100_000}

func compiled(tb testing.TB, rows int) (*Table, Site) {
	table, site := plant(rows)
	t, err := Compile(table, site)
	if err != nil {
		tb.Fatal(err)
	}
	return t, site
}

// BenchmarkLookup asks a thousand different things, one after the other.
func BenchmarkLookup(b *testing.B) {
	for _, rows := range sizes {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			t, site := compiled(b, rows)
			lookups(b, t, probes(site, 1024))
		})
	}
}

// BenchmarkLookupEverywhere asks so much in a table of 100,000 rows that hardly
// anything is in the processor's near caches.
func BenchmarkLookupEverywhere(b *testing.B) {
	t, site := compiled(b, 100_000)
	lookups(b, t, probes(site, 1<<16))
}

func lookups(b *testing.B, t *Table, ps []probe) {
	found, i := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		p := &ps[i%len(ps)]
		i++
		if t.Lookup(p.from, p.topic) != nil {
			found++
		}
	}
	b.ReportMetric(float64(found)/float64(b.N), "found/op")
}

// BenchmarkLookupRatio compares tables of 10 and of 100,000 rows. It asks them
// in turn and takes the best of many rounds, so that what else runs on the
// machine disturbs both alike and little.
func BenchmarkLookupRatio(b *testing.B) {
	tables, asked := make([]*Table, len(sizes)), make([][]probe, len(sizes))
	best := make([]float64, len(sizes))
	for i, rows := range sizes {
		t, site := compiled(b, rows)
		tables[i], asked[i], best[i] = t, probes(site, 1024), math.Inf(1)
	}
	for b.Loop() {
		for i, t := range tables {
			for range 2 { // the first brings back what the other tables drove out of the caches
				began := time.Now()
				for k := range asked[i] {
					t.Lookup(asked[i][k].from, asked[i][k].topic)
				}
				best[i] = min(best[i], float64(time.Since(began).Nanoseconds())/float64(len(asked[i])))
			}
		}
	}
	for i, rows := range sizes {
		b.ReportMetric(best[i], fmt.Sprintf("ns@%d", rows))
	}
	b.ReportMetric(best[len(best)-1]/best[0], "ratio")
}

func BenchmarkAllows(b *testing.B) {
	t, site := compiled(b, 100_000)
	m := t.Lookup(message.DeviceEndpoint("machine-00007"), "area7/machine-00007/state")
	if m == nil {
		b.Fatal("no row")
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		m.Allows(message.DeviceEndpoint(site.Devices[i%len(site.Devices)].Thing))
		i++
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, rows := range sizes {
		table, site := plant(rows)
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Compile(table, site); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	table, site := plant(100_000)
	names := Names{Functions: []string{"watch"}}
	for b.Loop() {
		if faults := Check(table, site, names); len(faults) > 0 {
			b.Fatal(faults[0])
		}
	}
}

// TestTableMemory keeps the promise of at most 150 bytes a row, for a table in
// which rows share much of their topics and for one in which they do not.
func TestTableMemory(t *testing.T) {
	shared, site := plant(20_000)
	apart := make([]Row, len(shared))
	for i := range apart {
		d := site.Devices[i%len(site.Devices)].Thing
		apart[i] = Row{From: Ends{d}, Topic: fmt.Sprintf("a/topic-of-%06d", i), To: Ends{"cloud"}, Line: i + 1}
	}
	for name, rows := range map[string][]Row{"shared": shared, "apart": apart} {
		bytes := tableMemory(t, rows, site)
		t.Logf("%s: %.0f bytes a row", name, float64(bytes)/float64(len(rows)))
		if bytes > 150*uint64(len(rows)) {
			t.Errorf("the table with topics %s takes %d bytes a row, more than 150", name, bytes/uint64(len(rows)))
		}
	}
}

func BenchmarkTableMemory(b *testing.B) {
	rows, site := plant(100_000)
	for b.Loop() {
		b.ReportMetric(float64(tableMemory(b, rows, site))/float64(len(rows)), "bytes/row")
	}
}

// tableMemory is what a table takes beside the texts that its rows came with.
func tableMemory(tb testing.TB, rows []Row, site Site) uint64 {
	before := live()
	t, err := Compile(rows, site)
	if err != nil {
		tb.Fatal(err)
	}
	bytes := live() - before
	runtime.KeepAlive(t)
	runtime.KeepAlive(rows)
	runtime.KeepAlive(site)
	return bytes
}

func live() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
