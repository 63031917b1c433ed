package endpoint_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"greengate/functions/endpoint"
)

// wire is a connection of a client that writes what it likes.
type wire struct {
	net.Conn
	in *bufio.Reader
}

func dialWire(t *testing.T, h *house) *wire {
	t.Helper()
	conn, err := net.Dial("tcp4", h.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &wire{conn, bufio.NewReader(conn)}
}

func (w *wire) send(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

// answer reads an answer and its body.
func (w *wire) answer(t *testing.T, status int) (http.Header, string) {
	t.Helper()
	r, err := http.ReadResponse(w.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != status {
		t.Fatalf("got %d, %v, %q; want %d", r.StatusCode, err, body, status)
	}
	return r.Header, string(body)
}

const wireNext = "GET " + runtimePath + "invocation/next HTTP/1.1\r\nHost: a\r\n\r\n"

func wireResponse(id, headers, body string) string {
	return "POST " + runtimePath + "invocation/" + id + "/response HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n" + body
}

// take asks for a call and gets it.
func (w *wire) take(t *testing.T, h *house, id string) {
	t.Helper()
	w.send(t, wireNext)
	h.calls.next <- &endpoint.Invocation{ID: id, Payload: []byte("event"), Deadline: time.Now().Add(patience), Subject: "a\nb"}
	header, body := w.answer(t, http.StatusOK)
	if body != "event" || header.Get("Lambda-Runtime-Aws-Request-Id") != id || header.Get("Date") == "" ||
		!strings.Contains(header.Get("Lambda-Runtime-Client-Context"), `"a\nb"`) {
		t.Errorf("got %q, %v", body, header)
	}
}

func TestDirectThenNetHTTP(t *testing.T) {
	h := open(t, nil)
	w := dialWire(t, h)
	for i, after := range []string{"", "Content-Type: text/html\r\n", "X-Unusual: yes\r\n", "Accept: x\r\n"} {
		id := fmt.Sprint("call-", i)
		w.take(t, h, id)
		w.send(t, wireResponse(id, after+"Content-Length: 2\r\n", "42"))
		if _, body := w.answer(t, http.StatusAccepted); body != "{\"status\":\"OK\"}\n" {
			t.Errorf("got %q", body)
		}
		if e := wait(t, h.calls.ends, "an answer"); e.id != id || e.body != "42" {
			t.Errorf("got %+v", e)
		}
	}
	h.noted(t)
}

// What a client sends bit by bit, or at once, is the same.
func TestDirectPieces(t *testing.T) {
	h := open(t, nil)
	w := dialWire(t, h)
	w.take(t, h, "one")
	for _, piece := range strings.SplitAfter(wireResponse("one", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"), "\n") {
		w.send(t, piece)
	}
	w.answer(t, http.StatusAccepted)
	if e := wait(t, h.calls.ends, "an answer"); e.body != "abc" {
		t.Errorf("got %+v", e)
	}
	w.take(t, h, "two")
	w.send(t, wireResponse("two", "Content-Length: 1\r\n", "x")+wireNext)
	w.answer(t, http.StatusAccepted)
	h.calls.next <- &endpoint.Invocation{ID: "three", Payload: []byte("{}")}
	w.answer(t, http.StatusOK)
	large := strings.Repeat("x", 40_000)
	w.send(t, wireResponse("three", "Content-Length: 40000\r\n", large))
	w.answer(t, http.StatusAccepted)
	<-h.calls.ends
	if e := wait(t, h.calls.ends, "an answer"); e.body != large {
		t.Errorf("got %d bytes", len(e.body))
	}
	h.noted(t)
}

// A client that asks for a call and goes gets none: the next one does.
func TestDirectClientGoes(t *testing.T) {
	h := open(t, nil)
	w := dialWire(t, h)
	w.send(t, wireNext)
	wait(t, h.calls.ready, "client")
	_ = w.Close()
	wait(t, h.calls.left, "end of the request")
	dialWire(t, h).take(t, h, "one")
}

// A body of which the rest does not come fails its call at once.
func TestDirectTruncated(t *testing.T) {
	h := open(t, nil)
	w := dialWire(t, h)
	w.take(t, h, "one")
	w.send(t, wireResponse("one", "Content-Length: 5\r\n", "he"))
	if err := w.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	w.answer(t, http.StatusBadRequest)
	if e := wait(t, h.calls.ends, "an end"); e.failure == nil || e.failure.Type != "Runtime.TruncatedResponse" {
		t.Errorf("got %+v", e)
	}
}

// Refusals are the same as those that net/http carries.
func TestDirectRefusals(t *testing.T) {
	h := open(t, nil)
	w := dialWire(t, h)
	w.take(t, h, "one")
	w.send(t, wireResponse("two", "Content-Length: 1\r\n", "x"))
	if _, body := w.answer(t, http.StatusBadRequest); !strings.Contains(body, "InvalidRequestID") {
		t.Errorf("got %s", body)
	}
	w.send(t, wireResponse("one", "Content-Length: 1\r\n", "x"))
	w.answer(t, http.StatusAccepted)
	h.noted(t, "function-request-id")
}
