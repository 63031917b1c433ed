package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"greengate/core/admin"
	"greengate/core/admin/client"
)

// source is a gateway's traffic, seen by one watcher.
type source struct {
	deliver   chan func(client.Event)
	cancelled chan struct{}
}

func watched(t *testing.T) (*source, string) {
	t.Helper()
	src := &source{deliver: make(chan func(client.Event), 1), cancelled: make(chan struct{})}
	socket := filepath.Join(t.TempDir(), "gate.sock")
	s := newServer(socket)
	s.Handle("GET /v1/watch", admin.WatchHandler(func(filter string, deliver func(client.Event)) (func(), error) {
		if filter == "a/#/b" {
			return nil, errors.New("# must be the last level")
		}
		src.deliver <- deliver
		return func() { close(src.cancelled) }, nil
	}))
	serve(t, s)
	return src, socket
}

func TestWatch(t *testing.T) {
	src, socket := watched(t)
	ctx, cancel := context.WithCancel(t.Context())
	sent := client.Event{
		Time: time.Now().UTC(), Verdict: "refused", From: "intruder", Topic: "home/door", Bytes: 3, Reason: "no-row",
	}
	var got client.Event
	err := client.New(socket).Watch(ctx, "home/#", func() { (<-src.deliver)(sent) }, func(e client.Event) {
		got = e
		cancel()
	})
	if err != nil {
		t.Fatal(err)
	}
	if got != sent {
		t.Errorf("got  %+v\nwant %+v", got, sent)
	}
	<-src.cancelled // the router is told that nobody watches any more
}

func TestWatchBadFilter(t *testing.T) {
	_, socket := watched(t)
	err := client.New(socket).Watch(t.Context(), "a/#/b", nil, func(client.Event) {})
	var refusal *client.Refusal
	if !errors.As(err, &refusal) {
		t.Errorf("got %v, want a refusal", err)
	}
}

// A watcher that does not read costs the traffic nothing; what it lost is told
// where it is missing, and every event is either shown or counted.
func TestSlowWatcher(t *testing.T) {
	src, socket := watched(t)
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprint(conn, "GET /v1/watch HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	deliver := <-src.deliver
	const total = 50_000 // several MB: more than the socket and the buffer hold
	for i := range total {
		deliver(client.Event{Topic: "t", Bytes: i})
	}
	read := bufio.NewScanner(conn)
	for read.Scan() && read.Text() != "" { // the head
	}
	var shown, lost int64
	last := -1
	for shown+lost < total && read.Scan() {
		var e client.Event
		if err := json.Unmarshal(read.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if e.Dropped > 0 {
			lost += e.Dropped
			last += int(e.Dropped)
			continue
		}
		if shown++; e.Bytes != last+1 {
			t.Fatalf("event %d follows event %d: the loss between them is not told", e.Bytes, last)
		}
		last = e.Bytes
	}
	if shown+lost != total || lost == 0 {
		t.Errorf("%d shown + %d told as lost, of %d", shown, lost, total)
	}
}
