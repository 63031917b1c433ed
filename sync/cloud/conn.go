package cloud

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// errClosed: the cloud closed the connection in good order and gave no reason.
var errClosed = errors.New("the cloud closed the connection without a word (does another client use this id, or does AWS not allow what was sent?)")

// errRedeliver ends a connection for what Redeliver asks for.
var errRedeliver = errors.New("a message of the cloud was not safe here: ask for it again")

// conn is one connection, from its CONNECT to its end. Three goroutines belong
// to it: one reads, one writes, one watches the time.
type conn struct {
	link *Link
	net  net.Conn // TLS
	raw  net.Conn // below it: what ends a dead link at once
	r    *bufio.Reader
	d    dialect

	server    connack
	keepAlive time.Duration
	flight    *flight
	acks      *acks
	out       chan []byte // packets to write
	answers   chan any    // suback, unsuback

	read, wrote atomic.Int64 // when bytes last moved, time since link.epoch
	busy        atomic.Bool  // Receive is at work: that nothing is read says nothing

	last    chan []byte           // the packet after which the writer ends the connection
	parting atomic.Pointer[error] // why it does
	once    sync.Once
	dead    chan struct{} // closed at the end
	cause   error         // valid once dead is closed
	wg      sync.WaitGroup
}

// Read stamps the time, for the watch over the keep-alive.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.net.Read(p)
	if n > 0 {
		c.read.Store(c.link.now())
	}
	return n, err
}

// open says CONNECT on a TLS connection and waits for the CONNACK.
func (l *Link) open(tls, raw net.Conn, clean bool) (*conn, error) {
	c := &conn{link: l, net: tls, raw: raw, d: l.dialect, dead: make(chan struct{}), answers: make(chan any, 1), last: make(chan []byte, 1)}
	c.r = bufio.NewReader(c)
	if err := tls.SetDeadline(time.Now().Add(l.o.Timing.Answer)); err != nil {
		return nil, fmt.Errorf("send CONNECT: %w", err)
	}
	if _, err := tls.Write(c.d.connect(connect{
		id: l.o.Core, keepAlive: l.o.KeepAlive, clean: clean, sessionExpiry: l.o.Limits.SessionExpiry,
		receiveMaximum: receiveMaximum, maximumPacket: l.maximumIn(),
	})); err != nil {
		return nil, fmt.Errorf("send CONNECT: %w", err)
	}
	packet, err := readPacket(c.r, l.maximumIn())
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("wait for CONNACK: no answer within %v", l.o.Timing.Answer)
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("wait for CONNACK: the cloud closed the connection (is the core's certificate active, and does its policy allow iot:Connect for client/%s?)", l.o.Core)
	case err != nil:
		return nil, fmt.Errorf("wait for CONNACK: %w", err)
	}
	p, err := decode(c.d, packet)
	if err != nil {
		return nil, fmt.Errorf("wait for CONNACK: %w", err)
	}
	ack, ok := p.(connack)
	switch {
	case !ok:
		return nil, fmt.Errorf("wait for CONNACK: another packet came (%T)", p)
	case ack.code >= 0x80:
		return nil, &Rejected{ack.code, ack.reason}
	case ack.noQoS1:
		return nil, fmt.Errorf("connect: the server takes no QoS 1")
	}
	if err := tls.SetDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("wait for CONNACK: %w", err)
	}
	c.server, c.keepAlive = ack, l.o.KeepAlive
	if ack.keepAlive > 0 {
		c.keepAlive = ack.keepAlive
	}
	c.flight = newFlight(min(l.o.Limits.Unacked, max(ack.receiveMaximum, 1)), l.o.Limits.UnackedBytes)
	// The queue has room for all that may be on its way, so that nobody waits
	// for the writer.
	c.out = make(chan []byte, c.flight.limit+receiveMaximum+8)
	c.acks = &acks{write: func(id uint16) { c.write(c.d.puback(id)) }}
	return c, nil
}

// start lets the goroutines go. The connection runs until fail.
func (c *conn) start() {
	now := c.link.now()
	c.read.Store(now)
	c.wrote.Store(now)
	c.wg.Go(func() { c.fail(c.readAll()) })
	c.wg.Go(func() { c.fail(c.writeAll()) })
	c.wg.Go(func() { c.fail(c.watch()) })
}

// fail ends the connection, for the first reason given. nil is none.
func (c *conn) fail(err error) {
	if err == nil {
		return
	}
	c.once.Do(func() {
		if why := c.parting.Load(); why != nil {
			err = *why
		}
		c.cause = err
		close(c.dead)
		// Not the TLS connection: its last word would wait for a dead link.
		_ = c.raw.Close()
	})
}

// write queues a packet, and never waits: only a cloud that acknowledges what it
// has not read can fill the queue.
func (c *conn) write(packet []byte) {
	select {
	case c.out <- packet:
	default:
		c.fail(errors.New("write: the cloud acknowledges what was not sent"))
	}
}

func (c *conn) writeAll() error {
	w := bufio.NewWriterSize(c.net, 16<<10)
	var last []byte
	for {
		var p []byte
		select {
		case p = <-c.out:
		case last = <-c.last:
			p = nil
		case <-c.dead:
			return nil
		}
		if _, err := w.Write(p); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		if len(c.out) > 0 {
			continue // what waits together leaves together
		}
		if _, err := w.Write(last); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		if err := w.Flush(); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		c.wrote.Store(c.link.now())
		if last != nil {
			_ = c.net.Close()
			return *c.parting.Load()
		}
	}
}

func (c *conn) readAll() error {
	for {
		packet, err := readPacket(c.r, c.link.maximumIn())
		if errors.Is(err, io.EOF) {
			return errClosed
		}
		if err != nil {
			return err
		}
		p, err := decode(c.d, packet)
		if err != nil {
			c.leave(malformedPacket, err)
			return nil
		}
		if code, err := c.handle(p); code != 0 {
			c.leave(code, err)
			return nil
		} else if err != nil {
			return err
		}
	}
}

// handle returns the error that ends the connection, and the code with which to
// tell the cloud, 0 when it is the cloud that ended it.
func (c *conn) handle(p any) (byte, error) {
	switch p := p.(type) {
	case puback:
		c.link.shaper.answered(p.code)
		if p.code == quotaExceeded {
			c.link.counts.quota.Add(1)
		}
		if done, took := c.flight.answer(p.id); done != nil {
			c.link.counts.trip(took)
			done(verdict(p))
		}
	case received:
		return c.receive(p)
	case suback, unsuback:
		select {
		case c.answers <- p:
		default:
			return protocolError, fmt.Errorf("read a packet: nobody asked for this %T", p)
		}
	case disconnect:
		return 0, &Closed{p.code, p.reason}
	case connack:
		return protocolError, errors.New("read a packet: a second CONNACK")
	}
	return 0, nil
}

func verdict(p puback) error {
	if p.code >= 0x80 {
		return &Refused{p.code, p.reason}
	}
	return nil
}

func (c *conn) receive(p received) (byte, error) {
	if paid := c.link.shadows.heard(p.msg.Topic) && c.link.hears.Load(); !paid {
		c.link.shaper.came()
	}
	ready := func() {}
	if p.msg.QoS > 0 {
		var ok bool
		if ready, ok = c.acks.expect(p.id); !ok {
			return receiveMaxExceeded, fmt.Errorf("read a packet: the cloud sends more than %d messages without PUBACK", receiveMaximum)
		}
	}
	c.busy.Store(true)
	c.link.o.Receive(p.msg, ready)
	c.read.Store(c.link.now())
	c.busy.Store(false)
	return 0, nil
}

// leave has the writer say DISCONNECT after all that is queued, and end the
// connection for that reason. A second call is too late and does nothing.
func (c *conn) leave(code byte, why error) {
	if !c.parting.CompareAndSwap(nil, &why) {
		return
	}
	_ = c.net.SetWriteDeadline(time.Now().Add(time.Second)) // on an error the write fails as well
	c.last <- c.d.disconnect(code)
}

// close ends the connection in peace: nothing new is sent, and what is on its
// way has a moment for its PUBACKs.
func (c *conn) close(linger time.Duration) {
	t := time.NewTimer(linger)
	defer t.Stop()
	select {
	case <-c.flight.drain():
	case <-t.C:
	case <-c.dead:
	}
	c.leave(0, context.Canceled)
	<-c.dead
}
