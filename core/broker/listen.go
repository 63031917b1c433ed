package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"greengate/core/pki"
	"greengate/core/router"
)

// Listen binds all listeners. An error names the address.
func (b *Broker) Listen() error {
	for _, addr := range b.config.Listen {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			b.closeListeners()
			return fmt.Errorf("listen for MQTT: %w", err)
		}
		b.listeners = append(b.listeners, l)
	}
	return nil
}

// Addrs are the addresses of the listeners.
func (b *Broker) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(b.listeners))
	for i, l := range b.listeners {
		addrs[i] = l.Addr()
	}
	return addrs
}

func (b *Broker) closeListeners() {
	for _, l := range b.listeners {
		_ = l.Close()
	}
}

// Run accepts connections until ctx ends, then tells the clients and waits for
// the end of all connections.
func (b *Broker) Run(ctx context.Context) error {
	stopStore := b.startStore()
	defer stopStore()
	b.mu.Lock()
	for _, s := range b.sessions { // of a former process
		s.mu.Lock()
		if s.conn == nil && s.end == nil {
			b.endLater(s)
		}
		s.mu.Unlock()
	}
	b.mu.Unlock()
	var accepting sync.WaitGroup
	for _, l := range b.listeners {
		accepting.Go(func() { b.accept(ctx, l) })
	}
	b.sweep(ctx)
	b.stopping.Store(true)
	b.closeListeners()
	accepting.Wait()
	b.mu.Lock()
	for c := range b.conns {
		c.cut(shuttingDown)
	}
	b.mu.Unlock()
	b.open.Wait()
	return nil
}

// startStore has sessions written to disk until the function that it returns is
// called, which waits for the last of it.
func (b *Broker) startStore() (stop func()) {
	if b.store == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.store.run(ctx, b.believed)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// accept takes connections. When the system has no more descriptors it waits
// and says so once.
func (b *Broker) accept(ctx context.Context, l net.Listener) {
	short := false
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			short = false
			b.ServeConn(tls.Server(newSocket(nc), b.tls))
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default:
			if !short {
				b.log.Error("cannot accept connections; trying on", "addr", l.Addr().String(), "err", err)
			}
			short = true
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
				return
			}
		}
	}
}

// ServeConn serves an accepted TLS connection, whose handshake may have run
// already. It returns at once.
func (b *Broker) ServeConn(nc *tls.Conn) {
	shake, ok := b.shakes.Begin(nc)
	if !ok {
		b.turnedAway("too many handshakes of this address that led to nothing", "too-many-handshakes", nc.RemoteAddr(), nil)
		_ = nc.NetConn().Close()
		return
	}
	c := newConn(b, nc)
	c.shake = shake
	ousted, ok := b.arrivals.enter(c)
	if !ok {
		shake.Void()
		b.crowded(c)
		return
	}
	if ousted != nil {
		ousted.ousted.Store(true)
		b.crowded(ousted)
	}
	b.mu.Lock()
	if b.stopping.Load() {
		b.mu.Unlock()
		b.arrivals.leave(c)
		_ = nc.NetConn().Close()
		return
	}
	if b.maxConns > 0 && len(b.conns) >= b.maxConns {
		tell := time.Since(b.toldFull) >= toldAgain
		if tell {
			b.toldFull = time.Now()
		}
		b.mu.Unlock()
		b.arrivals.leave(c)
		shake.Void()
		b.full(nc, tell)
		return
	}
	b.conns[c] = struct{}{}
	b.open.Add(1)
	b.mu.Unlock()
	go b.serve(c)
}

// crowded closes a connection whose address has too many that are silent.
func (b *Broker) crowded(c *conn) {
	b.turnedAway("too many connections of this address without CONNECT", "too-many-connects", c.RemoteAddr(), nil)
	_ = c.nc.(*tls.Conn).NetConn().Close()
}

// full closes a connection for which there is no descriptor to spare: what is left is the
// gateway's own, for its stores, the cloud and whoever asks how it is.
func (b *Broker) full(nc *tls.Conn, tell bool) {
	b.router.Note(router.Refused, "descriptors")
	if tell {
		b.log.Error("no more connections: the limit of open files leaves clients so many (told once in ten minutes, counted always)",
			"connections", b.maxConns, "addr", hostOf(nc.RemoteAddr()), "next_step", "raise LimitNOFILE= or `ulimit -n`, or find out who takes them: `greengate status`")
	}
	_ = nc.NetConn().Close()
}

// crowding is a fault while clients have all the connections that there are for them.
func (b *Broker) crowding() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.maxConns == 0 || len(b.conns) < b.maxConns {
		return nil
	}
	return []string{fmt.Sprintf("all %d connections that the limit of open files leaves for clients are taken; more are turned away (raise LimitNOFILE= or `ulimit -n`)", b.maxConns)}
}

// serve is the life of a connection. TLS and CONNECT run on this goroutine, whose
// stack grows far and ends with it; the conversation on one of its own, whose stack is
// small and stays.
func (b *Broker) serve(c *conn) {
	if err := c.handshake(); err != nil {
		if !c.ousted.Load() && !c.looked(err) {
			b.turnedAway("TLS handshake failed", "tls", c.RemoteAddr(), err)
		}
		_ = c.nc.Close()
		b.arrivals.leave(c)
		b.forget(c)
		return
	}
	if !b.establish(c) {
		b.part(c)
		return
	}
	go func() {
		c.converse()
		b.part(c)
	}()
}

// looked reports whether a program of this machine has gone in the middle of the handshake
// without a word, as `greengate doctor` does: nobody was turned away.
func (c *conn) looked(err error) bool {
	return errors.Is(err, io.EOF) && hostOf(c.nc.RemoteAddr()) == hostOf(c.nc.LocalAddr())
}

// part is the end of a connection whose handshake went well.
func (b *Broker) part(c *conn) {
	defer b.forget(c)
	c.silence()
	_ = c.Close()
	if c.port != nil {
		c.port.Flush()
	}
	b.arrivals.leave(c)
	if c.sess != nil {
		b.detach(c)
	}
	c.in.release()
	if c.attached {
		b.log.Info("device disconnected", "thing", c.thing, "reason", c.farewell())
	}
}

func (b *Broker) forget(c *conn) {
	b.mu.Lock()
	delete(b.conns, c)
	b.mu.Unlock()
	b.open.Done()
}

// farewell says why the connection ended.
func (c *conn) farewell() string {
	if c.normal {
		return "disconnected"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		return "connection closed"
	}
	return c.cause.Error()
}

// refused counts and tells a client that was turned away at CONNECT.
func (b *Broker) refused(c *conn, why error) {
	reason := router.Reason("certificate")
	var byCertificate *pki.Refusal
	var byConnect refusal
	switch {
	case errors.As(why, &byCertificate):
		reason = router.Reason(byCertificate.Reason)
	case errors.As(why, &byConnect):
		reason = byConnect.reason
	}
	b.turnedAway("client refused", reason, c.RemoteAddr(), why, "thing", c.thing, "client_id", clip(c.head.clientID))
}
