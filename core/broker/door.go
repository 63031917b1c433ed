package broker

import (
	"errors"
	"fmt"
	"net"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// door is a connection as mochi sees it: CONNECT comes in, CONNACK goes out, and then
// the client seems to hang up. mochi serves the connect and no more, because what it
// keeps for an open connection is a third of the memory of one: a second goroutine, a
// client with its maps, and a reader whose stack is four times as deep.
type door struct {
	c    *conn
	name string // of the client in mochi's books
	rest []byte // of the CONNECT, not read yet
	read bool   // the CONNECT is handed out
}

var _ net.Conn = (*door)(nil)

// doorOf returns the door behind a client of mochi's.
func doorOf(cl *mqtt.Client) *door { return cl.Net.Conn.(*door) }

// connOf returns our connection behind a client of mochi's.
func connOf(cl *mqtt.Client) *conn { return doorOf(cl).c }

// The cases of mochi's own tests are part of its program, and would take 360 KiB of ours.
func init() { packets.TPacketData = nil }

// errEstablished ends mochi's part of a connection.
var errEstablished = errors.New("CONNECT is served")

// establish has mochi serve the CONNECT, and reports whether the client is in. A panic
// in there ends this connection and nothing else. What mochi returns is no guide to why.
func (b *Broker) establish(c *conn) bool {
	d := &door{c: c}
	defer c.contain()
	defer func() { b.mochi.Clients.Delete(d.name) }()
	if err := b.mochi.EstablishConnection("mqtt", d); err != nil && !c.attached && c.head.refusal == success && !c.ousted.Load() {
		b.turnedAway("connection refused", "bad-connect", c.RemoteAddr(), err)
	}
	return c.attached
}

// contain ends a connection that has panicked, in place of the whole gateway. It is
// deferred.
func (c *conn) contain() {
	if v := recover(); v != nil {
		c.b.log.Error("connection ended by a panic; please report this", "thing", c.thing, "err", fmt.Sprint(v))
		_ = c.fail(malformed)
	}
}

// Read gives mochi the bytes of the CONNECT, as many as fit into p.
func (d *door) Read(p []byte) (int, error) {
	if !d.read {
		packet, err := d.connect()
		if err != nil {
			return 0, d.c.fail(err)
		}
		d.rest, d.read = packet, true
	}
	if len(d.rest) == 0 {
		return 0, errEstablished
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

// connect reads the CONNECT, and answers one that mochi must not get.
func (d *door) connect() ([]byte, error) {
	packet, err := d.c.next() // which sees to it that it is one
	if err != nil {
		return nil, err
	}
	if answer, err := checkConnect(bodyOf(packet)); err != nil {
		d.c.turnAway(answer)
		return nil, err
	}
	return packet, nil
}

// Write takes CONNACK, and has it written.
func (d *door) Write(p []byte) (int, error) {
	c := d.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead || c.closing.Load() {
		return 0, net.ErrClosed
	}
	c.out.append(p)
	c.greeted = p[0] == typeConnack<<4 && p[3] == byte(success)
	c.start()
	return len(p), nil
}

// Close ends the connection, unless its client is in.
func (d *door) Close() error {
	if d.c.attached {
		return nil
	}
	return d.c.Close()
}

// LocalAddr and RemoteAddr are the network's.
func (d *door) LocalAddr() net.Addr { return d.c.nc.LocalAddr() }

// RemoteAddr returns the address of the client.
func (d *door) RemoteAddr() net.Addr { return d.c.nc.RemoteAddr() }

// SetDeadline does nothing: the deadline of the handshake stands until the client is
// in, and then it is the reader's. See conn.fill.
func (d *door) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing, as SetDeadline.
func (d *door) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing, as SetDeadline.
func (d *door) SetWriteDeadline(time.Time) error { return nil }
