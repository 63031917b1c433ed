package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// serveRelayCommand as the first argument makes this program the relay.
const serveRelayCommand = "serve-relay"

// relayServer is no broker. It answers CONNECT and SUBSCRIBE without a look, and from the
// first PUBLISH on copies all bytes of a connection to whoever subscribed to that
// topic: one read, one write. What it needs is what TLS and the kernel need, for
// messages of QoS 0 from one to one.
type relayServer struct {
	mu          sync.Mutex
	subscribers map[string]net.Conn // by filter
}

// serveRelay runs the relay until ctx ends, with greengate's TLS settings.
func serveRelay(ctx context.Context, address, pki string) error {
	config, err := serverTLS(pki)
	if err != nil {
		return err
	}
	l, err := tls.Listen("tcp", address, config)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	r := &relayServer{subscribers: make(map[string]net.Conn)}
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		go func() {
			defer conn.Close()
			_ = r.serve(conn) // however it ended, the load sees that
		}()
	}
}

func (r *relayServer) serve(conn net.Conn) error {
	c := &client{Conn: conn.(*tls.Conn), r: bufio.NewReaderSize(conn, 32<<10)}
	if first, _, err := c.next(); err != nil || first != connect {
		return errors.Join(err, errors.New("no CONNECT"))
	}
	if _, err := c.Write([]byte{connack, 2, 0, 0}); err != nil {
		return err
	}
	first, err := c.r.Peek(1)
	if err != nil {
		return err
	}
	switch first[0] {
	case subscribe:
		return r.subscribe(c)
	case publish:
		return r.copy(c)
	}
	return fmt.Errorf("packet %#x", first[0])
}

// subscribe enters a subscriber of one filter, and then takes nothing more from it.
func (r *relayServer) subscribe(c *client) error {
	_, body, err := c.next()
	if err != nil || len(body) < 5 {
		return errors.Join(err, io.ErrUnexpectedEOF)
	}
	filter := string(body[4 : len(body)-1])
	r.mu.Lock()
	r.subscribers[filter] = c
	r.mu.Unlock()
	if _, err := c.Write([]byte{suback, 3, body[0], body[1], 0}); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, c.r)
	return err
}

// copy copies what c publishes, from the first packet on.
func (r *relayServer) copy(c *client) error {
	to, err := r.target(c)
	for err == nil {
		var batch []byte
		if _, err = c.r.Peek(1); err != nil {
			return err
		}
		batch, _ = c.r.Peek(c.r.Buffered())
		if _, err = to.Write(batch); err == nil {
			_, err = c.r.Discard(len(batch))
		}
	}
	return err
}

// target is the subscriber of the topic of the first message, which stays unread.
func (r *relayServer) target(c *client) (net.Conn, error) {
	first, err := c.r.Peek(c.r.Buffered())
	if err != nil || len(first) < 8 {
		return nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	at := 2 // after the first byte and a length of one or two bytes
	if first[1]&0x80 != 0 {
		at = 3
	}
	end := at + 2 + int(first[at+1]) // no topic of the load has 256 bytes
	if end > len(first) {
		return nil, io.ErrUnexpectedEOF
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	to, ok := r.subscribers[string(first[at+2:end])]
	if !ok {
		return nil, errors.New("nobody has subscribed")
	}
	return to, nil
}
