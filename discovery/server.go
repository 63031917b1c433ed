package discovery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"greengate/core/pki"
)

// Identifier tells things by their certificates.
type Identifier interface {
	// Identify returns the thing that the client with this chain (leaf first)
	// is, or why it is none.
	Identify(certs []*x509.Certificate) (thing string, err error)
	// Used is told that thing has worked with cert, so that an older
	// certificate of a renewed thing can be retired.
	Used(thing string, cert *x509.Certificate)
}

// Options is what a Server is made of. All fields but MQTTAddrs, Data, Handshakes and MaxConns are
// needed.
type Options struct {
	Config     Config
	Group      string        // GGGroupId of every answer
	CoreARN    string        // thingArn of the core
	RootPEM    func() []byte // the group's CA, PEM
	MQTTPort   int           // 1..65535, the port of every connectivity entry
	TLS        *tls.Config   // server certificate; GetConfigForClient and NextProtos are replaced, a client certificate is always asked for
	Identities Identifier

	// MQTT takes over a connection whose client chose MQTT by ALPN. The
	// handshake has run. It is called in a goroutine of its own for which Run
	// does not wait, since the connection is from then on its receiver's to
	// close.
	MQTT func(*tls.Conn)

	// MQTTAddrs are the addresses on which the broker listens; they say where
	// _secure-mqtt._tcp is announced. Nil: wherever discovery listens.
	MQTTAddrs func() []net.Addr

	// Data serves every path that is not discovery's; nil answers them with
	// 404. Its requests come from known things only (ThingFrom). What it writes
	// is kept in memory and goes out when it returns; its ResponseWriter has a
	// method WhenSent(f func()), which has f called when that is over.
	Data http.Handler

	// Handshakes bounds what clients cost before they are known; optional.
	Handshakes *pki.Handshakes

	// MaxConns bounds the connections of each listener that are not MQTT, which take a
	// descriptor each; optional, and at most 256.
	MaxConns int

	Log *slog.Logger
}

// limits bound what one client, and all together, can hold.
type limits struct {
	handshake time.Duration // for the TLS handshake
	header    time.Duration // from the first byte of a request to the end of its head, and for the first byte of the first one
	body      time.Duration // from the end of the head to the end of the body
	idle      time.Duration // between two requests of a connection
	write     time.Duration // for one answer
	shutdown  time.Duration // for requests at work when Run's context ends
	conns     int           // connections per listener that are not MQTT; more wait in the kernel's queue
	newcomers int           // connections per address that have not sent their first request; more are closed
	ofThing   int           // connections of one thing that have; the next is answered and closed
	ofAddress int           // the same of one address with several things
	crowded   time.Duration // for the first request, when others wait for a place
	headSize  int64         // bytes of a request head
}

var defaultLimits = limits{
	handshake: 10 * time.Second,
	header:    10 * time.Second,
	body:      30 * time.Second,
	idle:      60 * time.Second,
	write:     10 * time.Second,
	shutdown:  5 * time.Second,
	conns:     256,
	newcomers: 64,
	ofThing:   64,
	ofAddress: 128,
	crowded:   2 * time.Second,
	headSize:  16 << 10,
}

// Server is the discovery service of one group.
type Server struct {
	o         Options
	limits    limits
	tls       *tls.Config
	hosts     atomic.Pointer[[]string]
	announcer *announcer
	stats     *tally
	newcomers *newcomers
	shares    *shares
	log       *slog.Logger

	mu        sync.Mutex // guards listeners
	listeners []net.Listener
}

// New returns a Server that does not listen yet. An error names the option that
// is missing.
func New(o Options) (*Server, error) {
	switch {
	case len(o.Config.Listen) == 0:
		return nil, errors.New("discovery needs an address to listen on")
	case o.TLS == nil, o.Identities == nil, o.RootPEM == nil, o.MQTT == nil, o.Log == nil:
		return nil, errors.New("discovery needs TLS, Identities, RootPEM, MQTT and Log")
	case o.MQTTPort < 1 || o.MQTTPort > 65535:
		return nil, fmt.Errorf("discovery cannot advertise the MQTT port %d (1 to 65535)", o.MQTTPort)
	}
	log := o.Log.With("component", "discovery")
	bounds := defaultLimits
	if o.MaxConns > 0 {
		bounds.conns = min(bounds.conns, o.MaxConns)
		bounds.ofThing, bounds.ofAddress = max(2, bounds.conns/4), max(2, bounds.conns/2)
	}
	s := &Server{o: o, limits: bounds, tls: serverTLS(o.TLS), stats: newTally(log), newcomers: newNewcomers(), shares: newShares(), log: log}
	s.announcer = newAnnouncer(announcement{group: o.Group, core: o.CoreARN}, log)
	s.Update(o.Config)
	return s, nil
}

// Update takes up Hosts and Announce of a group file that was read again.
// Listen stays as it is until the next start.
func (s *Server) Update(c Config) {
	hosts := slices.Clone(c.Hosts)
	s.hosts.Store(&hosts)
	s.announcer.enable(c.Announce)
}

// Listen binds every address of the configuration, or none: the error names the
// one that cannot be had. A second call does nothing.
func (s *Server) Listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listeners != nil {
		return nil
	}
	var bound []net.Listener
	for _, addr := range s.o.Config.Listen {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			closeAll(bound)
			return fmt.Errorf("listen for discovery on %s: %w", addr, err)
		}
		bound = append(bound, l)
	}
	s.listeners = bound
	return nil
}

// Addrs are the addresses that Listen has bound, in the order of the
// configuration.
func (s *Server) Addrs() []net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	addrs := make([]net.Addr, len(s.listeners))
	for i, l := range s.listeners {
		addrs[i] = l.Addr()
	}
	return addrs
}

// Close gives back what Listen has bound, for a start that fails before Run.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	closeAll(s.listeners)
}

// Run serves until ctx ends: then it accepts nothing new, lets requests at work
// finish for 5 s, and cuts what is left. It returns an error only when it could
// not listen.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return err
	}
	// ctx ends waiting (for connections, handshakes, next requests); hard ends
	// work.
	hard, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var work sync.WaitGroup
	for _, l := range s.listeners {
		work.Go(func() { s.accept(ctx, hard, l) })
		s.log.Info("discovery listens", "address", l.Addr().String())
	}
	work.Go(func() { s.announcer.run(ctx, s.Addrs(), s.mqttAddrs) })

	<-ctx.Done()
	late := time.AfterFunc(s.limits.shutdown, cut)
	defer late.Stop()
	work.Wait()
	return nil
}

// mqttAddrs are the addresses of the broker as far as they are known.
func (s *Server) mqttAddrs() []net.Addr {
	if s.o.MQTTAddrs != nil {
		return s.o.MQTTAddrs()
	}
	addrs := s.Addrs()
	for i, a := range addrs {
		if tcp, ok := a.(*net.TCPAddr); ok {
			addrs[i] = &net.TCPAddr{IP: tcp.IP, Zone: tcp.Zone, Port: s.o.MQTTPort}
		}
	}
	return addrs
}

func closeAll(ls []net.Listener) {
	for _, l := range ls {
		l.Close()
	}
}
