package broker_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"greengate/core/broker"
)

// Bounds of one input, in bytes: what a client sends, and what the process allocates for
// it, all rounds of its queues and answers counted.
const (
	maxStream     = 32 << 10
	maxAllocation = 64 << 20
)

// How an input is sent; see stream.
const (
	modeConnect = 0x03 // a good CONNECT before the bytes: none, MQTT 3.1.1, MQTT 5, MQTT 5 with a will and limits
	modeKeep    = 0x04 // of a session that outlives the connection
	modeHangUp  = 0x08 // the client goes without reading any answer
	modeReturn  = 0x10 // it comes back and takes what its session has for it
	modeDisk    = 0x20 // sessions are on disk, and the broker starts again before that
)

// streamRows are the rows of FuzzStream. What the fuzzer may reach stands under open and
// back; what it may read, under back and down.
var streamRows = rows{
	{"fuzz", "open/#", "witness"}, {"fuzz", "back/#", "fuzz"},
	{"witness", "down/#", "fuzz"}, {"witness", "private/#", "witness"},
}

// FuzzStream sends a client's bytes, in pieces of any size, through TLS into a whole
// broker. Whatever they are: nothing panics, what the server answers is MQTT, nobody gets
// a message that no row allows, another client's messages arrive, and neither a
// connection, a goroutine, an unbalanced ledger nor much memory stays.
func FuzzStream(f *testing.F) {
	for _, s := range streamSeeds() {
		f.Add(s, byte(0), byte(0))
		f.Add(s, byte(1), byte(1))
		f.Add(s, byte(2), byte(5))
		f.Add(s, byte(3|modeKeep|modeReturn), byte(0))
		f.Add(s, byte(2|modeKeep|modeHangUp|modeReturn|modeDisk), byte(0))
	}
	f.Fuzz(func(t *testing.T, data []byte, mode, step byte) {
		if len(data) > maxStream {
			t.Skip("long streams cost time and show nothing more")
		}
		goroutines, allocated := runtime.NumGoroutine(), allocations()
		s := &streamSite{site: site{t: t, ca: testCA()}}
		if mode&modeDisk != 0 {
			s.disk = memoryDisk(t)
		}
		s.begin()
		s.witness.publish("down/kept", 1, "kept", true)
		s.witness.echo("private/kept", "begin", true)

		s.stream(data, mode, step)
		if mode&modeDisk != 0 {
			s.halt()
			s.begin()
		}
		if mode&modeReturn != 0 {
			s.stream(nil, 2|modeKeep, 0)
		}
		s.witness.echo("private/x", "end")
		s.end()
		s.soon("no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines })
		if n := allocations() - allocated; n > maxAllocation {
			t.Errorf("%d bytes were allocated for %d bytes of a client", n, len(data))
		}
	})
}

func allocations() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// streamSite is a broker for one input.
type streamSite struct {
	site
	disk    *disk // nil: sessions are in memory
	witness *streamClient
	cancel  context.CancelFunc
	ended   chan error
}

// faults fails the test for each line at level Error: so speaks a contained panic.
type faults struct{ t testing.TB }

func (faults) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }
func (l faults) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	l.t.Error(text)
	return nil
}
func (l faults) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l faults) WithGroup(string) slog.Handler      { return l }

// streamTLS is shared by the brokers of all inputs, so that handshakes may be resumed.
var streamTLS = sync.OnceValue(func() *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{testCA().issue("server")}, ClientAuth: tls.RequireAnyClientCert,
		MaxVersion: tls.VersionTLS12, // whose resumed handshakes need no arithmetic
	}
})

// byName identifies what TLS has let in, without looking at signatures again and again.
type byName struct{}

func (byName) Identify(peer []*x509.Certificate) (string, error) {
	return peer[0].Subject.CommonName, nil
}
func (byName) Used(string, *x509.Certificate) {}

var streamClients = sync.OnceValue(func() map[string]*tls.Config {
	all := map[string]*tls.Config{}
	pool := x509.NewCertPool()
	pool.AddCert(testCA().cert)
	for _, thing := range []string{"fuzz", "witness"} {
		all[thing] = &tls.Config{
			RootCAs: pool, ServerName: "127.0.0.1", Certificates: []tls.Certificate{testCA().issue(thing)},
			ClientSessionCache: tls.NewLRUClientSessionCache(1), MaxVersion: tls.VersionTLS12,
		}
	}
	return all
})

// memoryDisk is a disk in memory, where the machine has that: how long an fsync takes is
// nothing that is tried here.
func memoryDisk(t *testing.T) *disk {
	dir, err := os.MkdirTemp(cmp.Or(os.Getenv("TMPDIR"), "/dev/shm"), "greengate-broker-")
	if err != nil {
		return newDisk(t)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return &disk{t: t, file: filepath.Join(dir, "sessions.db")}
}

// begin runs a broker, and connects the honest client.
func (s *streamSite) begin() {
	change := []func(*broker.Options){func(o *broker.Options) {
		o.Config = broker.Config{}
		o.Identities = byName{}
		o.Log = slog.New(faults{s.t})
	}}
	if s.disk != nil {
		change = append(change, s.disk.open())
	}
	s.router, s.broker = build(s.ca, streamRows, change...)
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.ended = cancel, make(chan error, 1)
	go func() { s.ended <- s.broker.Run(ctx) }()
	s.witness = s.arrive("witness")
	s.witness.hello("witness", connectOptions{v5: true})
	s.witness.subscribe(2, "#")
}

// halt ends the broker, whose honest client leaves before.
func (s *streamSite) halt() {
	s.witness.write([]byte{0xE0, 0})
	s.witness.closed()
	s.witness.under.Close()
	s.soon("the honest client is gone", func() bool { return s.broker.Connections() == 0 })
	s.cancel()
	if err := <-s.ended; err != nil {
		s.t.Error(err)
	}
	if s.disk != nil {
		s.disk.stop()
	}
}

// end ends the site: what the fuzzer has left goes with its session, and nothing stays.
func (s *streamSite) end() {
	s.broker.Recheck(func(thing string) bool { return thing == "witness" })
	s.witness.echo("private/x", "removed") // a delayed will came before
	s.halt()
	if n := s.router.Ledger(); n.Waiting != 0 || n.Accepted != n.Delivered+n.Refused+n.Expired+n.Dropped {
		s.t.Errorf("the ledger does not balance at the end: %+v", n)
	}
}

// arrive connects a thing through a pair of sockets, which cost less than ports.
func (s *streamSite) arrive(thing string) *streamClient {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	var ends [2]net.Conn
	for i, fd := range pair {
		file := os.NewFile(uintptr(fd), "pair")
		ends[i] = must(net.FileConn(file))
		file.Close()
	}
	s.broker.ServeConn(tls.Server(broker.NewSocket(ends[0]), streamTLS()))
	conn := tls.Client(ends[1], streamClients()[thing])
	_ = conn.SetDeadline(time.Now().Add(time.Minute)) // of what hangs; a busy machine is slow
	if err := conn.Handshake(); err != nil {
		s.t.Fatal(err)
	}
	return &streamClient{client: newClient(s.t, conn), under: ends[1]}
}

type streamClient struct {
	*client
	under net.Conn
}

// stream sends bytes from the thing fuzz until all of them are handled, and judges what
// comes back.
func (s *streamSite) stream(data []byte, mode, step byte) {
	c := s.arrive("fuzz")
	defer c.under.Close()
	var got []byte
	var err error
	read := make(chan struct{})
	go func() {
		defer close(read)
		if mode&modeHangUp == 0 {
			got, err = io.ReadAll(c.conn)
		}
	}()
	data = slices.Concat(streamConnect(mode), data)
	for pieces := 0; len(data) > 0; pieces++ {
		n := len(data)
		if step > 0 && pieces < 100 {
			n = min(n, int(step))
		}
		if _, err := c.conn.Write(data[:n]); err != nil {
			break // it was cut
		}
		data = data[n:]
	}
	if mode&modeHangUp != 0 {
		c.under.Close()
	}
	_ = c.conn.CloseWrite()
	<-read
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		s.t.Fatal("the connection stays open after the end of the stream")
	}
	s.judge(got, mode)
	s.soon("the connection is over", func() bool { return s.broker.Connections() == 1 })
}

// streamConnect is the CONNECT that stands before the bytes of the fuzzer.
func streamConnect(mode byte) []byte {
	flags := byte(2)
	if mode&modeKeep != 0 {
		flags = 0
	}
	switch mode & modeConnect {
	case 1:
		return packet(0x10, text("MQTT"), []byte{4, flags, 0, 0}, text("fuzz"))
	case 2:
		return packet(0x10, text("MQTT"), []byte{5, flags, 0, 0}, properties(0x11, 0, 0, 0, 60), text("fuzz"))
	case 3: // receive maximum 2, packets of 64 bytes; the will retained, with QoS 1
		return packet(0x10, text("MQTT"), []byte{5, flags | 0x2C, 0, 0}, properties(0x11, 0, 0, 0, 60, 0x21, 0, 2, 0x27, 0, 0, 0, 64),
			text("fuzz"), properties(), text("open/will"), text("will"))
	}
	return nil
}

// judge looks at all that the server has sent to the thing fuzz.
func (s *streamSite) judge(b []byte, mode byte) {
	answers, v5, err := parseAnswers(b)
	if err != nil {
		s.t.Fatalf("%v, in % x", err, b)
	}
	connect := mode & modeConnect
	if connect != 0 && len(answers) > 0 && v5 != (connect > 1) {
		s.t.Errorf("answered in the other version: % x", b)
	}
	if connect == 3 && slices.ContainsFunc(answers[min(1, len(answers)):], func(a answer) bool { return a.size > 64 }) {
		s.t.Errorf("a packet is larger than the client takes: % x", b)
	}
	for _, a := range answers {
		if t := a.publish.topic; a.kind == 3 && !under(t, "back") && !under(t, "down") {
			s.t.Errorf("no row leads to fuzz on %q", t)
		}
	}
}

func under(topic, first string) bool { return topic == first || strings.HasPrefix(topic, first+"/") }

// echo publishes to itself and waits for it. What the fuzzer has sent before comes first.
func (c *streamClient) echo(topic, payload string, retain ...bool) {
	c.t.Helper()
	c.send(topic, 1, payload, retain...)
	for echoed, acked := false, false; !echoed || !acked; {
		first, body, err := c.read()
		if err != nil {
			c.t.Fatalf("the honest client waits for its own message: %v", err)
		}
		switch first >> 4 {
		case 3:
			g := c.decode(first, body)
			c.acknowledge(g)
			switch {
			case g.topic == topic && g.payload == payload:
				echoed = true
			case g.topic == "private/kept": // retained, for the subscription after a restart
			case !under(g.topic, "open"):
				c.t.Fatalf("the honest client waits for %s, and got %+v", topic, g)
			}
		case 4:
			acked = true
		case 6:
			c.write(packet(0x70, body[:2]))
		default:
			c.t.Fatalf("the honest client got %#x % x", first, body)
		}
	}
}

func (c *streamClient) acknowledge(g got) {
	if g.qos > 0 {
		c.write(packet(0x30+0x10*g.qos, []byte{byte(g.id >> 8), byte(g.id)}))
	}
}

// soon is until for what takes microseconds.
func (s *streamSite) soon(what string, ok func() bool) {
	s.t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		runtime.Gosched()
	}
	s.until(what, ok)
}
