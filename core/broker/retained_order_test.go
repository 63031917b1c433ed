package broker

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greengate/core/message"
	"greengate/core/router"
	"greengate/core/sqlite"
)

// Of two messages for one topic at the same time the disk keeps the one that the memory
// keeps, and both publishers are told.
func TestRetainedOrderOnDisk(t *testing.T) {
	db, err := sqlite.Open(sqlite.Options{File: filepath.Join(t.TempDir(), "x.db"), Migrations: Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- db.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
	st := newStore(db, slog.New(slog.DiscardHandler))
	st.port = router.New(st.log).Port(message.Endpoint{})
	r := &retained{most: maxRetainedBytes, store: st}
	told := make(chan string, 2)
	keep := func(payload string) {
		m := &message.Message{Topic: "t", Payload: []byte(payload), Source: message.DeviceEndpoint(payload)}
		r.keep(m, time.Now(), func() { told <- payload })
	}
	second := make(chan struct{})
	reached = func(p failpoint) {
		if p != pointRetained {
			return
		}
		reached = nil
		go func() {
			keep("second")
			close(second)
		}()
		select { // between memory and store; who holds the lock keeps it out
		case <-second:
		case <-time.After(100 * time.Millisecond):
		}
	}
	keep("first")
	<-second
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		st.run(ctx, nil)
	}()
	<-told
	<-told
	cancel()
	<-ended
	k, _ := r.tree.get("t", "")
	var disk []byte
	if err := db.View(t.Context(), func(tx *sqlite.Tx) error {
		return tx.QueryRow("SELECT payload FROM retained WHERE topic = 't'").Scan(&disk)
	}); err != nil {
		t.Fatal(err)
	}
	if string(disk) != string(k.Payload) {
		t.Errorf("the disk has %q, the memory %q", disk, k.Payload)
	}
}

// What comes for a topic faster than the disk can write takes the room of one message.
func TestRetainedFloodWaitsOnce(t *testing.T) {
	st := newStore(&sqlite.DB{}, slog.New(slog.DiscardHandler))
	r := &retained{most: maxRetainedBytes, store: st}
	told := 0
	for i := range 100 {
		m := &message.Message{Topic: fmt.Sprint("t/", i%3), Payload: []byte{byte(i)}}
		if i%10 == 9 {
			m.Payload = nil
		}
		r.keep(m, time.Now(), func() { told++ })
	}
	if len(st.now) != 3 {
		t.Fatalf("%d changes wait", len(st.now))
	}
	for _, o := range st.now {
		o.done()
	}
	if told != 100 {
		t.Errorf("%d of 100 are told", told)
	}
}

// A tree from which all was taken out has no bytes, whatever the order.
func TestTreeCountsBytes(t *testing.T) {
	var tr tree[int]
	paths := []string{"a", "a/b", "a/b/c", "a/b/c/d", "x//", "x", "/", "#", "a/+"}
	for i, p := range paths {
		tr.put(p, "one", i)
		tr.put(p, "two", i)
		tr.put(p, "one", i+1)
	}
	if want := 11*levelCost + len("abcdx") + len("#+") + len(paths)*endCost; tr.bytes != want {
		t.Errorf("%d bytes, want %d", tr.bytes, want)
	}
	for _, p := range paths {
		tr.remove(p, "two")
		tr.remove(p, "nobody")
	}
	for _, p := range paths {
		tr.remove(p, "one")
		tr.remove(p, "one")
	}
	if tr.bytes != 0 || tr.count != 0 || len(tr.root.children) != 0 {
		t.Errorf("left are %d bytes of %d values", tr.bytes, tr.count)
	}
}

// The log has a line of a bounded length for each kind of refusal of an address, whatever
// the stranger wrote, and nothing of that is kept.
func TestRefusalsAreShort(t *testing.T) {
	var out strings.Builder
	b := &Broker{log: slog.New(slog.NewTextHandler(&out, nil)), router: router.New(slog.New(slog.DiscardHandler))}
	client, server := net.Pipe()
	defer client.Close()
	c := newConn(b, server)
	for i := range 50 {
		c.head.clientID = fmt.Sprint(i, strings.Repeat("\x01é", 30_000))
		b.turnedAway("client refused", "client-id", addr(fmt.Sprintf("10.0.0.%d:%d", i%3, i)),
			fmt.Errorf("client id %q: %w", c.head.clientID, io.EOF), "client_id", clip(c.head.clientID))
	}
	if n := strings.Count(out.String(), "\n"); n != 3 || out.Len() > 3*4096 {
		t.Errorf("%d lines of %d bytes", n, out.Len())
	}
	for k := range b.refusals.seen {
		if len(k.who)+len(k.what)+len(k.why) > 100 {
			t.Errorf("kept is %+v", k)
		}
	}
	for i := range 5000 {
		b.refusals.first(telling{who: fmt.Sprint(i)})
	}
	if len(b.refusals.seen) > maxSeen {
		t.Errorf("%d are kept", len(b.refusals.seen))
	}
}

type addr string

func (addr) Network() string  { return "tcp" }
func (a addr) String() string { return string(a) }
