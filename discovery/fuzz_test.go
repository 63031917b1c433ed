package discovery

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// FuzzConversation sends a device's bytes, in pieces of any size, through TLS to the
// listener. Whatever they are: each request gets one answer that all clients can read,
// with one of few statuses and never a fault of ours; the core is told to nobody but the
// thing itself; what goes on to the data plane goes as from that thing; nothing panics,
// and nothing stays.
func FuzzConversation(f *testing.F) {
	for _, text := range conversationSeeds {
		f.Add([]byte(text), byte(0))
		f.Add([]byte(text+discoverDev), byte(1))
	}
	s := newTalk(f)
	f.Fuzz(func(t *testing.T, data []byte, step byte) {
		if len(data) > 32<<10 {
			t.Skip("long conversations cost time and show nothing more")
		}
		goroutines := runtime.NumGoroutine()
		got := s.say(t, data, step)
		judgeTalk(t, data, got)
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, fault := range s.faults {
			t.Error(fault)
		}
		s.faults = nil
		until(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines })
	})
}

// me is the thing that talks.
const me = "dev:1_a-b"

// talk is a server without a listener, for connections of one thing.
type talk struct {
	server *Server
	client *tls.Config

	mu     sync.Mutex
	faults []string // what a fault of ours has told to the log, and strangers
}

func newTalk(f *testing.F) *talk {
	ca := newAuthority(f)
	s := &talk{client: &tls.Config{
		RootCAs: ca.pool, ServerName: "127.0.0.1", Certificates: []tls.Certificate{ca.issue(f, me)},
		// Resumed handshakes of TLS 1.2 need no arithmetic.
		MaxVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}}
	var err error
	s.server, err = New(Options{
		Config: Config{Listen: []string{"127.0.0.1:0"}}, Group: "home", CoreARN: "arn:aws:iot:eu-west-1:1:thing/core",
		RootPEM: func() []byte { return ca.pem }, MQTTPort: 8883, TLS: &tls.Config{Certificates: []tls.Certificate{ca.issue(f, "server")}},
		Identities: &identities{ca: ca, things: map[string]bool{me: true, "other": true}},
		MQTT:       func(*tls.Conn) {}, Data: http.HandlerFunc(s.data), Log: slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		f.Fatal(err)
	}
	l := &s.server.limits // a busy machine is slow
	l.handshake, l.header, l.body, l.write = time.Hour, time.Hour, time.Hour, time.Hour
	return s
}

// Write takes a line of the log.
func (s *talk) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, string(line))
	return len(line), nil
}

// data is the data plane: it tells who has sent how much.
func (s *talk) data(w http.ResponseWriter, r *http.Request) {
	thing, _ := ThingFrom(r.Context())
	if thing != me {
		_, _ = s.Write([]byte("the data plane is told that it is " + thing))
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20))
	if err != nil {
		writeError(w, http.StatusBadRequest, "the body did not come")
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"thing": thing, "bytes": n})
}

// say sends data and returns all that comes back.
func (s *talk) say(t *testing.T, data []byte, step byte) []byte {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]net.Conn
	for i, fd := range pair {
		file := os.NewFile(uintptr(fd), "pair")
		if ends[i], err = net.FileConn(file); err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	one, _ := s.server.newcomers.enter(ends[0], nil, 1)
	var served sync.WaitGroup
	served.Go(func() {
		defer one.leave()
		s.server.serve(context.Background(), context.Background(), one, func() bool { return true })
	})
	defer served.Wait()
	defer ends[1].Close()
	conn := tls.Client(ends[1], s.client)
	_ = conn.SetDeadline(time.Now().Add(time.Minute)) // of what hangs; a busy machine is slow
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	var got []byte
	var read sync.WaitGroup
	read.Go(func() { got, err = io.ReadAll(conn) })
	for pieces := 0; len(data) > 0; pieces++ {
		n := len(data)
		if step > 0 && pieces < 100 {
			n = min(n, int(step))
		}
		if _, err := conn.Write(data[:n]); err != nil {
			break // it was ended
		}
		data = data[n:]
	}
	_ = conn.CloseWrite()
	read.Wait()
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Fatal("the connection stays open after the end of what was sent")
	}
	return got
}

// judgeTalk reads the answers beside the requests.
func judgeTalk(t *testing.T, sent, got []byte) {
	requests, answers := bufio.NewReader(bytes.NewReader(sent)), bufio.NewReader(bytes.NewReader(got))
	for {
		q, err := http.ReadRequest(requests)
		if err != nil {
			q = &http.Request{Method: http.MethodGet} // the last answer, if there is one
		}
		if _, end := answers.Peek(1); end != nil {
			return
		}
		status, body, closes, fault := readAnswer(answers, q)
		if fault != nil {
			t.Fatalf("%v, in %q", fault, got)
		}
		if err != nil && (status == http.StatusOK || !closes) {
			t.Fatalf("what is no request got %d %s", status, body)
		}
		if err == nil {
			judgeAnswer(t, q, status, body)
			_, _ = io.Copy(io.Discard, q.Body)
		}
		if closes {
			if rest, _ := io.ReadAll(answers); len(rest) > 0 {
				t.Fatalf("%q follows the last answer", rest)
			}
			return
		}
	}
}

func judgeAnswer(t *testing.T, q *http.Request, status int, body []byte) {
	ask := q.Method == http.MethodGet || q.Method == http.MethodHead
	const mine = discoverPath + me
	told := bytes.Contains(body, []byte("GGGroups"))
	thing, asks := strings.CutPrefix(q.RequestURI, discoverPath)
	asks = asks && thing != "" && !strings.ContainsAny(thing, "/?")
	switch {
	case told && (status != http.StatusOK || !ask || q.URL.Path != mine):
		t.Errorf("%s %s is told the core", q.Method, q.URL)
	case ask && q.RequestURI == mine && q.Host != "" && q.ProtoMajor == 1 && status != http.StatusOK:
		t.Errorf("%s %s got %d %s", q.Method, q.URL, status, body)
	case asks && !told && status == http.StatusOK && q.Method != http.MethodHead:
		t.Errorf("%s %s went to the data plane", q.Method, q.URL)
	}
}

// readAnswer reads one answer and holds it to what is true of every one.
func readAnswer(in *bufio.Reader, q *http.Request) (status int, body []byte, closes bool, err error) {
	r, err := http.ReadResponse(in, q)
	for err == nil && r.StatusCode == http.StatusContinue {
		r, err = http.ReadResponse(in, q)
	}
	if err == nil {
		body, err = io.ReadAll(r.Body)
	}
	if err != nil {
		return 0, nil, false, err
	}
	statuses := []int{200, 400, 403, 404, 405, 408, 431, 505}
	switch h := r.Header; {
	case !slices.Contains(statuses, r.StatusCode):
		err = fmt.Errorf("status %d", r.StatusCode)
	case h.Get("Content-Type") != "application/json", len(h.Get("X-Amzn-Requestid")) != 36, r.ContentLength < 0:
		err = fmt.Errorf("the head is %v", h)
	case q.Method != http.MethodHead && !json.Valid(body):
		err = fmt.Errorf("%q is not JSON", body)
	}
	return r.StatusCode, body, r.Close, err
}

const mineHead = "GET " + discoverPath + me + " HTTP/1.1\r\nHost: g\r\n"

var conversationSeeds = []string{
	"", mineHead + "\r\n" + mineHead + "\r\n", "HEAD" + mineHead[3:] + "\r\n" + mineHead + "Connection: close\r\n\r\n", mineHead[:40],
	strings.Replace(mineHead, ":1", "%3A1", 1) + "\r\n", strings.Replace(mineHead, ":1", "%253A1", 1) + "\r\n", strings.Replace(mineHead, me, "other", 1) + "\r\n",
	strings.Replace(mineHead, "/thing/", "%2Fthing/", 1) + "\r\n", strings.Replace(mineHead, me, me+"/../other", 1) + "\r\n",
	"GET http://h" + discoverPath + "other HTTP/1.1\r\nHost: g\r\n\r\n", "GET //" + discoverPath + me + " HTTP/1.0\r\n\r\n",
	"POST /topics/a%2Fb HTTP/1.1\r\nHost: g\r\nContent-Length: 4\r\n\r\nbody" + mineHead + "\r\n",
	"POST /topics/a HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nbody\r\n0\r\nA: b\r\n\r\n" + mineHead + "\r\n",
	"POST /topics/a HTTP/1.1\r\nHost: g\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody",
	"POST" + mineHead[3:] + "Content-Length: 4\r\nExpect: 100-continue\r\n\r\nbody" + mineHead + "\r\n",
	"GET / HTTP/1.1\r\nHost: g\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "GET / HTTP/1.1\r\nHost: g\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: g\r\n\r\n", "nonsense\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET /\x00 HTTP/1.1\r\nHost: g\r\n\r\n",
	"GET /" + strings.Repeat("x", 24<<10) + " HTTP/1.1\r\nHost: g\r\n\r\n",
}
