package broker

import (
	"errors"

	"greengate/core/message"
	"greengate/core/router"
)

type sendResult int

const (
	sendOK sendResult = iota
	sendFull
	sendTooLarge
	sendGone
	sendStale // judged by a table that is no more in force
)

// send appends a PUBLISH to the out buffer and has it written at the end of
// d's batch. With a limit it refuses when that much lies there already, and
// with o.table when another table is in force.
func (c *conn) send(m *message.Message, o *outgoing, d *router.Delivery, limit int) sendResult {
	remaining, props := publishSize(m, o, c.v5)
	size := 1 + varintSize(remaining) + remaining
	if size > c.maxSize {
		return sendTooLarge
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.dead || c.closing.Load():
		return sendGone
	case limit > 0 && c.out.size >= limit:
		return sendFull
	case o.table != 0 && o.table != c.b.router.Generation():
		return sendStale
	}
	b := c.out.room(size)
	*b = appendPublish(*b, m, o, c.v5, remaining, props)
	c.later(d)
	return sendOK
}

// ack appends an acknowledgement.
func (c *conn) ack(kind byte, id uint16, reason code, d *router.Delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead || c.closing.Load() {
		return
	}
	c.appendAck(kind, id, reason)
	c.later(d)
}

// appendAck appends an acknowledgement. The caller holds mu.
func (c *conn) appendAck(kind byte, id uint16, reason code) {
	var packet [maxAck]byte
	c.out.append(appendAck(packet[:0], kind, id, reason, c.v5))
}

// later has the buffer written at the end of the batch, by whoever asks first.
// The caller holds mu.
func (c *conn) later(d *router.Delivery) {
	if !c.writing {
		c.writing = true
		d.Wake(c)
	}
}

// start has the buffer written now. The caller holds mu.
func (c *conn) start() {
	if !c.writing {
		c.writing = true
		go c.write()
	}
}

// What who wakes writes himself, at most. A client that is sent more at once is
// probably sent yet more before another goroutine runs.
const (
	maxInline        = largeChunk // bytes
	maxInlinePackets = 8
)

// Wake writes what the batch has appended. It does not wait for the client, and what
// others append meanwhile it leaves to a goroutine.
func (c *conn) Wake() {
	if c.socket == nil || !c.b.pace.calm() {
		go c.write()
		return
	}
	c.mu.Lock()
	if c.out.size > maxInline || c.out.packets > maxInlinePackets || c.dead || c.closing.Load() {
		c.mu.Unlock()
		go c.write()
		return
	}
	c.unsent = c.out.take()
	c.mu.Unlock()
	if behind, err := c.push(); !behind && !c.settle(err, false) {
		go c.write()
	}
}

// write empties the out buffer and ends; at most one runs. All that gathers
// while it writes goes into its next write.
func (c *conn) write() {
	for {
		behind, err := c.push()
		if behind || c.settle(err, true) {
			return
		}
	}
}

// push writes what was taken from the out buffer. It reports whether the client
// is behind: then write goes on when it has read. Only who has set writing calls
// it.
func (c *conn) push() (behind bool, err error) {
	for c.unsent != nil {
		if err := c.pushSome(); err != nil {
			c.unsent = nil
			return false, err
		}
		at(pointOut)
		if c.socket != nil && c.socket.behind(c.write) {
			return true, nil
		}
	}
	return false, nil
}

// pushSome writes as much as goes well into one system call.
func (c *conn) pushSome() (err error) {
	k := c.unsent
	corked := c.socket != nil && (k.next != nil || len(k.b)-k.sent > largeChunk)
	if corked {
		c.socket.cork()
	}
	for room := gathered; k != nil && room >= largeChunk && err == nil; k = c.unsent {
		n := min(len(k.b)-k.sent, largeChunk)
		_, err = c.nc.Write(k.b[k.sent : k.sent+n])
		room -= n
		if k.sent += n; k.sent == len(k.b) {
			c.unsent = k.next
			k.free()
		}
	}
	if corked {
		err = errors.Join(err, c.socket.uncork())
	}
	return err
}

// settle ends a round of writing. It takes what has gathered meanwhile and
// reports false; or the writing is over, for now or for good. Who does not stay
// leaves what else there is to do to another goroutine.
func (c *conn) settle(err error, stay bool) (over bool) {
	c.mu.Lock()
	if err != nil {
		c.dead = true
		if c.cause == nil {
			c.cause = err
		}
	}
	c.drained.Broadcast()
	if c.out.size > 0 && !c.dead {
		c.unsent = c.out.take()
		c.mu.Unlock()
		return false
	}
	c.writing = false
	blocked := c.blocked
	c.blocked = false
	last := c.closing.Load() || c.dead
	if last {
		c.dead = true
		c.out = outbox{}
		c.drained.Broadcast()
	}
	c.mu.Unlock()
	switch {
	case last && stay:
		_ = c.nc.Close()
	case last:
		go func() { _ = c.nc.Close() }()
	case blocked && stay:
		c.refill()
	case blocked:
		go c.refill()
	}
	return true
}

// refill sends what waited for room in the out buffer.
func (c *conn) refill() {
	port := c.b.router.Port(message.Endpoint{}) // for its batch only
	s := c.sess
	s.mu.Lock()
	if s.live.Load() == c {
		s.pump(c, port.Delivery())
	}
	s.mu.Unlock()
	c.feed(port)
	port.Flush()
}

// room tells whether a message that can wait may go into the out buffer, which has less
// than most bytes then; when not, the writer fetches it once the buffer is empty.
func (c *conn) room(most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.size < most {
		return true
	}
	c.blocked = true
	return false
}

// fits tells whether the client takes a packet that large [MQTT-3.1.2-24].
func (c *conn) fits(m *message.Message, h *handle, qos byte) bool {
	if c.maxSize > maxVarint {
		return true
	}
	remaining, _ := publishSize(m, &outgoing{qos: qos, subIDs: h.subIDs}, c.v5)
	return remaining+1+varintSize(remaining) <= c.maxSize
}
