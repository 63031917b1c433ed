package admin

import (
	"errors"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"
)

// guard is what every request passes: headers that keep the browser of a person
// from being turned against the gateway, and bounds.
func (p *Page) guard(next http.Handler) http.Handler {
	// Requests that change something and come from another site's page.
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.refuse(w, http.StatusForbidden, "cross-origin", errors.New("the request comes from the page of another site"))
	}))
	next = cross.Handler(next)
	return http.HandlerFunc(func(plain http.ResponseWriter, r *http.Request) {
		begin(r)
		w := &answerWriter{ResponseWriter: plain, tally: &p.tally}
		h := w.Header()
		h.Set("Content-Security-Policy", file().policy)
		h.Set("X-Frame-Options", "DENY")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		// A name of a stranger's that leads to this machine would make his page one
		// of the same origin (DNS rebinding). With TLS the certificate stands against it.
		if p.plain && !local(r.Host) {
			p.refuse(w, http.StatusMisdirectedRequest, "host", errNotLocal)
			return
		}
		if r.ContentLength > mostBody {
			p.refuse(w, http.StatusRequestEntityTooLarge, "body", errors.New("the request is too large"))
			return
		}
		r.Body = http.MaxBytesReader(plain, r.Body, mostBody) // it closes the connection of one who sends more
		next.ServeHTTP(w, r)
	})
}

// local reports whether host, with or without a port, names this machine.
func local(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	} else if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
		name = host[1 : len(host)-1]
	}
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

// refuse answers and counts.
func (p *Page) refuse(w http.ResponseWriter, code int, reason string, err error) {
	if a, ok := w.(*answerWriter); ok {
		a.told = true
	}
	p.tally.count(reason)
	if code == http.StatusServiceUnavailable {
		w.Header().Set("Connection", "close") // what is full is not to be held by those who wait
	}
	Refuse(w, code, err)
}

// answerWriter counts by their code the requests that a handler turns away: of a path that
// is not there, of a method that it has not, of a body that makes no sense.
type answerWriter struct {
	http.ResponseWriter
	tally *tally
	told  bool // by another reason, or by this one
}

// WriteHeader counts.
func (w *answerWriter) WriteHeader(code int) {
	if code/100 == 4 && !w.told {
		w.told = true
		w.tally.count("http-" + strconv.Itoa(code))
	}
	w.ResponseWriter.WriteHeader(code)
}

// Unwrap is for the deadlines of streams.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// tally counts what was turned away, by a fixed set of reasons.
type tally struct {
	mu     sync.Mutex
	counts map[string]uint64 // guarded by mu
}

func (t *tally) count(reason string) {
	t.mu.Lock()
	t.counts[reason]++
	t.mu.Unlock()
}

func (t *tally) all() map[string]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.counts)
}
