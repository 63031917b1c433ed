package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"greengate/core/admin/client"
)

// Page serves people and programs at admin.listen: the live page, /metrics,
// /healthz and /readyz. Everybody who reaches the address may read; who wants to
// act logs in with a token, see login.go.
//
// Register, Check, Collect, Handle and HandleActing come before Run. What they
// bring is called from the goroutines of the HTTP server, several at once.
type Page struct {
	o   PageOptions
	log *slog.Logger

	mux       *http.ServeMux
	snapshots snapshots
	checks    []check
	metrics   scrapes
	viewers   viewers
	sessions  sessions
	tally     tally // of what was turned away
	plain     bool  // on loopback, without TLS

	mu       sync.Mutex
	listener net.Listener // guarded by mu; nil: not open
	fault    error        // guarded by mu: why not
	since    time.Time    // guarded by mu: of the fault
}

// PageOptions are what a Page needs.
type PageOptions struct {
	Listen string // host:port
	// TLS is served where Listen is no loopback address.
	TLS *tls.Config
	// Admit reports whether an address may begin another TLS handshake, which costs
	// processor; optional. It is called from one goroutine, and not on loopback.
	Admit func(net.Conn) bool
	// Token is the file that holds the hash of the token of those who may act; see
	// WriteToken.
	Token string
	// Watch attaches the page to the live messages, while somebody looks.
	Watch Subscribe
	// MaxConns bounds the connections, which take a descriptor each; optional, and at
	// most 128.
	MaxConns int
	Log      *slog.Logger
}

// Bounds of what strangers may take. What they meet there is counted.
const (
	mostConnections = 128              // at a time, half of them from one address
	mostBody        = 64 << 10         // bytes of a request
	mostHeader      = 16 << 10         // bytes
	headTime        = 5 * time.Second  // for the head of a request
	readTime        = 10 * time.Second // for all of it
	writeTime       = 30 * time.Second // for an answer that is no stream
	idleTime        = time.Minute      // of a connection between two requests
	tryAgain        = 30 * time.Second // between attempts to open a port that is taken
)

// NewPage returns a page. It opens nothing.
func NewPage(o PageOptions) *Page {
	p := &Page{o: o, log: o.Log.With("component", "admin"), mux: http.NewServeMux(), plain: loopback(o.Listen)}
	p.tally.counts = map[string]uint64{}
	p.viewers.init(p)
	p.metrics.init(p)
	p.mux.HandleFunc("GET /{$}", p.serveFile)
	p.mux.HandleFunc("GET /metrics", p.metrics.serve)
	p.mux.HandleFunc("GET /healthz", p.healthz)
	p.mux.HandleFunc("GET /readyz", p.readyz)
	p.mux.HandleFunc("GET /api/status", p.status)
	p.mux.HandleFunc("GET /api/events", p.viewers.serve)
	p.mux.HandleFunc("GET /api/session", p.session)
	p.mux.HandleFunc("POST /api/login", p.login)
	p.mux.HandleFunc("POST /api/logout", p.logout)
	return p
}

// Register adds a reporter of the status that the page shows.
func (p *Page) Register(r Reporter) { p.snapshots.reporters = append(p.snapshots.reporters, r) }

// Handle serves requests that match pattern (net/http's form) with h, to everybody:
// h must change nothing.
func (p *Page) Handle(pattern string, h http.Handler) { p.mux.Handle(pattern, h) }

// HandleActing serves requests that match pattern with h, to those who have logged in.
func (p *Page) HandleActing(pattern string, h http.Handler) { p.mux.Handle(pattern, p.acting(h)) }

// Listen opens the port.
func (p *Page) Listen() error {
	l, err := net.Listen("tcp", p.o.Listen)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault = err; err != nil {
		if p.since.IsZero() {
			p.since = time.Now()
		}
		return fmt.Errorf("open the status page at %s: %w", p.o.Listen, plain(err))
	}
	p.since = time.Time{}
	p.listener = l
	return nil
}

// Addr is where the page is served; nil while its port is not open.
func (p *Page) Addr() net.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener == nil {
		return nil
	}
	return p.listener.Addr()
}

// Report tells of the page's own listener.
func (p *Page) Report(s *client.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		scheme := "https"
		if p.plain {
			scheme = "http"
		}
		s.Listeners = append(s.Listeners, client.Address{Service: "admin", Address: p.listener.Addr().String(), Scheme: scheme})
	}
	if p.fault != nil {
		since := p.since
		s.Faults = append(s.Faults, client.Fault{
			Component: "admin", Since: &since,
			Message:  fmt.Sprintf("the status page is not served at %s: %v", p.o.Listen, plain(p.fault)),
			NextStep: `write another address in admin.listen ("" for none), or stop who has this one; it is tried again every 30 seconds`,
		})
	}
}

// Refused is what was turned away since the start, by reason.
func (p *Page) Refused() map[string]uint64 { return p.tally.all() }

// Close closes the port of a page that never ran.
func (p *Page) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		_ = p.listener.Close() // it has been used by nobody, or Run has closed it
		p.listener = nil
	}
}

// Run serves until ctx is cancelled. While the port is taken it tries again.
func (p *Page) Run(ctx context.Context) error {
	defer p.Close()
	for p.Addr() == nil {
		if p.Listen() == nil {
			p.log.Info("The status page is served now", "address", p.o.Listen)
			break
		}
		select {
		case <-time.After(tryAgain):
		case <-ctx.Done():
			return nil
		}
	}
	p.mu.Lock()
	listener := p.listener
	p.mu.Unlock()
	server := p.server(ctx)
	failed := make(chan error, 1)
	go func() { failed <- p.serve(server, listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve status page: %w", err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		return server.Close()
	}
	return nil
}

func (p *Page) server(ctx context.Context) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // a connection is then a request, and the bounds hold for both
	return &http.Server{
		Handler: p.guard(p.mux), Protocols: protocols, TLSConfig: p.o.TLS,
		ReadHeaderTimeout: headTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime, MaxHeaderBytes: mostHeader,
		ErrorLog:    slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx }, // a stream ends when the daemon does
		ConnContext: withConn,
		ConnState:   rest,
	}
}

func (p *Page) serve(s *http.Server, l net.Listener) error {
	most := mostConnections
	if p.o.MaxConns > 0 {
		most = min(most, p.o.MaxConns)
	}
	room := &boundedListener{
		Listener: l, name: "status page", most: most, share: (most + 1) / 2,
		group: fromAddress, tally: &p.tally, log: p.log,
	}
	if p.plain {
		return s.Serve(room)
	}
	if p.o.Admit != nil {
		room.admit = func(nc net.Conn) (reason string) {
			if p.o.Admit(nc) {
				return ""
			}
			return "handshakes"
		}
	}
	return s.ServeTLS(room, "", "")
}

// fromAddress groups connections by the address that they come from. Those of an address
// to itself are of this machine (a proxy, perhaps), which is trusted with all of the page.
func fromAddress(c *boundedConn) (group, who string) {
	host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
	if here, _, _ := net.SplitHostPort(c.LocalAddr().String()); host == here {
		host = ""
	}
	return host, c.RemoteAddr().String()
}

// loopback reports whether nobody but this machine can reach the address.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// errNotLocal is the answer to a name that leads here and is not ours.
var errNotLocal = errors.New("the status page of this machine is asked for under a name that is not of this machine")
