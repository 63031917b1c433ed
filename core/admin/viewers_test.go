package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greengate/core/admin"
	"greengate/core/admin/client"
)

// traffic is a gateway's messages, which a page watches.
type traffic struct {
	mu      sync.Mutex
	deliver func(client.Event)
	watches int
}

func (f *traffic) watch(_ string, deliver func(client.Event)) (func(), error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deliver = deliver
	f.watches++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.deliver = nil
	}, nil
}

// send reports whether anybody watches.
func (f *traffic) send(e client.Event) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.deliver != nil {
		f.deliver(e)
	}
	return f.deliver != nil
}

// wait waits until somebody watches, or nobody does.
func (f *traffic) wait(t *testing.T, watched bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-time.After(time.Millisecond) {
		f.mu.Lock()
		is := f.deliver != nil
		f.mu.Unlock()
		if is == watched {
			return
		}
	}
	t.Fatalf("the router is watched: %v, want %v", !watched, watched)
}

// stream opens an event stream, which the test closes.
func stream(t *testing.T, url string) (*bufio.Reader, io.Closer) {
	t.Helper()
	resp, err := http.Get(url + "/api/events")
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	return bufio.NewReader(resp.Body), resp.Body
}

// event returns the data of the next event of that name.
func event(t *testing.T, r *bufio.Reader, name string) string {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(line) == "event: "+name {
			data, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimPrefix(strings.TrimSpace(data), "data: ")
		}
	}
}

func TestEvents(t *testing.T) {
	f, n := &traffic{}, 0
	p := newPage(t, func(o *admin.PageOptions) { o.Watch = f.watch })
	p.Register(admin.ReporterFunc(func(s *client.Status) { n++; s.Group, s.UptimeSeconds = "home", int64(n) }))
	r, body := stream(t, open(t, p))
	first := event(t, r, "status")
	if !strings.Contains(first, `"group":"home"`) || !strings.Contains(first, `"devices":[]`) {
		t.Errorf("the first status is not whole: %s", first)
	}
	if second := event(t, r, "status"); strings.Contains(second, "group") || !strings.Contains(second, "uptime_seconds") {
		t.Errorf("the second status is not what changed: %s", second)
	}
	nasty := "a\n\nevent: status\ndata: {}\n\n<script>"
	f.wait(t, true)
	f.send(client.Event{From: "device:A", To: "device:B", Verdict: "delivered", Topic: "x", Bytes: 2})
	f.send(client.Event{From: "device:A", Verdict: "refused", Reason: "no-row", Topic: nasty})
	var frame admin.Frame
	for frame.Messages < 2 { // they may be in two frames
		var next admin.Frame
		if err := json.Unmarshal([]byte(event(t, r, "flow")), &next); err != nil {
			t.Fatal(err)
		}
		frame.Messages, frame.Flows = frame.Messages+next.Messages, append(next.Flows, frame.Flows...)
	}
	if frame.Messages != 2 || len(frame.Flows) != 2 || frame.Flows[0].Topic != nasty || frame.Flows[1].To != "device:B" {
		t.Errorf("got %+v", frame)
	}
	_ = body.Close()
	f.wait(t, false) // nobody looks: the messages cost nothing
}

// A frame is bounded, whatever the traffic, and tells refusals before all else.
func TestFlowIsBounded(t *testing.T) {
	f := &traffic{}
	p := newPage(t, func(o *admin.PageOptions) { o.Watch = f.watch })
	r, body := stream(t, open(t, p))
	defer body.Close()
	f.wait(t, true)
	const total = 20_000
	sent, seen, refused, largest := 0, 0, 0, 0
	for n := range total {
		e := client.Event{From: fmt.Sprint("device:d", n%200), To: fmt.Sprint("device:e", n%7), Verdict: "delivered", Topic: strings.Repeat("t", 200)}
		if n == total-1 {
			e = client.Event{From: "device:d0", Verdict: "refused", Reason: "no-row", Topic: "x"}
		}
		f.send(e)
		sent++
	}
	for seen < sent {
		text := event(t, r, "flow")
		var frame admin.Frame
		if err := json.Unmarshal([]byte(text), &frame); err != nil {
			t.Fatal(err)
		}
		shown := frame.More
		for _, one := range frame.Flows {
			shown += one.N
			if one.Verdict == "refused" {
				refused += one.N
			}
		}
		if shown != frame.Messages {
			t.Errorf("%d messages, %d told", frame.Messages, shown)
		}
		seen, largest = seen+frame.Messages, max(largest, len(text))
	}
	if largest > 32<<10 || refused > 1 {
		t.Errorf("a frame of %d bytes; %d refused", largest, refused)
	}
}

// Thousands of streams: some are served, the others are told so, and those who ask for
// the health are still answered.
func TestThousandsOfStreams(t *testing.T) {
	f := &traffic{}
	p := newPage(t, func(o *admin.PageOptions) { o.Watch = f.watch })
	url := open(t, p)
	// Who asks again does so on the connection that he has: a new one that waits for its turn
	// could be taken for a silent one while those that were closed are still counted.
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 20}}
	defer c.CloseIdleConnections()
	var served, full atomic.Int32
	var all sync.WaitGroup
	for range 20 { // at a time
		all.Go(func() {
			for range 100 {
				resp, err := c.Get(url + "/api/events")
				if err != nil {
					t.Error(err)
					return
				}
				switch resp.StatusCode {
				case http.StatusOK:
					served.Add(1)
					t.Cleanup(func() { _ = resp.Body.Close() })
				case http.StatusServiceUnavailable:
					full.Add(1)
					if resp.Header.Get("Retry-After") == "" {
						t.Error("nobody says when to come again")
					}
					_, _ = io.Copy(io.Discard, resp.Body) // so that the connection is used again
					_ = resp.Body.Close()
				}
			}
		})
	}
	all.Wait()
	if served.Load() != 32 || full.Load() != 1968 {
		t.Errorf("%d served, %d told that it is full", served.Load(), full.Load())
	}
	if code, _ := get(t, url+"/healthz"); code != 200 {
		t.Errorf("health: %d", code)
	}
	if f.watches != 1 {
		t.Errorf("the router is watched %d times", f.watches)
	}
}

// Connections that say nothing make room for others, and end after a while. One address
// has half of the room, and does not take that of the others.
func TestSilentConnections(t *testing.T) {
	p := newPage(t)
	address := strings.TrimPrefix(open(t, p), "http://")
	from := func(host byte) net.Conn {
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, host)}}).Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		return c
	}
	const read = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
	healthy := func(c net.Conn) {
		t.Helper()
		_, _ = io.WriteString(c, read)
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 200 ") {
			t.Fatalf("the health is not told: %q, %v", line, err)
		}
	}
	// It has sent half a request when 200 others come from one address, and 10 from here.
	slow := from(2)
	_, _ = io.WriteString(slow, read[:20])
	var silent []net.Conn
	for i := range 210 {
		silent = append(silent, from([]byte{3, 1}[i/200]))
	}
	healthy(from(3))
	healthy(from(1))
	_, _ = io.WriteString(slow, read[20:])
	if line, err := bufio.NewReader(slow).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 200 ") {
		t.Fatalf("who was there before is cut off: %q, %v", line, err)
	}
	for _, c := range silent {
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("one that says nothing: %v", err)
		}
	}
	for end := time.Now().Add(20 * time.Second); p.Refused()["no-request"] != 210; {
		if time.Now().After(end) {
			t.Fatalf("counted are %v, want 210 that have not asked", p.Refused())
		}
	}
}

// A viewer who does not read holds up nobody and loses frames, not memory.
func TestSlowViewer(t *testing.T) {
	f := &traffic{}
	p := newPage(t, func(o *admin.PageOptions) { o.Watch = f.watch })
	big := strings.Repeat("x", 8<<20) // more than the buffers of a connection hold
	var stuck atomic.Bool
	var n atomic.Int64
	p.Register(admin.ReporterFunc(func(s *client.Status) {
		if s.UptimeSeconds = n.Add(1); !stuck.Load() {
			s.Group = big
		}
	}))
	url := open(t, p)
	slow, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	_ = slow.(*net.TCPConn).SetReadBuffer(4096)
	fmt.Fprint(slow, "GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
	// He has begun with the big one. From here on frames are small, so that many come
	// before he is cut for taking none.
	for head := bufio.NewReaderSize(slow, 256); ; {
		line, err := head.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "event: status\n" {
			break
		}
	}
	stuck.Store(true)
	r, body := stream(t, url)
	defer body.Close()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); { // the other one gets all of his
		event(t, r, "status")
		_, text := get(t, url+"/metrics")
		if !strings.Contains(text, "greengate_admin_frames_skipped_total 0\n") {
			return
		}
	}
	t.Error("no frame of the one who does not read was skipped")
}

// What a message costs while somebody looks.
func BenchmarkWatchedMessage(b *testing.B) {
	var deliver func(client.Event)
	watched := make(chan struct{})
	p := admin.NewPage(admin.PageOptions{Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
		Watch: func(_ string, f func(client.Event)) (func(), error) {
			deliver = f
			close(watched)
			return func() {}, nil
		}})
	if err := p.Listen(); err != nil {
		b.Fatal(err)
	}
	url := "http://" + p.Addr().String()
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	resp, err := http.Get(url + "/api/events")
	if err != nil {
		b.Fatal(err)
	}
	<-watched
	e := client.Event{From: "device:d", To: "device:e", Verdict: "delivered", Topic: "room/temperature"}
	b.ReportAllocs()
	for b.Loop() {
		deliver(e)
	}
	_ = resp.Body.Close()
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}
