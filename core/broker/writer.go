package broker

import (
	"sync"

	"greengate/core/message"
	"greengate/core/router"
)

// buffers are out buffers that nobody uses. Larger ones than maxPooled are left
// to the garbage collector.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

const maxPooled = 64 << 10

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
	if remaining+1+varintSize(remaining) > c.maxSize {
		return sendTooLarge
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.dead || c.closing.Load():
		return sendGone
	case limit > 0 && len(c.out) >= limit:
		return sendFull
	case o.table != 0 && o.table != c.b.router.Generation():
		return sendStale
	}
	c.grow()
	c.out = appendPublish(c.out, m, o, c.v5, remaining, props)
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
	c.grow()
	c.out = appendAck(c.out, kind, id, reason, c.v5)
	c.later(d)
}

// grow takes a buffer from the pool when there is none. The caller holds mu.
func (c *conn) grow() {
	if c.out == nil {
		c.out = *buffers.Get().(*[]byte)
	}
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

// Wake writes what the batch has appended.
func (c *conn) Wake() { go c.write() }

// write empties the out buffer and ends; at most one runs. All that gathers
// while it writes goes into its next write.
func (c *conn) write() {
	c.mu.Lock()
	for len(c.out) > 0 && !c.dead {
		b := c.out
		c.out = nil
		c.mu.Unlock()
		_, err := c.nc.Write(b)
		at(pointOut)
		if cap(b) <= maxPooled {
			b = b[:0]
			buffers.Put(&b)
		}
		c.mu.Lock()
		if err != nil {
			c.dead = true
			if c.cause == nil {
				c.cause = err
			}
		}
		c.drained.Broadcast()
	}
	c.writing = false
	blocked := c.blocked
	c.blocked = false
	last := c.closing.Load() || c.dead
	if last {
		c.dead = true
		c.out = nil
		c.drained.Broadcast()
	}
	c.mu.Unlock()
	if last {
		_ = c.nc.Close()
		return
	}
	if blocked {
		c.refill()
	}
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
	port.Flush()
}

// room tells whether a QoS 1 or 2 message may go into the out buffer; when not,
// the writer fetches it once the buffer is empty.
func (c *conn) room() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.out) < highWater {
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
