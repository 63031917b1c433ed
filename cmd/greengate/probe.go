package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strconv"
	"time"

	"greengate/core/broker"
	"greengate/core/message"
	"greengate/core/router"
)

// The heartbeat sends itself a message as a device would: over TLS to a listener,
// through the broker, the gate and the fan-out. Its name is no legal thing name,
// so no device can have it, and no row can lead to it.
const (
	probeThing = "greengate/probe"
	probeTopic = "greengate/probe"
)

var probeEnd = message.DeviceEndpoint(probeThing)

// probeIdentity lets the probe in beside the devices. Its key never leaves the
// memory of this process.
type probeIdentity struct {
	broker.Identifier
	pair tls.Certificate
}

func newProbeIdentity(devices broker.Identifier) (*probeIdentity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of the probe: %w", err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(100, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the certificate of the probe: %w", err)
	}
	return &probeIdentity{devices, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}, nil
}

// Identify knows the probe by its whole certificate.
func (p *probeIdentity) Identify(peer []*x509.Certificate) (string, error) {
	if len(peer) > 0 && peer[0] != nil && bytes.Equal(peer[0].Raw, p.pair.Certificate[0]) {
		return probeThing, nil
	}
	return p.Identifier.Identify(peer)
}

// Len, Key and Lookup of a gate add one row to those of the file: that by which
// the probe sends to itself, and nobody else to anybody.
func (g gate) Len() int { return g.Table.Len() + 1 }

// Key names a row in any table.
func (g gate) Key(row int) string {
	if row == g.Table.Len() {
		return "\x00" + probeThing
	}
	return g.Table.Key(row)
}

// Lookup finds what lets from publish on topic.
func (g gate) Lookup(from message.Endpoint, topic string) router.Passage {
	if from == probeEnd {
		if topic == probeTopic {
			return probeRow(g.Table.Len())
		}
		return nil
	}
	m := g.Table.Lookup(from, topic)
	if m == nil {
		return nil // and not an interface that holds a nil pointer
	}
	return m
}

// probeRow is the passage of the probe: the number of its row.
type probeRow int

func (r probeRow) First() int { return int(r) }

func (r probeRow) Allows(to message.Endpoint) (int, bool) { return int(r), to == probeEnd }

func (probeRow) Services(func(message.Endpoint, int)) {}

// probe is the connection of the heartbeat: as much of an MQTT 3.1.1 client as it
// takes to hear itself.
type probe struct {
	conn *tls.Conn
	n    uint16 // the packet id of the last message, and what it says
}

// dialProbe connects to a listener of MQTT, and subscribes.
func (g *gateway) dialProbe(ctx context.Context) (*probe, error) {
	addrs := append(g.broker.Addrs(), g.discovery.Addrs()...) // which serve both by ALPN
	if len(addrs) == 0 {
		return nil, errors.New("no listener is open")
	}
	dialer := tls.Dialer{Config: &tls.Config{
		Certificates: []tls.Certificate{g.probeIdentity.pair}, NextProtos: []string{"x-amzn-mqtt-ca"},
		InsecureSkipVerify: true, // the other end is this process
	}}
	conn, err := dialer.DialContext(ctx, "tcp", loopback(addrs[0]))
	if err != nil {
		return nil, fmt.Errorf("connect to itself: %w", err)
	}
	p := &probe{conn: conn.(*tls.Conn)}
	if err := p.begin(ctx); err != nil {
		p.close()
		return nil, fmt.Errorf("connect to itself: %w", err)
	}
	return p, nil
}

// loopback is how this machine reaches its own listener.
func loopback(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	if tcp.IP.To4() != nil {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return net.JoinHostPort("localhost", strconv.Itoa(tcp.Port)) // [::] takes both
}

func (p *probe) close() { _ = p.conn.Close() }

// The first bytes of the packets that the probe meets.
const (
	packetConnect   = 0x10
	packetConnack   = 0x20
	packetPublish   = 0x30 // QoS 0
	packetPublish1  = 0x32 // QoS 1
	packetPuback    = 0x40
	packetSubscribe = 0x82
	packetSuback    = 0x90
)

func (p *probe) begin(ctx context.Context) error {
	defer p.within(ctx)()
	err := p.send(packetConnect, field("MQTT"), []byte{4, 2, 0, 0}, field(probeThing)) // clean session, no keep-alive
	if err == nil {
		err = p.expect(packetConnack, []byte{0, 0})
	}
	if err == nil {
		err = p.send(packetSubscribe, []byte{0, 1}, field(probeTopic), []byte{0})
	}
	if err == nil {
		err = p.expect(packetSuback, []byte{0, 1, 0})
	}
	return err
}

// pass sends a message of QoS 1, and returns when it has come back and was
// acknowledged, in whichever order.
func (p *probe) pass(ctx context.Context) error {
	defer p.within(ctx)()
	p.n = max(1, p.n+1)
	id := binary.BigEndian.AppendUint16(nil, p.n)
	if err := p.send(packetPublish1, field(probeTopic), id, id); err != nil {
		return err
	}
	var acknowledged, heard bool
	for !acknowledged || !heard {
		head, body, err := p.receive()
		if err != nil {
			return err
		}
		switch {
		case head == packetPuback && bytes.Equal(body, id):
			acknowledged = true
		case head == packetPublish && bytes.Equal(body, append(field(probeTopic), id...)):
			heard = true
		}
	}
	return nil
}

// within bounds what follows by the deadline of ctx and its end.
func (p *probe) within(ctx context.Context) (done func() bool) {
	deadline, _ := ctx.Deadline()
	_ = p.conn.SetDeadline(deadline)
	return context.AfterFunc(ctx, p.close)
}

// field is a string as MQTT writes it; those here are short.
func field(s string) []byte { return append([]byte{0, byte(len(s))}, s...) }

func (p *probe) send(head byte, parts ...[]byte) error {
	body := bytes.Join(parts, nil)
	_, err := p.conn.Write(append([]byte{head, byte(len(body))}, body...))
	return err
}

func (p *probe) expect(head byte, want []byte) error {
	got, body, err := p.receive()
	if err == nil && (got != head || !bytes.Equal(body, want)) {
		err = fmt.Errorf("the broker answered % x % x, not % x % x", got, body, head, want)
	}
	return err
}

// receive reads a packet. Those that the probe may get are shorter than 128 bytes.
func (p *probe) receive() (head byte, body []byte, err error) {
	start := make([]byte, 2)
	if _, err := io.ReadFull(p.conn, start); err != nil {
		return 0, nil, err
	}
	if start[1] >= 0x80 {
		return 0, nil, errors.New("the broker sent a packet that is too long")
	}
	body = make([]byte, start[1])
	_, err = io.ReadFull(p.conn, body)
	return start[0], body, err
}
