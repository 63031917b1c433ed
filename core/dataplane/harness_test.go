package dataplane

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/core/message"
)

// site is a handler whose gate lets `sensor` publish below room/ and use its
// own shadow, and `display` read what is retained.
type site struct {
	*Handler
	t   *testing.T
	api *api // every answer is held to the description

	mu        sync.Mutex // guards all below
	published []*message.Message
	notes     []string
	log       bytes.Buffer
	fault     error // of Publish and of the shadows
}

var sensor = message.DeviceEndpoint("sensor")

func newSite(t *testing.T, change ...func(*Options)) *site {
	t.Helper()
	s := &site{t: t, api: readAPI()}
	o := Options{
		Publish: s.publish, Shadows: fakeShadows{s}, Retained: fakeRetained{},
		Note:   func(reason string) { s.locked(func() { s.notes = append(s.notes, reason) }) },
		Limits: Limits{Rate: 1_000_000}, // the rate has a test of its own
		Log:    slog.New(slog.NewTextHandler(&logWriter{s}, nil)),
	}
	for _, f := range change {
		f(&o)
	}
	var err error
	if s.Handler, err = New(o); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *site) fails(err error) { s.locked(func() { s.fault = err }) }

type logWriter struct{ s *site }

func (w *logWriter) Write(p []byte) (n int, err error) {
	w.s.locked(func() { n, err = w.s.log.Write(p) })
	return n, err
}

func (s *site) publish(_ context.Context, from message.Endpoint, m *message.Message) (allowed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if from != sensor || !strings.HasPrefix(m.Topic, "room/") {
		return false, s.fault
	}
	s.published = append(s.published, m)
	return true, s.fault
}

// last is what was published last.
func (s *site) last() *message.Message {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.published) == 0 {
		s.t.Fatal("nothing was published")
	}
	return s.published[len(s.published)-1]
}

// fakeShadows answers with the request, so that a test sees what came.
type fakeShadows struct{ s *site }

func (f fakeShadows) answer(from message.Endpoint, thing, name string, more any) ([]byte, error) {
	if from.Name != thing {
		return nil, Forbidden()
	}
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if f.s.fault != nil {
		return nil, f.s.fault
	}
	return json.Marshal(map[string]any{"state": map[string]any{"name": name, "request": more}, "version": 1, "timestamp": 2})
}

func (f fakeShadows) Get(_ context.Context, from message.Endpoint, thing, name string) ([]byte, error) {
	return f.answer(from, thing, name, "get")
}

func (f fakeShadows) Update(_ context.Context, from message.Endpoint, thing, name string, request []byte) ([]byte, error) {
	return f.answer(from, thing, name, string(request))
}

func (f fakeShadows) Delete(_ context.Context, from message.Endpoint, thing, name string) ([]byte, error) {
	return f.answer(from, thing, name, "delete")
}

func (f fakeShadows) List(_ context.Context, from message.Endpoint, thing string, size int, token string) ([]byte, error) {
	if _, err := f.answer(from, thing, "", nil); err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"results": []string{}, "nextToken": token, "timestamp": size})
}

// fakeRetained has five messages, room/0 to room/4, for the display alone.
type fakeRetained struct{}

var storedAt = time.UnixMilli(1_700_000_000_123)

func (fakeRetained) kept(n int) Kept {
	return Kept{Stored: storedAt, Message: &message.Message{
		Topic: "room/" + string(rune('0'+n)), Payload: []byte{0, 0xFF}, QoS: 2,
		Properties: &message.Properties{User: []message.UserProperty{{Name: "a", Value: "1"}, {Name: "a", Value: "2"}}},
	}}
}

func (f fakeRetained) List(from message.Endpoint, after string, n int) (list []Kept) {
	for i := range 5 {
		if k := f.kept(i); from.Name == "display" && k.Topic > after && len(list) < n {
			list = append(list, k)
		}
	}
	return list
}

func (f fakeRetained) Get(from message.Endpoint, topic string, use func(Kept) error) error {
	switch {
	case topic != "room/1":
		return NotFound("nothing is retained there")
	case from.Name != "display":
		return Unreadable()
	}
	return use(f.kept(1))
}

// request is one that sensor sends, unless from says otherwise.
type request struct {
	method, target, body string
	from                 string
	header               http.Header
	reader               io.Reader // in place of body
}

// do serves one request, and holds the answer to what is true of every one.
func (s *site) do(r request) (status int, body string, header http.Header) {
	s.t.Helper()
	if r.reader == nil {
		r.reader = strings.NewReader(r.body)
	}
	if r.from == "" {
		r.from = "sensor"
	}
	q := httptest.NewRequest(r.method, "/", r.reader)
	u, err := url.ParseRequestURI(r.target)
	if err != nil {
		s.t.Fatal(err)
	}
	q.URL = u
	if r.header != nil {
		q.Header = r.header
	}
	return s.serve(q, r.from)
}

// serve is do of a request that is made already.
func (s *site) serve(q *http.Request, from string) (status int, body string, header http.Header) {
	s.t.Helper()
	w := httptest.NewRecorder()
	s.Serve(w, q, message.DeviceEndpoint(from))
	status, body, header = w.Code, w.Body.String(), w.Header()
	if len(header.Get("x-amzn-requestid")) != 36 || header.Get("content-type") != "application/json" {
		s.t.Errorf("%s %s: the head is %v", q.Method, q.URL, header)
	}
	if (status != 200) != (header.Get("x-amzn-errortype") != "") {
		s.t.Errorf("%s %s: %d with the error type %q", q.Method, q.URL, status, header.Get("x-amzn-errortype"))
	}
	s.api.hold(s.t, q.Method, q.URL.EscapedPath(), status, body)
	return status, body, header
}
