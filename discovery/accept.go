package discovery

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Waits between attempts to accept while the system has no file descriptors or
// memory for another connection.
const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// sendBuffer is how many bytes of answers the kernel keeps for a client that does not take
// them. Left alone it keeps some MiB, of each connection, and we hear of it only then.
const sendBuffer = 128 << 10

// crowdedPause is between two looks for a newcomer that has had its time.
const crowdedPause = 20 * time.Millisecond

// accept serves the connections of l until ctx ends, and returns when the last
// of them is done.
func (s *Server) accept(ctx, hard context.Context, l net.Listener) {
	defer context.AfterFunc(ctx, func() { l.Close() })()
	var conns sync.WaitGroup
	defer conns.Wait()
	slots := make(chan struct{}, s.limits.conns)
	// While more than half of the slots are taken nobody keeps one for a next
	// request: newcomers go before the idle. (One slot is taken by the loop
	// below, for the connection that it waits for.)
	roomy := func() bool { return len(slots)-1 <= cap(slots)/2 }

	var pause time.Duration
	for {
		// A slot first, a connection then: what finds none waits in the
		// kernel's queue and costs us nothing.
		if !s.place(ctx, slots) {
			return
		}
		conn, err := l.Accept()
		if err != nil {
			<-slots
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			if pause == 0 {
				s.log.Error("cannot accept discovery connections", "address", l.Addr().String(), "err", err)
			}
			pause = min(max(2*pause, acceptPauseMin), acceptPauseMax)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
			continue
		}
		if pause > 0 {
			pause = 0
			s.log.Info("accepts discovery connections again", "address", l.Addr().String())
		}
		shake, ok := s.o.Handshakes.Begin(conn)
		if !ok {
			conn.Close()
			<-slots
			s.stats.refuse(refusal{reason: reasonTooOften, remote: conn.RemoteAddr().String(), err: errTooOften})
			continue
		}
		one, ok := s.newcomers.enter(conn, slots, s.limits.newcomers)
		if !ok {
			shake.Void()
			conn.Close()
			<-slots
			s.stats.refuse(refusal{reason: reasonTooMany, remote: conn.RemoteAddr().String(), err: errTooMany})
			continue
		}
		one.shake = shake
		conns.Go(func() {
			defer func() { <-slots }()
			defer one.leave()
			s.serve(ctx, hard, one, roomy)
		})
	}
}

// place takes a place among slots. While there is none, newcomers that have had their
// time make room: silence from many addresses would keep everybody out for as long as a
// handshake may take, over and over. It reports false when ctx has ended.
func (s *Server) place(ctx context.Context, slots chan struct{}) bool {
	for {
		select {
		case slots <- struct{}{}:
			return true
		default:
		}
		if out := s.newcomers.oust(slots, time.Now(), s.limits.crowded); out != nil {
			out.conn.Close()
			s.stats.refuse(refusal{reason: reasonTooMany, remote: out.conn.RemoteAddr().String(), err: errTooMany})
		}
		select {
		case slots <- struct{}{}:
			return true
		case <-time.After(crowdedPause):
		case <-ctx.Done():
			return false
		}
	}
}

// serve runs the handshake of one connection and then, by ALPN, hands it to the
// broker or answers HTTP on it.
func (s *Server) serve(ctx, hard context.Context, one *newcomer, roomy func() bool) {
	raw := one.conn
	conn := tls.Server(raw, s.tls)
	raw.SetDeadline(time.Now().Add(s.limits.handshake))
	if err := conn.HandshakeContext(ctx); err != nil {
		if !one.ousted.Load() { // that is counted already
			s.refuseHandshake(raw, err)
		}
		raw.Close()
		return
	}
	raw.SetDeadline(time.Time{})
	if speaksMQTT(conn.ConnectionState().NegotiatedProtocol) {
		one.leave() // from here on it is the broker that waits, and counts
		one.shake.Void()
		go s.o.MQTT(conn)
		return
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBuffer) // else it is as large as the kernel has it
	}
	var giveBack func() // nil before the first request
	var thing string    // that has a share
	defer func() {
		if giveBack != nil {
			giveBack()
		}
	}()
	asked := func() error {
		if giveBack == nil {
			one.leave()
			giveBack = func() {}
			who, err := s.o.Identities.Identify(conn.ConnectionState().PeerCertificates)
			if err != nil {
				return nil // it is told so, and held no longer
			}
			one.shake.Known(who)
			give, ok := s.shares.take(who, raw.RemoteAddr(), s.limits)
			if !ok {
				s.stats.refuse(refusal{thing: who, reason: reasonShare, remote: raw.RemoteAddr().String(), err: errShare})
				return errShare
			}
			giveBack, thing = give, who
		}
		if thing != "" {
			sleep(ctx, s.shares.pace(thing, time.Now()))
		}
		return nil
	}
	s.converse(ctx, hard, conn, asked, roomy)
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// refuseHandshake records why there is no connection. Who speaks HTTP without
// TLS is told so, as it is mostly a person with a URL.
func (s *Server) refuseHandshake(raw net.Conn, err error) {
	var record tls.RecordHeaderError
	if errors.As(err, &record) && record.Conn != nil && plainHTTP(record.RecordHeader) {
		w := newResponse()
		writeError(w, http.StatusBadRequest, "this port speaks HTTPS; use https:// and a device certificate")
		w.closes = true
		raw.Write(w.encode(http.MethodGet))
		linger(raw)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) {
		return // a port scan, a health check, our own end
	}
	s.stats.refuse(refusal{reason: reasonHandshake, remote: raw.RemoteAddr().String(), err: err})
}

// plainHTTP says whether a would-be TLS record begins like an HTTP request
// line.
func plainHTTP(start [5]byte) bool {
	switch string(start[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "DELET", "OPTIO":
		return true
	}
	return false
}
