// Package admin serves the control socket, through which the command line asks
// and commands the running daemon (HTTP/1.1 over a unix socket), and the Page: the
// live page, the metrics and the health at a TCP address. It knows no subsystem:
// each shows itself through the one-method Reporter, and brings its own handlers,
// checks and figures. Of ours it imports core/admin/client, the words of the
// socket; only cmd/greengate and configs import it.
//
// Register and Handle come before Run. Reporters and handlers are called from
// the goroutines of the HTTP server, several at once.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"greengate/core/admin/client"
)

// Reporter writes its own part of the status, and leaves the rest alone.
type Reporter interface {
	Report(*client.Status)
}

// ReporterFunc makes a Reporter of a function.
type ReporterFunc func(*client.Status)

// Report calls f.
func (f ReporterFunc) Report(s *client.Status) { f(s) }

// ErrRunning means that another daemon answers on the socket.
var ErrRunning = errors.New("another daemon is already running here")

// Server is the control socket.
type Server struct {
	socket    string
	log       *slog.Logger
	mux       *http.ServeMux
	reporters []Reporter
	listener  net.Listener
	release   func() // of the listener's short path
	bounds    bounds
	asks      func(net.Conn) (asker, bool) // who opened a connection
	tally     tally                        // of what was turned away
}

// grace is how long an answer under way may take when the daemon stops.
const grace = 2 * time.Second

// New returns a server that will listen on the socket file. It opens nothing.
func New(socket string, log *slog.Logger) *Server {
	s := &Server{socket: socket, log: log.With("component", "admin"), mux: http.NewServeMux(), bounds: socketBounds, asks: askerOf}
	s.tally.counts = map[string]uint64{}
	s.mux.HandleFunc("GET /v1/status", s.status)
	return s
}

// Register adds a reporter. They are asked in the order in which they came.
func (s *Server) Register(r Reporter) { s.reporters = append(s.reporters, r) }

// Handle serves requests that match pattern (net/http's form) with h.
func (s *Server) Handle(pattern string, h http.Handler) { s.mux.Handle(pattern, h) }

// Refused counts the connections and requests that were turned away, by reason.
func (s *Server) Refused() map[string]uint64 { return s.tally.all() }

// ServeHTTP answers a request as the socket does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Listen opens the socket, mode 0660, and replaces one that a dead daemon left
// behind. The error is ErrRunning when a live one answers there. The socket of
// a Server that never runs is closed by the end of the process.
func (s *Server) Listen() error {
	path, release, err := client.ShortPath(s.socket)
	if err != nil {
		return fmt.Errorf("open control socket: %w", err)
	}
	l, err := listen(path)
	if err != nil {
		release()
		return fmt.Errorf("open control socket %s: %w", s.socket, plain(err))
	}
	s.listener, s.release = l, release
	return nil
}

func listen(path string) (net.Listener, error) {
	if err := clear(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// clear removes a socket file that no one listens on. Anything else that bears
// the name is left alone.
func clear(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("a file of that name is in the way, and it is no socket")
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		_ = conn.Close()
		return ErrRunning
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// plain takes the short path, which tells a person nothing, out of an error.
func plain(err error) error {
	var op *net.OpError
	var path *fs.PathError
	switch {
	case errors.As(err, &op):
		return op.Err
	case errors.As(err, &path):
		return path.Err
	}
	return err
}

// Run serves until ctx is cancelled, and removes the socket. It listens first
// if Listen has not been called.
func (s *Server) Run(ctx context.Context) error {
	if s.listener == nil {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	defer s.release()
	server := &http.Server{
		Handler:           s.timed(s),
		ReadHeaderTimeout: s.bounds.head,
		IdleTimeout:       s.bounds.idle,
		MaxHeaderBytes:    mostSocketHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		// A watch ends when the daemon does, not when its reader goes.
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnContext: withConn,
		ConnState:   rest,
	}
	room := &boundedListener{
		Listener: s.listener, name: "control socket", most: s.bounds.most, share: s.bounds.most - s.bounds.kept,
		group: s.group, tally: &s.tally, log: s.log,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(room) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve control socket: %w", err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		return server.Close()
	}
	return nil
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	var status client.Status
	s.Report(&status)
	Answer(w, http.StatusOK, status)
}

// Report writes the parts of all reporters.
func (s *Server) Report(status *client.Status) {
	for _, r := range s.reporters {
		r.Report(status)
	}
}

// Answer writes v as JSON.
func Answer(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		// Only a type that has no JSON form comes here, and that is our fault.
		code, body = http.StatusInternalServerError, []byte(`{"error":"the answer has no JSON form"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // a caller who has gone needs no answer
}

// Refuse writes an answer that the client gives its caller as a
// *client.Refusal.
func Refuse(w http.ResponseWriter, code int, err error) {
	Answer(w, code, client.Failure{Error: err.Error()})
}
