package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"greengate/core/message"
	"greengate/core/pki"
	"greengate/core/router"
)

// Times and sizes of a connection.
const (
	connectTimeout = 10 * time.Second // handshake and CONNECT together
	flushTimeout   = time.Second      // for what is left to write when it ends
	maxStuck       = time.Minute      // that a client may leave its answers unread
	maxConnect     = 256 << 10        // the largest CONNECT, in bytes
	maxPacket      = 4 << 20          // the largest packet of a connected client
	maxAliases     = 32               // topic aliases that a client may set
	receiveMax     = 1024             // unacknowledged QoS 1 and 2 publishes of a client
	ownHighWater   = 256 << 10        // answers unread by the client that stop its reader
)

// conn is one connection of a client.
type conn struct {
	b      *Broker
	nc     net.Conn // TLS
	socket *socket  // under it; nil: writing there may wait
	peer   []*x509.Certificate
	thing  string // that the certificate names; empty: refused
	why    error  // why it is refused

	// Owned by the goroutine that reads.
	in       input
	head     connect
	shake    *pki.Handshake // that is counted; nil: none
	attached bool
	normal   bool // DISCONNECT 0x00 was seen: no will
	port     *router.Port
	aliases  []string
	message  publish
	msg      message.Message
	topic    []byte    // of a publish that used an alias
	rearmed  time.Time // when the read deadline was set
	lastRead time.Time

	// Set before the connection goes live, read-only after.
	v5      bool
	sess    *session
	sendMax int // unacknowledged messages to the client
	maxSize int // the largest packet that the client takes
	// Closed when the connection that this one has taken over handles nothing more; nil:
	// there was none.
	before <-chan struct{}

	closing atomic.Bool
	ousted  atomic.Bool // it lost its place before it sent its CONNECT; see arrivals
	// Another connection has taken over [MQTT-3.1.4-3], and may have sent more than what is
	// left to be read here: that is not taken, and a client sends again what has no PUBACK.
	succeeded atomic.Bool

	fed feed // retained messages on their way

	unsent *chunk // taken from out; of whoever has set writing

	mu      sync.Mutex
	greeted bool      // a CONNACK that accepts is in the out buffer or out
	drained sync.Cond // what waits for the out buffer to empty
	out     outbox
	writing bool          // somebody empties out, or is asked for by a batch
	dead    bool          // nothing is written any more
	blocked bool          // messages wait in the queue for room
	silent  bool          // it handles nothing any more
	over    chan struct{} // closed with silent, where somebody waits for it
	cause   error
	acks    acks
}

func newConn(b *Broker, nc net.Conn) *conn {
	c := &conn{b: b, nc: nc, maxSize: maxVarint + maxHeader, sendMax: maxWindow}
	c.drained.L = &c.mu
	c.in.nc = nc
	if t, ok := nc.(*tls.Conn); ok {
		c.socket, _ = t.NetConn().(*socket)
	}
	if c.socket != nil {
		c.socket.in.waits = c.flush
	}
	return c
}

// handshake runs TLS. An unknown certificate is not an error here: its client
// is answered in CONNACK.
func (c *conn) handshake() error {
	_ = c.nc.SetDeadline(time.Now().Add(connectTimeout))
	if t, ok := c.nc.(*tls.Conn); ok {
		if err := t.Handshake(); err != nil {
			return err
		}
		c.peer = t.ConnectionState().PeerCertificates
	}
	return nil
}

// converse reads what the client says until the connection ends. Packets are handled
// one by one, so that they keep their order.
func (c *conn) converse() {
	defer c.contain()
	c.await()
	for {
		packet, err := c.next()
		if c.succeeded.Load() || c.closing.Load() && err == nil {
			return // what is left of the buffer is nobody's any more
		}
		if err == nil {
			err = c.handle(packet)
		}
		if errors.Is(err, errHungUp) {
			return
		}
		if err != nil {
			_ = c.fail(err)
			return
		}
	}
}

// errHungUp is the end that a DISCONNECT asks for.
var errHungUp = errors.New("the client has disconnected")

// next returns the next packet. When it has to wait for one, the batch is over
// and all that it touched is written.
func (c *conn) next() ([]byte, error) {
	limit := maxPacket
	if c.sess == nil {
		limit = maxConnect
	}
	for {
		if c.sess == nil && c.in.w > c.in.r && c.in.buf[c.in.r] != typeConnect<<4 {
			return nil, errors.New("the first packet is no CONNECT") // [MQTT-3.1.0-1]
		}
		packet, err := c.in.packet(limit)
		if packet != nil || err != nil {
			return packet, err
		}
		if c.socket == nil || !c.socket.whole() {
			if err := c.endBatch(); err != nil {
				return nil, err
			}
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// endBatch wakes who got something in this batch, and waits while the client
// does not read the answers that it asks for.
func (c *conn) endBatch() error {
	c.flush()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.size <= ownHighWater && !c.acks.full() {
		return nil
	}
	stuck := time.AfterFunc(maxStuck, func() {
		c.b.router.Note(router.Refused, answersUnread)
		c.cut(quotaExceeded)
	})
	defer stuck.Stop()
	for c.out.size > ownHighWater || c.acks.full() {
		if c.dead || c.closing.Load() {
			return net.ErrClosed
		}
		c.drained.Wait()
	}
	// Nobody has read meanwhile, so the keep-alive begins anew.
	c.lastRead = time.Now()
	c.rearm(true)
	return nil
}

// flush has all written that this batch has brought for anybody.
func (c *conn) flush() {
	if c.port != nil {
		c.port.Flush()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.size > 0 {
		c.start()
	}
}

// fill reads from the network until the keep-alive has run out one and a half
// times [MQTT-3.1.2-22].
func (c *conn) fill() error {
	for {
		c.rearm(false)
		err := c.in.fill()
		if err == nil {
			c.lastRead = time.Now()
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || c.closing.Load() {
			return err
		}
		if c.sess == nil {
			return errors.New("no CONNECT in time")
		}
		if !c.lastRead.After(c.rearmed) {
			return keepAliveTimeout
		}
		c.rearm(true) // the deadline was an old one
	}
}

func (c *conn) patience() time.Duration {
	return time.Duration(c.head.keepAlive) * time.Second * 3 / 2
}

// rearm moves the read deadline to one and a half keep-alives after the last
// read. It does so lazily, by an eighth of that at a time: fill finds out when
// a deadline passes that is older than the last read.
func (c *conn) rearm(now bool) {
	if c.sess == nil {
		return // the deadline of handshake stands
	}
	if now || c.rearmed.IsZero() || c.lastRead.Sub(c.rearmed) >= c.patience()/8 {
		var deadline time.Time // keep-alive 0: none
		if c.head.keepAlive > 0 {
			deadline = c.lastRead.Add(c.patience())
		}
		_ = c.nc.SetReadDeadline(deadline)
		c.rearmed = c.lastRead
	}
	if c.closing.Load() {
		// Close came in between.
		_ = c.nc.SetReadDeadline(time.Unix(1, 0))
		_ = c.nc.SetWriteDeadline(time.Now().Add(flushTimeout))
	}
}

// fail ends the connection from the side of the reader: a client of MQTT 5 is
// told why. What it has done wrong is counted; the log has it with the end of the
// connection.
func (c *conn) fail(err error) error {
	var reason code
	if errors.As(err, &reason) {
		if why := faultReasons[reason]; why != "" && c.attached {
			c.b.router.Note(router.Refused, why)
		}
		c.cut(reason)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		c.cause = err
	}
	return err
}

// cut tells the client why and ends the connection: nothing follows a DISCONNECT
// [MQTT-3.14.4-1], and none goes out before CONNACK [MQTT-3.14.0-1]. It does not wait
// and may be called from any goroutine.
func (c *conn) cut(reason code) {
	c.mu.Lock()
	if c.cause == nil {
		c.cause = reason
	}
	first := !c.closing.Swap(true)
	if first && c.greeted && c.v5 && !c.dead {
		c.out.append(appendDisconnect(nil, reason))
	}
	c.mu.Unlock()
	if first {
		c.end()
	}
}

// turnAway answers a CONNECT that mochi does not get.
func (c *conn) turnAway(answer []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing.Load() {
		c.out.append(answer)
	}
}

// Close ends the connection: the reader at once, the writer when it has
// written what is left, for a second at most. It does not wait.
func (c *conn) Close() error {
	if !c.closing.Swap(true) {
		c.end()
	}
	return nil
}

// end is what Close and cut do after they have set closing.
func (c *conn) end() {
	_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	_ = c.nc.SetWriteDeadline(time.Now().Add(flushTimeout))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drained.Broadcast()
	c.start()
}

// RemoteAddr returns the address of the client.
func (c *conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }
