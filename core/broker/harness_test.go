package broker_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"greengate/core/broker"
	"greengate/core/message"
	"greengate/core/router"
)

// row lets from send to to on a filter; "*" stands for every device.
type row struct{ from, filter, to string }

// rows is a gate for tests: a plain loop over rows.
type rows []row

func (g rows) Len() int         { return len(g) }
func (g rows) Key(i int) string { return g[i].from + "|" + g[i].filter + "|" + g[i].to }
func (g rows) Lookup(from message.Endpoint, topic string) router.Passage {
	var p passage
	for i, r := range g {
		if (r.from == "*" || r.from == from.String()) && message.Match(r.filter, topic) {
			p.hits = append(p.hits, i)
		}
	}
	if p.hits == nil {
		return nil
	}
	p.rows = g
	return p
}

type passage struct {
	rows rows
	hits []int
}

func (p passage) First() int { return p.hits[0] }
func (p passage) Allows(to message.Endpoint) (int, bool) {
	for _, i := range p.hits {
		if t := p.rows[i].to; t == "*" && to.Kind == message.Device || t == to.String() {
			return i, true
		}
	}
	return 0, false
}
func (p passage) Services(yield func(message.Endpoint, int)) {
	for _, i := range p.hits {
		if t := p.rows[i].to; t == "cloud" {
			yield(message.Endpoint{Kind: message.Cloud}, i)
		}
	}
}

var everything = rows{{"*", "#", "*"}}

// authority issues certificates for tests and identifies them by their name.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate

	mu      sync.Mutex
	removed map[string]bool
	certs   map[string]tls.Certificate
}

var errForeign = errors.New("foreign certificate")

func (a *authority) Identify(peer []*x509.Certificate) (string, error) {
	if len(peer) == 0 || peer[0].CheckSignatureFrom(a.cert) != nil {
		return "", errForeign
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.removed[peer[0].Subject.CommonName] {
		return "", errors.New("removed")
	}
	return peer[0].Subject.CommonName, nil
}

func (a *authority) Used(string, *x509.Certificate) {}

func (a *authority) remove(thing string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.removed[thing] = true
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newAuthority() *authority {
	a := &authority{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), removed: map[string]bool{}, certs: map[string]tls.Certificate{}}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, t, t, &a.key.PublicKey, a.key))))
	return a
}

func (a *authority) issue(name string) tls.Certificate {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c, ok := a.certs[name]; ok {
		return c
	}
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	t := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der := must(x509.CreateCertificate(rand.Reader, t, a.cert, &key.PublicKey, a.key))
	c := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: must(x509.ParseCertificate(der))}
	a.certs[name] = c
	return c
}

// site is a running broker.
type site struct {
	t      testing.TB
	ca     *authority
	router *router.Router
	broker *broker.Broker
	addr   string
}

var testCA = sync.OnceValue(newAuthority)

// build makes a broker behind a gate, on a free port of loopback.
func build(ca *authority, gate router.Gate, change ...func(*broker.Options)) (*router.Router, *broker.Broker) {
	r := router.New(slog.New(slog.DiscardHandler))
	r.SetGate(gate)
	o := broker.Options{
		Config: broker.Config{Listen: []string{"127.0.0.1:0"}}, Router: r, Identities: ca,
		TLS: &tls.Config{Certificates: []tls.Certificate{ca.issue("server")}, ClientAuth: tls.RequireAnyClientCert},
		Log: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&o)
	}
	return r, must(broker.New(o))
}

// start runs a broker behind a gate until the test ends.
func start(t testing.TB, gate router.Gate, change ...func(*broker.Options)) *site {
	t.Helper()
	ca := &authority{key: testCA().key, cert: testCA().cert, removed: map[string]bool{}, certs: testCA().certs}
	r, b := build(ca, gate, change...)
	if err := b.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			t.Error("the broker does not end")
		}
	})
	return &site{t: t, ca: ca, router: r, broker: b, addr: b.Addrs()[0].String()}
}

// client is a bare MQTT client: it sends the bytes that a test writes and
// shows the packets that come.
type client struct {
	t    testing.TB
	conn *tls.Conn
	r    *bufio.Reader
	v5   bool
	last uint16
}

// connectOptions are what a test may set in CONNECT.
type connectOptions struct {
	id        string // default: the thing
	v5        bool
	persist   bool // clean session or clean start off
	keepAlive uint16
	props     []byte
	flags     byte   // more connect flags
	payload   []byte // after the client id: will, user name
}

func (s *site) dial(thing string) *client {
	s.t.Helper()
	return s.dialWith(s.ca.issue(thing))
}

func (s *site) dialWith(cert tls.Certificate) *client {
	s.t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(s.ca.cert)
	conn, err := tls.Dial("tcp", s.addr, &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}})
	if err != nil {
		s.t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute)) // of what hangs; a busy machine is slow
	s.t.Cleanup(func() { conn.Close() })
	return newClient(s.t, conn)
}

func newClient(t testing.TB, conn *tls.Conn) *client {
	return &client{t: t, conn: conn, r: bufio.NewReader(conn)}
}

func text(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

// packet frames a body.
func packet(first byte, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	return append(binary.AppendUvarint([]byte{first}, uint64(len(body))), body...)
}

// properties frames MQTT 5 properties.
func properties(p ...byte) []byte { return append(binary.AppendUvarint(nil, uint64(len(p))), p...) }

// hello sends CONNECT and returns the body of CONNACK.
func (c *client) hello(thing string, o connectOptions) []byte {
	c.t.Helper()
	c.v5 = o.v5
	if o.id == "" {
		o.id = thing
	}
	version, flags := byte(4), o.flags
	if !o.persist {
		flags |= 2
	}
	var props []byte
	if o.v5 {
		version, props = 5, properties(o.props...)
	}
	c.write(packet(0x10, text("MQTT"), []byte{version, flags, byte(o.keepAlive >> 8), byte(o.keepAlive)}, props, text(o.id), o.payload))
	return c.expect(0x20)
}

// connect connects a thing and returns it; it must be accepted.
func (s *site) connect(thing string, options ...connectOptions) *client {
	s.t.Helper()
	c, _ := s.connectSession(thing, options...)
	return c
}

func (s *site) connectSession(thing string, options ...connectOptions) (*client, bool) {
	s.t.Helper()
	var o connectOptions
	if len(options) > 0 {
		o = options[0]
	}
	c := s.dial(thing)
	ack := c.hello(thing, o)
	if ack[1] != 0 {
		s.t.Fatalf("CONNACK %#x for %s", ack[1], thing)
	}
	return c, ack[0] == 1
}

func (c *client) write(b []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// read returns the next packet, or the error that ended the connection.
func (c *client) read() (first byte, body []byte, err error) {
	if first, err = c.r.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(c.r)
	if err != nil {
		return 0, nil, err
	}
	body = make([]byte, n)
	_, err = io.ReadFull(c.r, body)
	return first, body, err
}

// fully reads as many bytes as b has room for.
func (c *client) fully(b []byte) {
	c.t.Helper()
	if _, err := io.ReadFull(c.r, b); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads a packet that must begin with first.
func (c *client) expect(first byte) []byte {
	c.t.Helper()
	got, body, err := c.read()
	if err != nil {
		c.t.Fatalf("want packet %#x: %v", first, err)
	}
	if got != first {
		c.t.Fatalf("want packet %#x, got %#x % .100x", first, got, body)
	}
	return body
}

// closed reads to the end of the connection and returns the code of the
// DISCONNECT before it; 0 when there was none.
func (c *client) closed() (code byte) {
	c.t.Helper()
	for {
		first, body, err := c.read()
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				c.t.Fatal("the connection stays open")
			}
			return code
		}
		if first == 0xE0 {
			code = body[0]
		}
	}
}

func (c *client) id() []byte {
	c.last++
	return binary.BigEndian.AppendUint16(nil, c.last)
}

// subscribe subscribes with one QoS and returns the codes of SUBACK.
func (c *client) subscribe(qos byte, filters ...string) []byte {
	c.t.Helper()
	parts := [][]byte{c.id()}
	if c.v5 {
		parts = append(parts, properties())
	}
	for _, f := range filters {
		parts = append(parts, text(f), []byte{qos})
	}
	c.write(packet(0x82, parts...))
	ack := c.expect(0x90)
	if c.v5 {
		return ack[3:]
	}
	return ack[2:]
}

// publish sends a PUBLISH and, for QoS 1, returns the code of its PUBACK.
func (c *client) publish(topic string, qos byte, payload string, retain ...bool) (code byte) {
	c.t.Helper()
	c.send(topic, qos, payload, retain...)
	if qos == 0 {
		return 0
	}
	ack := c.expect(0x40 + 0x10*(qos-1))
	if len(ack) > 2 {
		return ack[2]
	}
	return 0
}

// send sends a PUBLISH and does not wait.
func (c *client) send(topic string, qos byte, payload string, retain ...bool) {
	c.t.Helper()
	first := 0x30 | qos<<1
	if len(retain) > 0 && retain[0] {
		first |= 1
	}
	parts := [][]byte{text(topic)}
	if qos > 0 {
		parts = append(parts, c.id())
	}
	if c.v5 {
		parts = append(parts, properties())
	}
	c.write(packet(first, append(parts, []byte(payload))...))
}

// got is a PUBLISH that came.
type got struct {
	topic, payload string
	qos            byte
	retain, dup    bool
	id             uint16
	props          string
}

func (c *client) decode(first byte, body []byte) got {
	n := int(binary.BigEndian.Uint16(body))
	g := got{topic: string(body[2 : 2+n]), qos: first >> 1 & 3, retain: first&1 != 0, dup: first&8 != 0}
	body = body[2+n:]
	if g.qos > 0 {
		g.id = binary.BigEndian.Uint16(body)
		body = body[2:]
	}
	if c.v5 {
		n, size := binary.Uvarint(body)
		g.props = string(body[size : size+int(n)])
		body = body[size+int(n):]
	}
	g.payload = string(body)
	return g
}

// message reads the next PUBLISH, and acknowledges QoS 1.
func (c *client) message() got {
	c.t.Helper()
	first, body, err := c.read()
	if err != nil || first>>4 != 3 {
		c.t.Fatalf("want a PUBLISH, got %#x % .100x, %v", first, body, err)
	}
	g := c.decode(first, body)
	if g.qos == 1 {
		c.write(packet(0x40, binary.BigEndian.AppendUint16(nil, g.id)))
	}
	return g
}

// silent proves that nothing came before the answer to a PINGREQ.
func (c *client) silent() {
	c.t.Helper()
	c.write([]byte{0xC0, 0})
	c.expect(0xD0)
}

// settled waits until the ledger waits for nothing, and checks its balance.
func (s *site) settled() router.Counts {
	s.t.Helper()
	var n router.Counts
	s.until("the ledger settles", func() bool { n = s.router.Ledger(); return n.Waiting == 0 })
	if n.Accepted != n.Delivered+n.Refused+n.Expired+n.Dropped+n.Waiting {
		s.t.Fatalf("the ledger does not balance: %+v", n)
	}
	return n
}

// until waits for a condition.
func (s *site) until(what string, ok func() bool) {
	s.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute) // a busy machine is slow
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			s.t.Fatalf("waited in vain until %s", what)
		}
	}
}

func (s *site) connected(thing string) bool {
	return slices.ContainsFunc(s.broker.Devices(), func(d broker.Device) bool { return d.Thing == thing && d.Connected })
}
