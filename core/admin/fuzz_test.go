package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"greengate/core/admin/client"
)

// FuzzPage asks the page for anything, as a stranger on the network and as one who has
// logged in. It answers with one of few statuses and never with a fault of its own; the
// browser is always told to mistrust; and only who has a session and bears its word acts.
func FuzzPage(f *testing.F) {
	for _, text := range pageSeeds {
		f.Add([]byte(text), false)
		f.Add([]byte(text), true)
	}
	token, hash := NewToken()
	file := filepath.Join(f.TempDir(), "token")
	if err := os.WriteFile(file, []byte(hash), 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte, loggedIn bool) {
		acted := false
		p := NewPage(PageOptions{
			Listen: "127.0.0.1:0", Token: file, Log: slog.New(slog.DiscardHandler),
			Watch: func(string, func(client.Event)) (func(), error) { return func() {}, nil },
		})
		p.HandleActing("POST /api/act", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			acted = true
			Answer(w, http.StatusOK, struct{}{})
		}))
		cookie, s := p.sessions.open(hash, time.Now())
		if loggedIn { // the input knows what it cannot guess by these words
			raw = bytes.ReplaceAll(raw, []byte("COOKIE"), []byte(cookie))
			raw = bytes.ReplaceAll(raw, []byte("WORD"), []byte(s.forgery))
			raw = bytes.ReplaceAll(raw, []byte("TOKEN"), []byte(token))
		}
		q, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return // net/http refuses it
		}
		if q.URL.Path == "/api/events" { // or else the stream would not end
			ctx, cancel := context.WithCancel(q.Context())
			cancel()
			q = q.WithContext(ctx)
		}
		w := httptest.NewRecorder()
		p.guard(p.mux).ServeHTTP(w, q)
		judgePage(t, q, w)
		if acted && (!loggedIn || q.Header.Get(forgeryHeader) != s.forgery || !strings.Contains(strings.Join(q.Header["Cookie"], ";"), cookie) || !local(q.Host)) {
			t.Errorf("%s acts: %q", q.Host, raw)
		}
	})
}

func judgePage(t *testing.T, q *http.Request, w *httptest.ResponseRecorder) {
	h := w.Header()
	statuses := []int{200, 301, 304, 307, 400, 401, 403, 404, 405, 413, 415, 421, 429}
	if !slices.Contains(statuses, w.Code) {
		t.Errorf("%s %s: %d %s", q.Method, q.URL, w.Code, w.Body)
	}
	if h.Get("X-Frame-Options") != "DENY" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Security-Policy") == "" || h.Get("Cache-Control") == "" {
		t.Errorf("%s %s: the head is %v", q.Method, q.URL, h)
	}
	if strings.HasPrefix(h.Get("Content-Type"), "application/json") && !json.Valid(w.Body.Bytes()) {
		t.Errorf("%s %s: %q is not JSON", q.Method, q.URL, w.Body)
	}
	if to := h.Get("Location"); strings.HasPrefix(to, "//") || strings.Contains(to, "://") {
		t.Errorf("%s %s leads to %s", q.Method, q.URL, to)
	}
}

var pageSeeds = []string{
	"GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n", "GET /metrics HTTP/1.1\r\nHost: [::1]:1\r\n\r\n", "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
	"HEAD /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET /api/status HTTP/1.1\r\nHost: evil.example\r\n\r\n", "GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"GET /api/session HTTP/1.1\r\nHost: localhost\r\nCookie: greengate=COOKIE\r\n\r\n", "POST /api/logout HTTP/1.1\r\nHost: localhost\r\nCookie: a=b; greengate=COOKIE\r\n\r\n",
	"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"token\":\"TOKEN\"}",
	"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json; x=\"y\"\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n\r\n",
	"POST /api/act HTTP/1.1\r\nHost: localhost\r\nCookie: greengate=COOKIE\r\nX-Csrf-Token: WORD\r\n\r\n",
	"POST /api/act HTTP/1.1\r\nHost: localhost\r\nCookie: greengate=COOKIE\r\nX-Csrf-Token: WORD\r\nOrigin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n\r\n",
	"POST /api/act HTTP/1.1\r\nHost: localhost\r\nX-Csrf-Token: WORD\r\n\r\n", "GET //evil.example/..//api HTTP/1.1\r\nHost: localhost\r\n\r\n", "CONNECT localhost:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET http://localhost/api/status?x=%zz HTTP/1.0\r\n\r\n", "PUT / HTTP/1.1\r\nHost: localhost.\r\nContent-Length: 99999999\r\n\r\n",
}
