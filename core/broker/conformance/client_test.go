package conformance

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

// First bytes of packets as they should be.
const (
	connectPacket     = 0x10
	connackPacket     = 0x20
	publishPacket     = 0x30
	pubackPacket      = 0x40
	pubrecPacket      = 0x50
	pubrelPacket      = 0x62
	pubcompPacket     = 0x70
	subscribePacket   = 0x82
	subackPacket      = 0x90
	unsubscribePacket = 0xA2
	unsubackPacket    = 0xB0
	pingreqPacket     = 0xC0
	pingrespPacket    = 0xD0
	disconnectPacket  = 0xE0
	authPacket        = 0xF0
)

// client is a connection that sends the bytes that a test writes and shows the packets
// that come.
type client struct {
	t     *testing.T
	conn  *tls.Conn
	r     *bufio.Reader
	thing int
	name  string // of the thing, which is the client id
	v5    bool
	last  uint16 // packet id
	early []incoming
}

// incoming is a packet that came before its turn.
type incoming struct {
	first byte
	body  []byte
}

func newClient(t *testing.T, conn *tls.Conn, thing int) *client {
	return &client{t: t, conn: conn, r: bufio.NewReader(conn), thing: thing, name: thingName(thing)}
}

func u16(n int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }
func u32(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

// str writes a string or binary data with its length.
func str(s string) []byte { return append(u16(len(s)), s...) }

func varint(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

// packet frames a body.
func packet(first byte, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	return slices.Concat([]byte{first}, varint(len(body)), body)
}

// properties frames the properties of a packet of MQTT 5.
func properties(parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	return append(varint(len(body)), body...)
}

// prop writes a property.
func prop(id byte, value ...[]byte) []byte {
	return append([]byte{id}, slices.Concat(value...)...)
}

func user(name, value string) []byte { return prop(0x26, str(name), str(value)) }

func expiry(seconds int) []byte { return prop(0x11, u32(seconds)) }

// will is the will of a CONNECT.
type will struct {
	topic, payload string
	qos            byte
	retain         bool
	props          []byte
}

// connect is what a test says in CONNECT. The zero value is a clean session without
// anything.
type connect struct {
	keep      bool // clean session or clean start is off
	keepAlive int
	props     []byte
	will      *will
	id        *string // the name of the thing, when nil
	user      *string
	password  *string
	flags     byte // set besides
}

// connect writes a CONNECT.
func (c *client) connect(v5 bool, o connect) []byte {
	c.v5 = v5
	level, flags := byte(4), o.flags
	if !o.keep {
		flags |= 0x02
	}
	var props []byte
	if v5 {
		level, props = 5, properties(o.props)
	}
	id := c.name
	if o.id != nil {
		id = *o.id
	}
	payload := str(id)
	if w := o.will; w != nil {
		flags |= 0x04 | w.qos<<3
		if w.retain {
			flags |= 0x20
		}
		if v5 {
			payload = append(payload, properties(w.props)...)
		}
		payload = slices.Concat(payload, str(w.topic), str(w.payload))
	}
	if o.user != nil {
		flags |= 0x80
		payload = append(payload, str(*o.user)...)
	}
	if o.password != nil {
		flags |= 0x40
		payload = append(payload, str(*o.password)...)
	}
	return packet(connectPacket, str("MQTT"), []byte{level, flags}, u16(o.keepAlive), props, payload)
}

// hello sends a CONNECT and returns the flags, the code and the properties of CONNACK.
func (c *client) hello(v5 bool, o connect) (flags, code byte, props []byte) {
	c.t.Helper()
	c.write(c.connect(v5, o))
	ack := c.expect(connackPacket)
	if v5 {
		return ack[0], ack[1], cutProps(c.t, ack[2:])
	}
	if len(ack) != 2 {
		c.t.Fatalf("CONNACK % x", ack)
	}
	return ack[0], ack[1], nil
}

// join connects a thing of its own.
func join(t *testing.T, v5 bool, options ...connect) *client {
	t.Helper()
	return joinAs(t, -1, v5, options...)
}

// joinAs connects a thing again.
func joinAs(t *testing.T, thing int, v5 bool, options ...connect) *client {
	t.Helper()
	c, _ := resume(t, thing, v5, options...)
	return c
}

// resume connects a thing and tells whether its session was present.
func resume(t *testing.T, thing int, v5 bool, options ...connect) (c *client, present bool) {
	t.Helper()
	c = dial(t, thing)
	flags, code, _ := c.hello(v5, first(options))
	if code != 0 {
		t.Fatalf("CONNACK %#x", code)
	}
	return c, flags == 1
}

// kept is a CONNECT for a session that stays.
func kept(v5 bool) connect {
	if v5 {
		return connect{keep: true, props: expiry(3600)}
	}
	return connect{keep: true}
}

func first[T any](all []T) (v T) {
	if len(all) > 0 {
		v = all[0]
	}
	return v
}

func (c *client) write(parts ...[]byte) {
	c.t.Helper()
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.conn.Write(slices.Concat(parts...)); err != nil {
		c.t.Fatal(err)
	}
}

// read returns the next packet, or the error that ended the connection.
func (c *client) read() (first byte, body []byte, err error) {
	if len(c.early) > 0 {
		next := c.early[0]
		c.early = c.early[1:]
		return next.first, next.body, nil
	}
	return c.fresh()
}

// fresh reads the next packet from the network.
func (c *client) fresh() (first byte, body []byte, err error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
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

// expect reads a packet that must begin with first.
func (c *client) expect(first byte) []byte {
	c.t.Helper()
	got, body, err := c.read()
	if err != nil {
		c.t.Fatalf("want packet %#x: %v", first, err)
	}
	if got != first {
		c.t.Fatalf("want packet %#x, got %#x % x", first, got, body)
	}
	return body
}

// closed reads to the end of the connection and returns the code of the DISCONNECT or
// CONNACK before it; -1 when there was none. A DISCONNECT is the last packet.
func (c *client) closed() (code int) {
	c.t.Helper()
	code = -1
	for {
		first, body, err := c.read()
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				c.t.Fatal("the connection stays open")
			}
			return code
		}
		if code >= 0 {
			c.t.Fatalf("packet %#x % x follows", first, body)
		}
		switch first {
		case connackPacket:
			code = int(body[1])
		case disconnectPacket:
			if code = 0; len(body) > 0 {
				code = int(body[0])
			}
		}
	}
}

// refused sends bytes for which the connection must be closed: with MQTT 5, after a
// DISCONNECT with the code.
func (c *client) refused(code int, sent ...[]byte) {
	c.t.Helper()
	c.write(sent...)
	if !c.v5 {
		code = -1
	}
	if got := c.closed(); got != code {
		c.t.Errorf("% x: closed with %#x, want %#x", slices.Concat(sent...), got, code)
	}
}

// silent proves that nothing came before the answer to a PINGREQ.
func (c *client) silent() {
	c.t.Helper()
	c.write([]byte{pingreqPacket, 0})
	c.expect(pingrespPacket)
}

func (c *client) id() int {
	c.last++
	return int(c.last)
}
