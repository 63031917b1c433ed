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

const discoverOther = "GET /greengrass/discover/thing/other HTTP/1.1\r\nHost: gw\r\n\r\n"

// withData serves the other paths.
func withData(h http.HandlerFunc) func(*Options, *limits) {
	return func(o *Options, _ *limits) { o.Data = h }
}

// next reads one answer of a connection that stays.
func next(t *testing.T, in *bufio.Reader) (*http.Response, string) {
	t.Helper()
	r, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatalf("read an answer: %v", err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("read a body: %v", err)
	}
	return r, string(body)
}

func TestDataKnowsTheThingAndReadsBodies(t *testing.T) {
	s := newSite(t, withData(func(w http.ResponseWriter, r *http.Request) {
		thing, _ := ThingFrom(r.Context())
		body, err := io.ReadAll(r.Body)
		w.Header().Set("X-Two", "lines\r\nx-injected: 1")
		w.WriteHeader(202)
		fmt.Fprintf(w, "%s %s %s %s %v", thing, r.Method, r.URL.EscapedPath(), body, err)
	}))
	conn := s.dial(s.client("other"))
	in := bufio.NewReader(conn)
	for _, request := range []string{
		"POST /topics/a%2Fb HTTP/1.1\r\nHost: gw\r\nContent-Length: 4\r\n\r\nbody",
		"POST /topics/a%2Fb HTTP/1.1\r\nHost: gw\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
	} {
		io.WriteString(conn, request)
		if r, body := next(t, in); r.StatusCode != 202 || body != "other POST /topics/a%2Fb body <nil>" || r.Header.Get("x-injected") != "" {
			t.Errorf("%d %v %q", r.StatusCode, r.Header, body)
		}
	}
	io.WriteString(conn, "POST /topics/x HTTP/1.1\r\nHost: gw\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
	if r, _ := next(t, in); r.StatusCode != 100 {
		t.Fatalf("no invitation but %d", r.StatusCode)
	}
	io.WriteString(conn, "body")
	if r, body := next(t, in); r.StatusCode != 202 || !strings.HasSuffix(body, "body <nil>") {
		t.Errorf("%d %q", r.StatusCode, body)
	}
	io.WriteString(conn, "POST /topics/x HTTP/1.0\r\nHost: gw\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody")
	if r, body := next(t, in); r.StatusCode != 202 || !strings.HasSuffix(body, "body <nil>") {
		t.Errorf("HTTP/1.0: %d %q", r.StatusCode, body)
	}
}

func TestUnreadBodies(t *testing.T) {
	s := newSite(t, withData(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	conn := s.dial(s.client("other"))
	in := bufio.NewReader(conn)
	// A short one is skipped, and the next request is read from where it
	// begins; two may come at once.
	io.WriteString(conn, "POST /x HTTP/1.1\r\nHost: gw\r\nContent-Length: 7\r\n\r\nGET / H"+discoverOther)
	if r, _ := next(t, in); r.StatusCode != 204 || r.ContentLength != 0 || r.Close {
		t.Errorf("%+v", r)
	}
	if r, body := next(t, in); r.StatusCode != 200 || !strings.Contains(body, "GGGroups") {
		t.Errorf("%d %q", r.StatusCode, body)
	}
	// One that may never come ends the connection.
	io.WriteString(conn, "POST /x HTTP/1.1\r\nHost: gw\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\n")
	if r, _ := next(t, in); r.StatusCode != 204 || !r.Close {
		t.Errorf("%+v", r)
	}
}

func TestPanicIsOneAnswer(t *testing.T) {
	s := newSite(t, withData(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "half an ans")
		panic("a fault")
	}))
	if status, body := checkHead(t, s.say("other", "GET /x HTTP/1.1\r\nHost: gw\r\n\r\n")); status != 500 {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := checkHead(t, s.say("other", discoverDev)); status != 403 {
		t.Errorf("then %d", status)
	}
}

func TestSilentHandshakesAreCut(t *testing.T) {
	s := newSite(t, func(_ *Options, l *limits) { l.handshake, l.conns = 100*time.Millisecond, 2 })
	// All slots are taken, twice over.
	var silent []net.Conn
	for range 4 {
		silent = append(silent, s.silent("127.0.0.1"))
	}
	for _, conn := range silent {
		conn.SetDeadline(time.Now().Add(time.Minute))
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("a silent handshake ended with %v", err)
		}
	}
}

func TestSlowRequestsAreCut(t *testing.T) {
	// A busy machine may take long from a handshake to the bytes that follow it.
	s := newSite(t, func(_ *Options, l *limits) { l.header, l.idle, l.conns = 2*time.Second, 200*time.Millisecond, 2 })
	// Both slots are taken by clients that never finish, each in its way.
	nothing, half := s.dial(s.client("other")), s.dial(s.client("other"))
	io.WriteString(half, "GET / HTTP/1.1\r\nHost")
	if answer := readAll(t, nothing); answer != "" {
		t.Errorf("a client that asks nothing got %q", answer)
	}
	if status, body := checkHead(t, readAll(t, half)); status != 408 {
		t.Errorf("half a request got %d %s", status, body)
	}
	idle := s.dial(s.client("other"))
	io.WriteString(idle, discoverOther)
	if status, _ := checkHead(t, readAll(t, idle)); status != 200 {
		t.Errorf("status %d", status)
	}
}

func TestNewcomersGoBeforeTheIdle(t *testing.T) {
	s := newSite(t, func(_ *Options, l *limits) { l.conns, l.idle = 4, time.Hour })
	var closed []bool
	for range 6 {
		conn := s.dial(s.client("other"))
		io.WriteString(conn, discoverOther)
		r, _ := next(t, bufio.NewReader(conn))
		closed = append(closed, r.Close)
	}
	if got := fmt.Sprint(closed); got != "[false false true true true true]" {
		t.Errorf("connections ended after the answer: %s", got)
	}
}

func TestShutdownFinishesWhatIsAtWork(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	s := newSite(t, withData(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		io.WriteString(w, `"done"`)
	}))
	idle := s.dial(s.client("other"))
	in := bufio.NewReader(idle)
	io.WriteString(idle, discoverOther)
	next(t, in)
	busy := s.dial(s.client("other"))
	io.WriteString(busy, "GET /slow HTTP/1.1\r\nHost: gw\r\n\r\n")
	<-arrived

	stopped := make(chan struct{})
	go func() { s.stop(); close(stopped) }()
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("an idle connection ended with %v", err)
	}
	until(t, "nothing is accepted", func() bool {
		conn, err := net.Dial("tcp", s.addr)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	close(release)
	if answer := readAll(t, busy); !strings.HasSuffix(answer, "connection: close\r\n\r\n\"done\"") {
		t.Errorf("the request at work got %q", answer)
	}
	<-stopped
}

func TestShutdownCutsWhatDoesNotEnd(t *testing.T) {
	arrived := make(chan struct{})
	s := newSite(t, func(o *Options, l *limits) {
		l.shutdown = 50 * time.Millisecond
		o.Data = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(arrived)
			io.ReadAll(r.Body)
		})
	})
	conn := s.dial(s.client("other"))
	io.WriteString(conn, "POST /for/ever HTTP/1.1\r\nHost: gw\r\nContent-Length: 9\r\n\r\nhalf")
	<-arrived
	s.stop()
	if answer, _ := io.ReadAll(conn); len(answer) > 0 {
		t.Errorf("got %q", answer)
	}
}

func TestListenNamesTheAddressAndKeepsNone(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := newSite(t)
	o := s.o
	o.Config.Listen = []string{"127.0.0.1:0", taken.Addr().String()}
	other, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Listen(); err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("error %v", err)
	}
	if len(other.Addrs()) != 0 {
		t.Error("it holds an address all the same")
	}
}
