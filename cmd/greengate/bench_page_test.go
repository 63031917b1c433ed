package main_test

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The load of a busy site while people look: 200 machines with TLS, the even ones of which
// publish to their neighbours.
const (
	lookedMachines = 200
	lookedRate     = 2000 // messages a second, of all together
	lookedTime     = 5 * time.Second
	lookers        = 3
)

// looked is what a round of that load came to.
type looked struct {
	p50, p99 float64 // ms from the write of a message to its arrival
	cpu      float64 // of the gateway, % of a core
}

func (l looked) String() string {
	return fmt.Sprintf("p50 %.2f ms, p99 %.2f ms, %.1f%% of a core", l.p50, l.p99, l.cpu)
}

// BenchmarkPage is what three open pages cost a gateway with 200 devices and 2,000
// messages a second, QoS 1: in latency and in its CPU time. One of them is a real
// Chromium, where there is one; it gets what processor the others leave, as if it were on
// another machine.
func BenchmarkPage(b *testing.B) {
	site, page := newBenchSite(b, false), freeAddress(b, "127.0.0.1")
	var machines []string
	for i := range lookedMachines {
		machines = append(machines, machine(i))
	}
	site.issue(b, append(machines, publisher(0)))
	text := strings.Replace(string(site.groupFile()), `admin: {listen: ""}`, fmt.Sprintf("admin: {listen: %q}", page), 1)
	if err := os.WriteFile(site.file, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
	s := startGreengate(b, site)
	load := newLookedLoad(b, s, site)
	var alone, watched []looked
	load.round(b, s, time.Second) // to warm up
	for range rounds {
		alone = append(alone, load.round(b, s, lookedTime))
		shut := openPages(b, page)
		watched = append(watched, load.round(b, s, lookedTime))
		shut()
	}
	for i := range alone {
		b.Logf("no page: %v; %d pages: %v", alone[i], lookers, watched[i])
	}
	median := func(all []looked, of func(looked) float64) float64 {
		slices.SortFunc(all, func(x, y looked) int { return cmp.Compare(of(x), of(y)) })
		return of(all[len(all)/2])
	}
	p50, p99, cpu := func(l looked) float64 { return l.p50 }, func(l looked) float64 { return l.p99 }, func(l looked) float64 { return l.cpu }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(alone, p50), "ms-p50")
	b.ReportMetric(median(watched, p50), "ms-p50-pages")
	b.ReportMetric(median(alone, p99), "ms-p99")
	b.ReportMetric(median(watched, p99), "ms-p99-pages")
	b.ReportMetric(median(alone, cpu), "%-of-a-core")
	b.ReportMetric(median(watched, cpu), "%-of-a-core-pages")
	b.ReportMetric(median(watched, cpu)/median(alone, cpu), "of-cpu")
}

// openPages opens the pages, and returns what closes them.
func openPages(b *testing.B, page string) (shut func()) {
	b.Helper()
	streams := lookers
	var closers []func()
	if chromium := findBrowser(); chromium != "" {
		streams--
		browser := startBrowser(b, "nice", chromium)
		browser.call("Page.navigate", map[string]any{"url": "http://" + page + "/"}, nil)
		browser.shows("device-count", fmt.Sprintf("%d of", lookedMachines))
		closers = append(closers, func() {
			browser.until("the messages on their ways", `document.querySelectorAll("#flow path").length > 9`)
			browser.stop()
		})
	}
	for range streams {
		resp, err := http.Get("http://" + page + "/api/events")
		if err != nil {
			b.Fatal(err)
		}
		go func() { _, _ = io.Copy(io.Discard, resp.Body) }()
		closers = append(closers, func() { _ = resp.Body.Close() })
	}
	return func() {
		for _, c := range closers {
			c()
		}
	}
}

// lookedLoad are the connected machines.
type lookedLoad struct {
	publishers []*loadClient
	topics     []string
	sent       int

	mu    sync.Mutex
	times []time.Duration // guarded by mu: of the messages that arrived
	begun time.Time
}

func newLookedLoad(b *testing.B, s *server, site *benchSite) *lookedLoad {
	b.Helper()
	l := &lookedLoad{begun: time.Now()}
	for i := 0; i < lookedMachines; i += 2 {
		topic := fmt.Sprintf("plant/%s/0/temperature", machine(i))
		to := subscribed(b, s, site, machine(i+1), topic)
		from, err := site.dial(s, machine(i))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = from.NetConn().Close() })
		l.publishers, l.topics = append(l.publishers, from), append(l.topics, topic)
		go func() { _, _ = io.Copy(io.Discard, from.r) }() // its PUBACKs
		go l.receive(to, 2+len(topic)+2)
	}
	return l
}

// receive acknowledges what comes to a machine, and notes how long it took.
func (l *lookedLoad) receive(c *loadClient, head int) {
	for {
		first, length, err := c.head()
		if err != nil {
			return
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(c.r, body); err != nil {
			return
		}
		if first&0xf0 != publish {
			continue
		}
		took := time.Since(l.begun) - time.Duration(binary.BigEndian.Uint64(body[head:]))
		l.mu.Lock()
		l.times = append(l.times, took)
		l.mu.Unlock()
		if _, err := c.Write([]byte{puback, 2, body[head-2], body[head-1]}); err != nil {
			return
		}
	}
}

// round publishes at the rate for so long; all must arrive.
func (l *lookedLoad) round(b *testing.B, s *server, length time.Duration) looked {
	b.Helper()
	l.mu.Lock()
	l.times = nil
	l.mu.Unlock()
	before, err := s.cpu()
	if err != nil {
		b.Fatal(err)
	}
	const step = 5 * time.Millisecond
	tick := time.NewTicker(step)
	defer tick.Stop()
	payload, begun, n := make([]byte, payloadSize), time.Now(), 0
	for since := time.Duration(0); since < length; since = time.Since(begun) {
		for ; n < int(since.Seconds()*lookedRate); n++ {
			i := l.sent % len(l.publishers)
			l.sent++
			binary.BigEndian.PutUint64(payload, uint64(time.Since(l.begun)))
			if _, err := l.publishers[i].Write(appendPublish(nil, l.topics[i], 1, uint16(l.sent%65535+1), payload)); err != nil {
				b.Fatal(err)
			}
		}
		<-tick.C
	}
	took := time.Since(begun)
	after, err := s.cpu()
	if err != nil {
		b.Fatal(err)
	}
	times := l.arrived(b, n)
	return looked{
		p50: times[n/2].Seconds() * 1e3, p99: times[n*99/100].Seconds() * 1e3,
		cpu: 100 * (after - before).Seconds() / took.Seconds(),
	}
}

// arrived waits until n messages have, and returns how long they took, sorted.
func (l *lookedLoad) arrived(b *testing.B, n int) []time.Duration {
	b.Helper()
	var times []time.Duration
	eventually(b, "all messages have arrived", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		times = slices.Clone(l.times)
		return len(times) == n
	})
	slices.Sort(times)
	return times
}
