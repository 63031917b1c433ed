// Package mqtt is a device of the power-cut test: as much of MQTT 3.1.1 over
// mutual TLS as numbered messages with QoS 1 need. It waits for nothing but what
// it is told to wait for, so that a window of publishes is under way.
// testvm/writer and the tests in testvm import it; it imports nothing of ours.
//
// One goroutine may read from a Client while others write.
package mqtt

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Packet is one that came in.
type Packet struct {
	Kind    Kind
	ID      uint16 // 0: a publish with QoS 0
	Topic   string // of a publish, as Payload
	Payload []byte
}

// Kind is the type of a packet, the upper half of its first byte.
type Kind byte

// The packets of MQTT that this client knows.
const (
	connect   Kind = 1
	connack   Kind = 2
	Publish   Kind = 3
	Puback    Kind = 4
	subscribe Kind = 8
	suback    Kind = 9
)

// patience is how long the gateway may take to answer.
const patience = 30 * time.Second

// Credential reads what `greengate device add THING --out folder` wrote.
func Credential(folder, thing string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, thing+".cert.pem"), filepath.Join(folder, thing+".private.key"))
	if err != nil {
		return nil, fmt.Errorf("read the certificate of %s: %w", thing, err)
	}
	root, err := os.ReadFile(filepath.Join(folder, "root-ca.pem"))
	if err != nil {
		return nil, fmt.Errorf("read the group CA: %w", err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(root)
	return config, nil
}

// Client is a connection.
type Client struct {
	conn  net.Conn
	r     *bufio.Reader
	early []raw      // messages that came before a SUBACK
	mu    sync.Mutex // one packet at a time goes out
}

// raw is a packet as it came.
type raw struct {
	first byte
	body  []byte
}

// Dial connects a thing. Its session is to outlive the connection unless clean;
// present tells whether the gateway had one.
func Dial(address string, config *tls.Config, thing string, clean bool) (c *Client, present bool, err error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", address, config)
	if err != nil {
		return nil, false, fmt.Errorf("connect %s: %w", thing, err)
	}
	c = &Client{conn: conn, r: bufio.NewReader(conn)}
	defer func() {
		if err != nil {
			_ = conn.Close()
			err = fmt.Errorf("connect %s: %w", thing, err)
		}
	}()
	flags := byte(0)
	if clean {
		flags = 2
	}
	// Level 4, and no keep-alive.
	if err := c.write(byte(connect)<<4, append([]byte{0, 4, 'M', 'Q', 'T', 'T', 4, flags, 0, 0}, text(thing)...)); err != nil {
		return nil, false, err
	}
	answer, err := c.answer(connack)
	if err != nil {
		return nil, false, err
	}
	if len(answer) != 2 || answer[1] != 0 {
		return nil, false, fmt.Errorf("CONNACK % x", answer)
	}
	return c, answer[0] == 1, nil
}

// Subscribe asks for all that matches filter, with QoS 1. Nothing else may be
// under way.
func (c *Client) Subscribe(filter string) error {
	if err := c.write(byte(subscribe)<<4|2, append(append([]byte{0, 1}, text(filter)...), 1)); err != nil {
		return err
	}
	answer, err := c.answer(suback)
	if err == nil && (len(answer) != 3 || answer[2] != 1) {
		err = fmt.Errorf("SUBACK % x", answer)
	}
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", filter, err)
	}
	return nil
}

// Publish sends a message with QoS 1.
func (c *Client) Publish(topic string, payload []byte, id uint16, retain bool) error {
	first := byte(Publish)<<4 | 2
	if retain {
		first |= 1
	}
	return c.write(first, append(binary.BigEndian.AppendUint16(text(topic), id), payload...))
}

// Ack acknowledges a message.
func (c *Client) Ack(id uint16) error {
	return c.write(byte(Puback)<<4, binary.BigEndian.AppendUint16(nil, id))
}

// Read waits for the next packet.
func (c *Client) Read() (p Packet, err error) {
	_ = c.conn.SetReadDeadline(time.Time{})
	first, body, err := c.next()
	if err != nil {
		return p, err
	}
	p.Kind = Kind(first >> 4)
	short := fmt.Errorf("packet % x % x is cut short", first, body)
	if p.Kind == Publish {
		n := 0
		if len(body) >= 2 {
			n = 2 + int(binary.BigEndian.Uint16(body))
		}
		if n == 0 || len(body) < n {
			return p, short
		}
		p.Topic, body = string(body[2:n]), body[n:]
	}
	if p.Kind == Puback || first&6 != 0 {
		if len(body) < 2 {
			return p, short
		}
		p.ID, body = binary.BigEndian.Uint16(body), body[2:]
	}
	p.Payload = body
	return p, nil
}

// Close ends the connection without a word, as a device that goes out of reach.
// Read then fails.
func (c *Client) Close() error { return c.conn.Close() }

// answer reads a packet that must come now. Messages may come before a SUBACK
// [MQTT-3.8.4-3]; they wait for Read.
func (c *Client) answer(want Kind) ([]byte, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		first, body, err := c.packet()
		switch {
		case err != nil:
			return nil, err
		case Kind(first>>4) == want:
			return body, nil
		case Kind(first>>4) != Publish:
			return nil, fmt.Errorf("the answer is packet %#x, want type %d", first, want)
		}
		c.early = append(c.early, raw{first, body})
	}
}

// next is the next packet for Read.
func (c *Client) next() (first byte, body []byte, err error) {
	if len(c.early) > 0 {
		p := c.early[0]
		c.early = c.early[1:]
		return p.first, p.body, nil
	}
	return c.packet()
}

// packet reads the first byte of a packet, and what follows its length.
func (c *Client) packet() (first byte, body []byte, err error) {
	if first, err = c.r.ReadByte(); err != nil {
		return 0, nil, err
	}
	// The remaining length is a varint as Go's: 7 bits a byte, the lowest first.
	length, err := binary.ReadUvarint(c.r)
	if err != nil {
		return 0, nil, err
	}
	if length > 1<<20 {
		return 0, nil, errors.New("a packet of more than 1 MiB")
	}
	body = make([]byte, length)
	_, err = io.ReadFull(c.r, body)
	return first, body, err
}

func (c *Client) write(first byte, body []byte) error {
	packet := append(binary.AppendUvarint([]byte{first}, uint64(len(body))), body...)
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.conn.Write(packet)
	return err
}

// text is a string as MQTT writes it.
func text(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}
