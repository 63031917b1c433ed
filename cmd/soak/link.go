package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// The packets of MQTT 3.1.1 that a link knows, as first bytes.
const (
	connect    = 0x10
	connack    = 0x20
	publish    = 0x30
	puback     = 0x40
	subscribe  = 0x82
	suback     = 0x90
	disconnect = 0xE0
)

// patience is how long the gateway may take for an answer before it counts as
// a failure. It is long: the machine of a soak may be busy, and a full disk or
// a dead cloud is no reason for silence.
const patience = 60 * time.Second

// window is how many publishes with QoS 1 a link has under way.
const window = 64

// heard is a message that came in.
type heard struct {
	Topic   string
	Payload []byte
	QoS     byte
	Dup     bool
	Retain  bool
}

// will is left to a gateway for the case that a link breaks.
type will struct {
	Topic   string
	Payload []byte
}

// linkOptions say how a thing connects.
type linkOptions struct {
	Address string
	TLS     *tls.Config
	Thing   string
	Clean   bool     // the session ends with the connection
	Session *session // of messages with QoS 2; nil: it has none
	Will    *will
	Small   bool        // with a small buffer of the kernel, so that a slow reader is soon felt
	Hear    func(heard) // called by the goroutine that reads, before it acknowledges
	Pause   *valve      // nil: always open
}

// link is one connection of a thing: as much of MQTT 3.1.1 over mutual TLS as a
// soak needs; what outlives it is in its session. A goroutine of it reads, acknowledges what it has heard and sorts
// the answers; any goroutine may publish.
type link struct {
	o       linkOptions
	conn    *tls.Conn
	r       *bufio.Reader
	present bool // the gateway had a session

	slots chan struct{} // one in it for each publish under way
	subs  chan []byte   // bodies of SUBACKs
	done  chan struct{} // closed when the connection is gone

	mu      sync.Mutex        // one packet at a time goes out
	id      uint16            // guarded by mu
	pending map[uint16]func() // guarded by mu: what a PUBACK has happen
	settled chan struct{}     // guarded by mu: closed when pending gets empty; nil when nobody waits
	err     error             // why it is gone; set before done is closed
}

// dial connects.
func dial(ctx context.Context, o linkOptions) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("connect %s: %w", o.Thing, err)
	}
	if o.Small {
		_ = raw.(*net.TCPConn).SetReadBuffer(64 << 10)
	}
	l := &link{
		o: o, conn: tls.Client(raw, o.TLS), slots: make(chan struct{}, window), subs: make(chan []byte, 1),
		done: make(chan struct{}), pending: map[uint16]func(){},
	}
	l.r = bufio.NewReader(l.conn)
	_ = l.conn.SetDeadline(time.Now().Add(patience))
	err = l.hello()
	if err == nil {
		err = l.conn.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("connect %s: %w", o.Thing, err)
	}
	if o.Session != nil {
		if err := o.Session.resume(l); err != nil {
			_ = raw.Close()
			return nil, fmt.Errorf("connect %s: %w", o.Thing, err)
		}
	}
	go l.read()
	return l, nil
}

// hello sends CONNECT and reads its answer.
func (l *link) hello() error {
	flags, tail := byte(0), text(l.o.Thing)
	if l.o.Clean {
		flags |= 2
	}
	if w := l.o.Will; w != nil {
		flags |= 4 | 1<<3
		tail = append(append(tail, text(w.Topic)...), binary.BigEndian.AppendUint16(nil, uint16(len(w.Payload)))...)
		tail = append(tail, w.Payload...)
	}
	// Level 4, and no keep-alive.
	if err := l.write(connect, append([]byte{0, 4, 'M', 'Q', 'T', 'T', 4, flags, 0, 0}, tail...)); err != nil {
		return err
	}
	first, body, err := l.packet()
	if err != nil {
		return err
	}
	if first != connack || len(body) != 2 || body[1] != 0 {
		return fmt.Errorf("answer to CONNECT: %#x % x", first, body)
	}
	l.present = body[0] == 1
	return nil
}

// subscribe asks for all that matches the filters, and waits for the answer.
func (l *link) subscribe(qos byte, filters ...string) error {
	body := []byte{0, 1}
	for _, f := range filters {
		body = append(append(body, text(f)...), qos)
	}
	if err := l.write(subscribe, body); err != nil {
		return err
	}
	select {
	case answer := <-l.subs:
		for _, code := range answer[min(2, len(answer)):] {
			if code != qos {
				return fmt.Errorf("subscribe %s to %v: SUBACK % x", l.o.Thing, filters, answer)
			}
		}
		return nil
	case <-l.done:
		return l.err
	case <-time.After(patience):
		return fmt.Errorf("subscribe %s to %v: no answer within %v", l.o.Thing, filters, patience)
	}
}

// errNotSent means that a message has certainly not left.
var errNotSent = errors.New("the message was not sent")

// publish sends a message. With QoS 1 it waits while a window is under way, and
// acked is called when PUBACK comes; with QoS 0 when it is written; QoS 2 is its
// session's. Every error but errNotSent leaves it open whether the gateway has the
// message.
func (l *link) publish(topic string, payload []byte, qos byte, retain bool, acked func()) error {
	first, head := byte(publish)|qos<<1, text(topic)
	if retain {
		first |= 1
	}
	if qos == 0 {
		err := l.write(first, append(head, payload...))
		if err == nil {
			acked()
		}
		return err
	}
	if qos == 2 {
		return l.o.Session.publish(l, first, head, payload, acked)
	}
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return errNotSent
	}
	l.mu.Lock()
	for l.id++; l.id == 0 || l.pending[l.id] != nil; l.id++ {
	}
	id := l.id
	l.pending[id] = acked
	l.mu.Unlock()
	return l.write(first, append(binary.BigEndian.AppendUint16(head, id), payload...))
}

// settle waits until all that was published is acknowledged.
func (l *link) settle(ctx context.Context) error {
	if l.o.Session != nil {
		return l.o.Session.settle(ctx)
	}
	l.mu.Lock()
	if len(l.pending) == 0 {
		l.mu.Unlock()
		return nil
	}
	if l.settled == nil {
		l.settled = make(chan struct{})
	}
	settled := l.settled
	l.mu.Unlock()
	select {
	case <-settled:
		return nil
	case <-l.done:
		return fmt.Errorf("the connection of %s ended before all was acknowledged: %w", l.o.Thing, l.err)
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		return fmt.Errorf("%d publishes of %s have no PUBACK: %w", len(l.pending), l.o.Thing, ctx.Err())
	}
}

// leave says DISCONNECT and waits for the end of the connection.
func (l *link) leave() {
	if l.write(disconnect, nil) == nil {
		select {
		case <-l.done:
		case <-time.After(patience):
		}
	}
	l.cut()
}

// cut ends the connection without a word, as a device that loses its power.
func (l *link) cut() {
	_ = l.conn.NetConn().Close()
	<-l.done
}

// read is the goroutine of the link.
func (l *link) read() {
	for {
		l.o.Pause.wait(l.done)
		first, body, err := l.packet()
		if err == nil {
			err = l.take(first, body)
		}
		if err != nil {
			l.err = err
			_ = l.conn.NetConn().Close()
			close(l.done)
			return
		}
	}
}

// take does what a packet asks for.
func (l *link) take(first byte, body []byte) error {
	short := fmt.Errorf("packet %#x of %d bytes is cut short", first, len(body))
	switch first & 0xF0 {
	case suback:
		select {
		case l.subs <- body:
		default:
			return errors.New("a SUBACK that nobody asked for")
		}
	case puback:
		if len(body) < 2 {
			return short
		}
		return l.acknowledged(binary.BigEndian.Uint16(body))
	case pubrec, pubrel & 0xF0, pubcomp:
		if len(body) < 2 || l.o.Session == nil {
			return short
		}
		return l.o.Session.take(first&0xF0, binary.BigEndian.Uint16(body))
	case publish:
		if len(body) < 2 {
			return short
		}
		n := 2 + int(binary.BigEndian.Uint16(body))
		h := heard{QoS: first >> 1 & 3, Dup: first&8 != 0, Retain: first&1 != 0}
		rest := n
		if h.QoS > 0 {
			rest += 2
		}
		if len(body) < rest {
			return short
		}
		h.Topic, h.Payload = string(body[2:n]), body[rest:]
		if h.QoS == 2 && l.o.Session != nil {
			return l.o.Session.hear(l, binary.BigEndian.Uint16(body[n:rest]), h)
		}
		if l.o.Hear != nil {
			l.o.Hear(h)
		}
		if h.QoS > 0 {
			return l.write(puback, body[n:rest])
		}
	}
	return nil
}

func (l *link) acknowledged(id uint16) error {
	l.mu.Lock()
	acked := l.pending[id]
	delete(l.pending, id)
	if len(l.pending) == 0 && l.settled != nil {
		close(l.settled)
		l.settled = nil
	}
	l.mu.Unlock()
	if acked == nil {
		return fmt.Errorf("PUBACK of packet id %d, which is not under way", id)
	}
	<-l.slots
	acked()
	return nil
}

// packet reads the first byte of a packet, and what follows its length.
func (l *link) packet() (first byte, body []byte, err error) {
	if first, err = l.r.ReadByte(); err != nil {
		return 0, nil, err
	}
	// The remaining length is a varint as Go's: 7 bits a byte, the lowest first.
	length, err := binary.ReadUvarint(l.r)
	if err != nil {
		return 0, nil, err
	}
	if length > 1<<20 {
		return 0, nil, errors.New("a packet of more than 1 MiB")
	}
	body = make([]byte, length)
	_, err = io.ReadFull(l.r, body)
	return first, body, err
}

func (l *link) write(first byte, body []byte) error {
	packet := append(binary.AppendUvarint([]byte{first}, uint64(len(body))), body...)
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := l.conn.Write(packet)
	return err
}

// text is a string as MQTT writes it.
func text(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

// valve holds a reader up while it is shut. A nil one is open. Any goroutine
// may turn it.
type valve struct {
	mu   sync.Mutex
	open chan struct{} // guarded by mu: closed while it is open; nil: was never shut
}

func (v *valve) shut() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.open = make(chan struct{})
}

func (v *valve) release() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.open != nil {
		close(v.open)
		v.open = nil
	}
}

func (v *valve) wait(done <-chan struct{}) {
	if v == nil {
		return
	}
	v.mu.Lock()
	open := v.open
	v.mu.Unlock()
	if open == nil {
		return
	}
	select {
	case <-open:
	case <-done:
	}
}
