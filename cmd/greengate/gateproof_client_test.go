package main

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// proofClient is a device of the test with its session, as the broker should have it.
type proofClient struct {
	thing string
	pair  tls.Certificate

	*proofConn                     // nil: it is away
	persists   bool                // its session outlives its connection
	subs       map[string]proofSub // of the session, by filter; nil: there is none
	will       *proofProbe         // of the connection
	delay      int                 // of the will, in seconds
	delayed    *proofProbe         // a will that waits for its delay, or for the end of the session
	left       time.Time           // when it went last
}

type proofSub struct {
	qos     byte
	noLocal bool
}

// end is the device as an end of a row.
func (c *proofClient) end() string { return "device:" + c.thing }

// listens tells whether it hears what functions answer.
func (c *proofClient) listens() bool {
	_, ok := c.subs[proofAnswers]
	return ok && c.proofConn != nil
}

// caughtUp waits until the gateway has taken all that the client sent, and the client all
// that the gateway has for it.
func (c *proofClient) caughtUp(n int) error {
	if _, ok := c.subs[proofMark(c.thing)]; !ok {
		return c.ping() // it has no subscription yet
	}
	return c.mark(proofMark(c.thing), proofMark(c.thing), n)
}

// wants tells with which QoS the session wants a message, if it does.
func (c *proofClient) wants(from, topic string) (qos byte, ok bool) {
	for filter, s := range c.subs {
		if proofMatch(filter, topic) && !(s.noLocal && from == c.end()) {
			qos, ok = max(qos, s.qos), true
		}
	}
	return qos, ok
}

// proofConn is a connection that takes what comes and remembers what of it somebody may
// wait for. One goroutine reads; the test writes and waits.
type proofConn struct {
	conn  *tls.Conn
	v5    bool
	heard func(topic string, payload []byte, retain, dup bool)

	writing sync.Mutex

	mu      sync.Mutex
	changed chan struct{}
	acks    map[uint16]byte // how a publish, SUBSCRIBE or UNSUBSCRIBE was answered; of a SUBACK the first code
	connack []byte
	pongs   int
	marks   map[string]int // the last one that came, by topic
	ended   error

	last    uint16
	pinged  int
	aliases map[string]byte // by topic
}

func newProofConn(conn *tls.Conn, v5 bool, heard func(string, []byte, bool, bool)) *proofConn {
	return &proofConn{conn: conn, v5: v5, heard: heard, changed: make(chan struct{}, 1),
		acks: map[uint16]byte{}, marks: map[string]int{}, aliases: map[string]byte{}}
}

func mqttText(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

func mqttPacket(first byte, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	return append(binary.AppendUvarint([]byte{first}, uint64(len(body))), body...)
}

// props are the properties of a packet; none in MQTT 3.1.1.
func (c *proofConn) props(body ...byte) []byte {
	if !c.v5 {
		return nil
	}
	return append([]byte{byte(len(body))}, body...)
}

func (c *proofConn) write(packets ...[]byte) {
	c.writing.Lock()
	defer c.writing.Unlock()
	_, _ = c.conn.Write(slices.Concat(packets...)) // what is lost is missed by who waits
}

func (c *proofConn) id() uint16 {
	if c.last++; c.last == 0 {
		c.last = 1
	}
	return c.last
}

// wait waits until something has come, or the connection has ended.
func (c *proofConn) wait(what string, ok func() bool) error {
	limit := time.NewTimer(2 * patience)
	defer limit.Stop()
	for {
		c.mu.Lock()
		good, ended := ok(), c.ended
		c.mu.Unlock()
		switch {
		case good:
			return nil
		case ended != nil:
			return fmt.Errorf("waiting for %s: %w", what, ended)
		}
		select {
		case <-c.changed:
		case <-limit.C:
			return fmt.Errorf("waited in vain for %s", what)
		}
	}
}

// acked waits for the answer to a packet and returns its code.
func (c *proofConn) acked(id uint16) (code byte, err error) {
	err = c.wait(fmt.Sprint("the answer to packet ", id), func() (ok bool) { code, ok = c.acks[id]; return ok })
	return code, err
}

// ping waits until the gateway has taken all that was sent.
func (c *proofConn) ping() error {
	c.pinged++
	c.write([]byte{0xC0, 0})
	return c.wait("PINGRESP", func() bool { return c.pongs >= c.pinged })
}

// publish sends a message and returns its packet id; 0: QoS 0. A topic that has an alias
// goes by it; alias gives it one.
func (c *proofConn) publish(topic string, payload []byte, qos byte, retain bool, alias byte) (id uint16) {
	first := 0x30 | qos<<1
	if retain {
		first |= 1
	}
	var packetID, props []byte
	if qos > 0 {
		id = c.id()
		packetID = binary.BigEndian.AppendUint16(nil, id)
	}
	name := topic
	if c.v5 && alias > 0 {
		if known, ok := c.aliases[topic]; ok {
			name, alias = "", known
		} else {
			for t, a := range c.aliases {
				if a == alias {
					delete(c.aliases, t)
				}
			}
			c.aliases[topic] = alias
		}
		props = []byte{0x23, 0, alias}
	}
	c.write(mqttPacket(first, mqttText(name), packetID, c.props(props...), payload))
	return id
}

// read takes packets until the connection ends.
func (c *proofConn) read() {
	r := bufio.NewReader(c.conn)
	for {
		first, body, err := mqttRead(r)
		if err == nil {
			c.take(first, body)
		}
		c.mu.Lock()
		c.ended = err
		c.mu.Unlock()
		select {
		case c.changed <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

func mqttRead(r *bufio.Reader) (first byte, body []byte, err error) {
	if first, err = r.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, nil, err
	}
	body = make([]byte, n)
	_, err = io.ReadFull(r, body)
	return first, body, err
}

func (c *proofConn) take(first byte, body []byte) {
	switch first >> 4 {
	case 2:
		c.note(func() { c.connack = body })
	case 3:
		c.message(first, body)
	case 4, 7, 9, 11:
		c.answered(first>>4, body)
	case 5:
		if len(body) > 2 && body[2] >= 0x80 {
			c.answered(4, body)
			return
		}
		c.write([]byte{0x62, 2, body[0], body[1]})
	case 6:
		c.write([]byte{0x70, 2, body[0], body[1]})
	case 13:
		c.note(func() { c.pongs++ })
	}
}

func (c *proofConn) note(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// answered notes the code of PUBACK, PUBCOMP, SUBACK or UNSUBACK.
func (c *proofConn) answered(kind byte, body []byte) {
	code := byte(0)
	switch {
	case kind == 9:
		code = body[len(body)-1]
	case kind != 11 && len(body) > 2:
		code = body[2]
	}
	c.note(func() { c.acks[binary.BigEndian.Uint16(body)] = code })
}

// message takes a PUBLISH and acknowledges it.
func (c *proofConn) message(first byte, body []byte) {
	n := int(binary.BigEndian.Uint16(body))
	topic, rest := string(body[2:2+n]), body[2+n:]
	if qos := first >> 1 & 3; qos > 0 {
		c.write([]byte{0x30 + 0x10*qos, 2, rest[0], rest[1]})
		rest = rest[2:]
	}
	if c.v5 {
		n, size := binary.Uvarint(rest)
		rest = rest[size+int(n):]
	}
	text := string(rest)
	if strings.HasPrefix(topic, proofAnswer) {
		_, text, _ = strings.Cut(text, "\n")
	}
	if mark, ok := strings.CutPrefix(text, "m"); ok {
		if n, err := strconv.Atoi(mark); err == nil {
			c.note(func() { c.marks[topic] = n })
			return
		}
	}
	c.heard(topic, rest, first&1 != 0, first&8 != 0)
}

// mark sends itself a message, behind all that the gateway has for it.
func (c *proofConn) mark(topic, answer string, n int) error {
	c.write(mqttPacket(0x32, mqttText(topic), binary.BigEndian.AppendUint16(nil, c.id()), c.props(), []byte("m"+strconv.Itoa(n))))
	return c.wait("the mark on "+answer, func() bool { return c.marks[answer] >= n })
}
