package endpoint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Bounds of an endpoint.
const (
	// MaxPayload is the longest answer of a function in bytes: AWS's 6 MiB, and
	// the 100 bytes that AWS adds to them.
	MaxPayload = 6<<20 + 100
	// MaxRequest is the longest of all other bodies: twice what the data plane
	// takes, and what AWS takes for an asynchronous call.
	MaxRequest = 256 << 10
	// MaxConnections is how many connections an instance may have. The SDK for
	// JavaScript opens up to 50.
	MaxConnections = 64
	// MaxRate is how many requests an instance may make in a second besides those
	// for its calls; more have to wait. The data plane has lower bounds of its own.
	MaxRate = 1000
)

// Times that a client has.
const (
	headTime = 10 * time.Second // to send the head of a request
	bodyTime = 30 * time.Second // to send its body, and to take an answer; longer where a call may take longer
)

// Options are what an Endpoint is made of. Function, Calls, Owns and Log are
// needed.
type Options struct {
	Function string        // name
	Handler  string        // such as index.handler; may be empty
	Dir      string        // in which the function stands
	Region   string        // default us-east-1
	Account  string        // default 000000000000
	Memory   int64         // bytes
	Timeout  time.Duration // of a call
	Encoding string        // of events: json (default) or binary
	// Environment is what the group file gives the function. It wins over what
	// Env has by default, but not over what is needed to find this endpoint.
	Environment map[string]string
	Shims       string // the folder that WriteShims has filled; "": the function gets none

	Calls Calls
	Home  Home
	// Owns tells whether a process belongs to the instance. It is asked for the
	// processes of the computer, for each new connection.
	Owns func(pid int) bool
	// Note is told the reason of each refusal: a word of a fixed list.
	Note func(reason string)
	Log  *slog.Logger
}

// Endpoint is the door of one instance.
type Endpoint struct {
	o        Options
	refusals *refusals
	keys     keys
	verifier *verifier
	listener *listener
	conns    *conns
	server   *http.Server
	arn      string        // of the function
	patience time.Duration // for a body, either way

	calls *desk    // what is handed out, and the life of the instance
	work  *results // of local calls
	pacer pacer    // of what is no call
}

// New listens on a port of a random loopback address, which other programs
// cannot know. An error names what is missing, or that no port was to be had.
func New(o Options) (*Endpoint, error) {
	if o.Function == "" || o.Calls == nil || o.Owns == nil || o.Log == nil {
		return nil, errors.New("an endpoint needs Function, Calls, Owns and Log")
	}
	if o.Note == nil {
		o.Note = func(string) {}
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.Account == "" {
		o.Account = "000000000000"
	}
	// 127.0.0.0 and 127.255.255.255 cannot be had, and 127.0.0.1 is guessed first.
	host := netip.AddrFrom4([4]byte{127, byte(rand.N(256)), byte(rand.N(256)), byte(2 + rand.N(253))})
	tcp, err := net.Listen("tcp4", netip.AddrPortFrom(host, 0).String())
	if err != nil {
		return nil, fmt.Errorf("listen for function %s: %w", o.Function, err)
	}
	log := o.Log.With("component", "function", "function", o.Function)
	e := &Endpoint{
		o:        o,
		refusals: newRefusals(o.Note, log),
		keys:     newKeys(),
		arn:      arnPrefix(o.Region, o.Account) + o.Function,
		patience: max(bodyTime, o.Timeout+headTime),
		calls:    newDesk(),
		work:     newResults(),
	}
	e.verifier = &verifier{keys: e.keys, now: time.Now}
	e.listener = newListener(tcp, o.Owns, e.refusals)
	e.conns = newConns(e.listener)
	e.server = &http.Server{
		Handler:           e,
		ReadHeaderTimeout: headTime,
		// A client may pause as long as it likes between two calls: a runtime
		// that finds its connection closed ends.
		IdleTimeout: 0,
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelError), // panics, which are faults of ours
	}
	return e, nil
}

// Address returns where the endpoint listens, as host:port.
func (e *Endpoint) Address() string { return e.listener.Addr().String() }

// Run serves until the context ends; then all connections are closed at once.
// It returns nil then, and may be called once.
func (e *Endpoint) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = e.Close() })()
	var handedOver sync.WaitGroup
	defer handedOver.Wait()
	handedOver.Go(func() { _ = e.server.Serve(e.conns) }) // its errors are those of Close
	err := e.server.Serve(entrance{e})
	_ = e.conns.Close()
	if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("serve function %s: %w", e.o.Function, err)
	}
	return nil
}

// entrance has net/http wait for connections, which knows how to go on after an error,
// and serves them directly at first.
type entrance struct{ *Endpoint }

// Accept returns an error only.
func (e entrance) Accept() (net.Conn, error) {
	for {
		conn, err := e.listener.Accept()
		switch {
		case err != nil:
			return nil, err
		case e.conns.add(conn):
			go e.serveDirect(conn)
		default:
			_ = conn.Close()
		}
	}
}

// Addr returns where the endpoint listens.
func (e entrance) Addr() net.Addr { return e.listener.Addr() }

// Close frees the port.
func (e entrance) Close() error { return e.listener.Close() }

// Close frees the port and ends all requests, whether Run was called or not.
func (e *Endpoint) Close() error {
	err := errors.Join(e.server.Close(), e.conns.Close(), e.listener.Close())
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close the endpoint of function %s: %w", e.o.Function, err)
	}
	return nil
}

// ServeHTTP answers a request of the instance.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rest, ok := strings.CutPrefix(r.URL.Path, "/2018-06-01/runtime/"); ok {
		e.runtimeAPI(w, r, rest)
		return
	}
	e.pace(r.Context())
	if rest, ok := strings.CutPrefix(r.URL.Path, "/2016-11-01/functions/"); ok {
		e.localCall(w, r, rest)
	} else {
		e.dataPlane(w, r)
	}
}

// pace keeps an instance that floods its door waiting.
func (e *Endpoint) pace(ctx context.Context) {
	if e.pacer.wait(ctx) {
		e.refusals.refuse(reasonPaced, fmt.Sprintf("slowed a function down to %d requests in a second", MaxRate))
	}
}
