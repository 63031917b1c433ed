package discovery

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// holds opens a connection of a thing that asks once and stays.
func (s *site) holds(thing string) (status int, closes bool) {
	s.t.Helper()
	conn := s.dial(s.client(thing))
	fmt.Fprintf(conn, "GET /greengrass/discover/thing/%s HTTP/1.1\r\nHost: gw\r\n\r\n", thing)
	r, _ := next(s.t, bufio.NewReader(conn))
	return r.StatusCode, r.Close
}

// No thing and no address has more than its share of the places, however it fills them;
// another thing is let in, also from the same address.
func TestSharesOfThePlaces(t *testing.T) {
	const thing, address = 3, 4
	s := newSite(t, func(_ *Options, l *limits) { l.ofThing, l.ofAddress, l.body = thing, address, time.Hour })
	s.ids.mu.Lock()
	s.ids.things["third"] = true
	s.ids.mu.Unlock()
	// One that sends its body for ever takes part in it.
	slow := s.dial(s.client("other"))
	io.WriteString(slow, "GET /greengrass/discover/thing/other HTTP/1.1\r\nHost: gw\r\nContent-Length: 1000\r\n\r\nhalf")
	shares := func(want int) func() bool {
		return func() bool {
			s.shares.mu.Lock()
			defer s.shares.mu.Unlock()
			g := s.shares.things["other"]
			return g != nil && g.conns == want
		}
	}
	until(t, "the slow one has asked", shares(1))
	for range thing - 1 {
		if status, closes := s.holds("other"); status != 200 || closes {
			t.Errorf("status %d, closes %v", status, closes)
		}
	}
	for _, c := range []struct {
		thing  string
		status int
	}{{"other", 429}, {"dev:1_a-b", 200}, {"dev:1_a-b", 429}, {"third", 200}, {"other", 429}} {
		if status, closes := s.holds(c.thing); status != c.status || closes != (status == 429) {
			t.Errorf("%s: status %d, closes %v; want %d", c.thing, status, closes, c.status)
		}
	}
	if n := s.Stats().Refused[reasonShare]; n != 3 {
		t.Errorf("counted %d refusals, want 3", n)
	}
	slow.Close()
	until(t, "its place is free", shares(thing-1))
	if status, _ := s.holds("third"); status != 429 {
		t.Errorf("the address has its share, and gets %d", status)
	}
}

// A thing that asks without end gets so many answers in a second, over all its connections;
// another thing does not wait for it.
func TestPaceOfAThing(t *testing.T) {
	s, now := newShares(), time.Now()
	remote := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}
	for _, thing := range []string{"a", "a", "b"} {
		if _, ok := s.take(thing, remote, defaultLimits); !ok {
			t.Fatal("not let in")
		}
	}
	asks := func(n int, thing string) (wait time.Duration) {
		for range n {
			wait = s.pace(thing, now)
		}
		return wait
	}
	for _, c := range []struct {
		after time.Duration // a pause
		n     int
		thing string
		wait  time.Duration // of the last
	}{
		{0, requestBurst, "a", 0}, {0, 10, "a", 50 * time.Millisecond}, {0, 1, "b", 0},
		{50 * time.Millisecond, 1, "a", 5 * time.Millisecond}, {time.Hour, requestBurst + 1, "a", 5 * time.Millisecond},
	} {
		now = now.Add(c.after)
		if wait := asks(c.n, c.thing); wait != c.wait {
			t.Errorf("the last of %d of %s waits %v, want %v", c.n, c.thing, wait, c.wait)
		}
	}
}

// An answer is in our memory until the client takes it, which it has to do in time.
func TestAnswersThatNobodyTakes(t *testing.T) {
	sent := make(chan struct{})
	body := strings.Repeat("x", 1<<20) // more than the kernel may hold
	s := newSite(t, func(o *Options, l *limits) {
		l.write = 2 * time.Second
		o.Data = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.(interface{ WhenSent(func()) }).WhenSent(func() { sent <- struct{}{} })
			if r.URL.Path == "/panics" {
				panic("a fault")
			}
			io.WriteString(w, body)
		})
	})
	conn := s.dial(s.client("other"))
	io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: gw\r\n\r\n")
	select {
	case <-sent:
		t.Fatal("told of as sent though nobody has taken it")
	case <-time.After(200 * time.Millisecond):
	}
	in := bufio.NewReader(conn)
	if _, got := next(t, in); got != body {
		t.Errorf("%d bytes came", len(got))
	}
	<-sent
	io.WriteString(conn, "GET /panics HTTP/1.1\r\nHost: gw\r\n\r\n")
	<-sent
	if n := s.Stats().Refused[reasonUnread]; n != 0 {
		t.Errorf("counted %d unread answers", n)
	}
	conn = s.dial(s.client("other"))
	io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: gw\r\n\r\n")
	<-sent
	until(t, "it is counted", func() bool { return s.Stats().Refused[reasonUnread] == 1 })
}

// The bound of a head is to the byte, also behind a request that came along with it.
func TestSizeOfAHead(t *testing.T) {
	s := newSite(t)
	head := func(size int) string {
		const start, end = "GET /greengrass/discover/thing/other HTTP/1.1\r\nHost: gw\r\nX: ", "\r\nConnection: close\r\n\r\n"
		return start + strings.Repeat("x", size-len(start)-len(end)) + end
	}
	for more, want := range map[int]int{0: 200, 1: 431} {
		conn := s.dial(s.client("other"))
		in := bufio.NewReader(conn)
		io.WriteString(conn, discoverOther+head(16<<10+more)+strings.Repeat("x", 5000))
		for i, status := range []int{200, want} {
			if r, _ := next(t, in); r.StatusCode != status {
				t.Errorf("%d bytes more, answer %d: status %d, want %d", more, i, r.StatusCode, status)
			}
		}
	}
}
