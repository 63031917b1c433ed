package broker

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

// sockets returns two ends of a TCP connection, one of them a socket, whose buffers are small.
func sockets(t *testing.T) (*socket, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	_ = near.(*net.TCPConn).SetWriteBuffer(4 << 10)
	_ = far.(*net.TCPConn).SetReadBuffer(4 << 10)
	for _, c := range []net.Conn{near, far} {
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	}
	return newSocket(near).(*socket), far.(*net.TCPConn)
}

// fill writes to a socket whose peer does not read until the socket takes no more.
func (w *socket) fill(t *testing.T) (written []byte) {
	t.Helper()
	for !w.behind(nil) {
		b := make([]byte, 1000)
		_, _ = rand.Read(b)
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		written = append(written, b...)
	}
	return written
}

// What the socket does not take goes out when the peer reads, in order, and then it is told.
func TestSocketDoesNotWait(t *testing.T) {
	w, far := sockets(t)
	want := w.fill(t)
	emptied := make(chan struct{})
	if !w.behind(func() { close(emptied) }) {
		t.Fatal("the socket is not behind")
	}
	w.cork()
	for _, b := range [][]byte{[]byte("more"), []byte("and more")} {
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		want = append(want, b...)
	}
	if err := w.uncork(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(far, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the peer got other bytes than were written")
	}
	<-emptied
	if w.behind(nil) {
		t.Error("the socket is behind, though all is written")
	}
}

// A peer that makes TLS answer and never reads is given up; so is one that is gone.
func TestSocketGivesUp(t *testing.T) {
	w, _ := sockets(t)
	w.fill(t)
	var err error
	for range 3 * maxRest / 1000 {
		if _, err = w.Write(make([]byte, 1000)); err != nil {
			break
		}
	}
	if err != errUnread {
		t.Errorf("the rest grows without bound: %v", err)
	}
	ended := make(chan struct{})
	if w.behind(func() { close(ended) }) {
		_ = w.Close()
		<-ended
	}
	if _, err := w.Write([]byte{1}); err == nil {
		t.Error("a connection that has failed takes bytes")
	}
}

// record is bytes as they lie in a record of TLS.
func record(n int) []byte {
	b := make([]byte, recordHead+n)
	_, _ = rand.Read(b)
	b[3], b[4] = byte(n>>8), byte(n)
	return b
}

// Read hands out one record at a time, however the bytes come, and knows whether
// there is another.
func TestSocketReadsRecords(t *testing.T) {
	w, far := sockets(t)
	records := [][]byte{record(100), record(0), record(16<<10 + 256), record(1), record(300)}
	go func() {
		all := slices.Concat(records...)
		for _, n := range []int{103, 4, 5, 20_000} { // cut within heads and bodies
			n = min(n, len(all))
			_, _ = far.Write(all[:n])
			all = all[n:]
		}
		_, _ = far.Write(all)
		_ = far.CloseWrite()
	}()
	p := make([]byte, 32<<10)
	for i, want := range records {
		var got []byte
		for len(got) < len(want) {
			n, err := w.Read(p)
			if err != nil {
				t.Fatalf("record %d: %v", i, err)
			}
			got = append(got, p[:n]...)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("record %d: got %d bytes that are not its %d", i, len(got), len(want))
		}
	}
	if _, err := w.Read(p); err != io.EOF {
		t.Errorf("after the last record: %v", err)
	}
	if w.in.buf != nil {
		t.Error("a socket that has nothing holds a buffer")
	}
}

// A record that has come whole is seen; one that has not is not.
func TestSocketWhole(t *testing.T) {
	for lacks, want := range []bool{true, false} {
		w, far := sockets(t)
		one, two := record(10), record(20)
		if _, err := far.Write(append(one, two[:len(two)-lacks]...)); err != nil { // one segment
			t.Fatal(err)
		}
		if _, err := io.ReadFull(w, make([]byte, len(one))); err != nil {
			t.Fatal(err)
		}
		if w.whole() != want {
			t.Errorf("a record that lacks %d bytes: whole is %v", lacks, !want)
		}
	}
}
