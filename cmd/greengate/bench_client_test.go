package main_test

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// A client of the load speaks just enough MQTT 3.1.1. It must cost little: on
// two cores it shares the machine with the server that is measured.

// First bytes of the packets that the load knows.
const (
	connect   = 0x10
	connack   = 0x20
	publish   = 0x30 // with QoS 0
	puback    = 0x40
	subscribe = 0x82
	suback    = 0x90
)

// loadClient is a connected client.
type loadClient struct {
	*tls.Conn
	r *bufio.Reader
}

// dialLoad connects a client over mutual TLS; a server that does not answer
// within patience is an error.
func dialLoad(address string, config *tls.Config, id string) (*loadClient, error) {
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		return nil, err
	}
	c := &loadClient{Conn: conn, r: bufio.NewReaderSize(conn, 64<<10)}
	_ = conn.SetDeadline(time.Now().Add(patience))
	// Level 4, clean session, no keep-alive: a client that never reads must not
	// be cut off for it before its queue is full.
	hello := append([]byte("\x00\x04MQTT\x04\x02\x00\x00"), text(id)...)
	answer, err := c.exchange(connect, hello, connack)
	if err == nil && (len(answer) != 2 || answer[1] != 0) {
		err = fmt.Errorf("%s is refused: CONNACK % x", id, answer)
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("connect %s: %w", id, err)
	}
	return c, conn.SetDeadline(time.Time{})
}

// subscribe asks for all that matches filter.
func (c *loadClient) subscribe(filter string, qos byte) error {
	body := append([]byte{0, 1}, text(filter)...)
	answer, err := c.exchange(subscribe, append(body, qos), suback)
	if err == nil && (len(answer) != 3 || answer[2] != qos) {
		err = fmt.Errorf("SUBACK % x", answer)
	}
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", filter, err)
	}
	return nil
}

// exchange sends a packet and reads the one that answers it.
func (c *loadClient) exchange(first byte, body []byte, want byte) (answer []byte, err error) {
	packet := binary.AppendUvarint([]byte{first}, uint64(len(body)))
	if _, err := c.Write(append(packet, body...)); err != nil {
		return nil, err
	}
	got, length, err := c.head()
	if err != nil {
		return nil, err
	}
	answer = make([]byte, length)
	if _, err := io.ReadFull(c.r, answer); err != nil {
		return nil, err
	}
	if got != want {
		return nil, fmt.Errorf("answer to packet %#x is %#x % x", first, got, answer)
	}
	return answer, nil
}

// head reads the first byte of a packet and the length of what follows.
func (c *loadClient) head() (first byte, length int, err error) {
	if first, err = c.r.ReadByte(); err != nil {
		return 0, 0, err
	}
	// The remaining length is a varint as Go's: 7 bits a byte, the lowest first.
	n, err := binary.ReadUvarint(c.r)
	return first, int(n), err
}

// appendPublish appends a PUBLISH to b; id is not written with QoS 0.
func appendPublish(b []byte, topic string, qos byte, id uint16, payload []byte) []byte {
	length := 2 + len(topic) + len(payload)
	if qos > 0 {
		length += 2
	}
	b = append(b, publish|qos<<1)
	b = binary.AppendUvarint(b, uint64(length))
	b = binary.BigEndian.AppendUint16(b, uint16(len(topic)))
	b = append(b, topic...)
	if qos > 0 {
		b = binary.BigEndian.AppendUint16(b, id)
	}
	return append(b, payload...)
}

// text is a string as MQTT writes it.
func text(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}
