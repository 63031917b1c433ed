package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

// patience is how long a server may take to answer before it counts as dead.
const patience = 30 * time.Second

// First bytes of the packets of MQTT 3.1.1 that the load knows.
const (
	connect    = 0x10
	connack    = 0x20
	publish    = 0x30 // with QoS 0
	puback     = 0x40
	subscribe  = 0x82
	suback     = 0x90
	pingreq    = 0xc0
	pingresp   = 0xd0
	disconnect = 0xe0
)

// client is a connection that speaks just enough MQTT 3.1.1. It must cost little:
// it shares the machine with the server that is measured.
type client struct {
	*tls.Conn
	r *bufio.Reader
}

// dial connects d over mutual TLS and waits for CONNACK. The size of the read
// buffer is in bytes: large for a load, small for thousands that idle.
func (d *device) dial(ctx context.Context, address string, buffer int) (*client, error) {
	dialer := net.Dialer{Timeout: patience, LocalAddr: d.local}
	raw, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect %s: %w", d.thing, err)
	}
	c := &client{Conn: tls.Client(raw, d.tls)}
	if err := c.open(d.thing, buffer); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("connect %s: %w", d.thing, err)
	}
	return c, nil
}

func (c *client) open(thing string, buffer int) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if err := c.Handshake(); err != nil {
		return err
	}
	c.r = bufio.NewReaderSize(c.Conn, buffer)
	// Level 4, clean session, no keep-alive: who idles sends nothing.
	hello := append([]byte("\x00\x04MQTT\x04\x02\x00\x00"), text(thing)...)
	answer, err := c.exchange(connect, hello, connack)
	if err != nil {
		return err
	}
	if len(answer) != 2 || answer[1] != 0 {
		return fmt.Errorf("refused by CONNACK % x", answer)
	}
	return c.SetDeadline(time.Time{})
}

// subscribe asks for all that matches filter.
func (c *client) subscribe(filter string, qos byte) error {
	body := append([]byte{0, 1}, text(filter)...)
	answer, err := c.exchange(subscribe, append(body, qos), suback)
	if err == nil && (len(answer) != 3 || answer[2] != qos) {
		err = fmt.Errorf("answered by SUBACK % x", answer)
	}
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", filter, err)
	}
	return nil
}

// leave ends the connection as a client should, so that the server need not ask
// what became of it.
func (c *client) leave() {
	_ = c.SetDeadline(time.Now().Add(time.Second))
	_, _ = c.Write([]byte{disconnect, 0})
	_ = c.NetConn().Close()
}

// exchange sends a packet and reads the one that answers it.
func (c *client) exchange(first byte, body []byte, want byte) ([]byte, error) {
	packet := binary.AppendUvarint([]byte{first}, uint64(len(body)))
	if _, err := c.Write(append(packet, body...)); err != nil {
		return nil, err
	}
	got, length, err := c.head()
	if err != nil {
		return nil, err
	}
	answer := make([]byte, length)
	if _, err := io.ReadFull(c.r, answer); err != nil {
		return nil, err
	}
	if got != want {
		return nil, fmt.Errorf("packet %#x answered by %#x % x", first, got, answer)
	}
	return answer, nil
}

// head reads the first byte of a packet and the length of what follows. The
// length is a varint as Go's: 7 bits a byte, the lowest first.
func (c *client) head() (first byte, length int, err error) {
	if first, err = c.r.ReadByte(); err != nil {
		return 0, 0, err
	}
	n, err := binary.ReadUvarint(c.r)
	return first, int(n), err
}

// next is the next packet; body is good until the call after.
func (c *client) next() (first byte, body []byte, err error) {
	first, length, err := c.head()
	if err != nil {
		return 0, nil, err
	}
	if body, err = c.r.Peek(length); err != nil {
		return 0, nil, err
	}
	_, err = c.r.Discard(length)
	return first, body, err
}

// appendPublish appends a PUBLISH to b; id is not written with QoS 0.
func appendPublish(b []byte, topic string, qos byte, id uint16, payload []byte) []byte {
	length := 2 + len(topic) + len(payload)
	if qos > 0 {
		length += 2
	}
	b = append(b, publish|qos<<1)
	b = binary.AppendUvarint(b, uint64(length))
	b = append(b, text(topic)...)
	if qos > 0 {
		b = binary.BigEndian.AppendUint16(b, id)
	}
	return append(b, payload...)
}

// splitPublish takes what follows the head of a PUBLISH apart.
func splitPublish(first byte, body []byte) (id uint16, payload []byte, err error) {
	if len(body) < 2 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	end := 2 + int(binary.BigEndian.Uint16(body))
	if first>>1&3 > 0 {
		end += 2
	}
	if len(body) < end {
		return 0, nil, io.ErrUnexpectedEOF
	}
	if first>>1&3 > 0 {
		id = binary.BigEndian.Uint16(body[end-2:])
	}
	return id, body[end:], nil
}

// text is a string as MQTT writes it.
func text(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}
