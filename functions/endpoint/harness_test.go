package endpoint_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/functions/endpoint"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// calls are Calls of a test: what is sent to next is called, and what comes of it
// is told to ends.
type calls struct {
	next  chan *endpoint.Invocation
	ends  chan end
	ready chan struct{}
	init  chan endpoint.Failure
	left  chan struct{} // told when a client has gone that asked
	wrong error         // what Next answers, if it is not nil
	late  error         // what Respond and Fail answer

	mu    sync.Mutex
	alive map[string]bool
}

// end is how a call, by its id, ended.
type end struct {
	id      string
	body    string
	failure *endpoint.Failure
}

func newCalls() *calls {
	return &calls{next: make(chan *endpoint.Invocation), ends: make(chan end, 100), ready: make(chan struct{}, 100),
		init: make(chan endpoint.Failure, 100), left: make(chan struct{}, 100), alive: map[string]bool{}}
}

func (c *calls) Next(ctx context.Context) (*endpoint.Invocation, error) {
	if c.wrong != nil {
		return nil, c.wrong
	}
	select {
	case i := <-c.next:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.alive[i.ID] = true
		return i, nil
	case <-ctx.Done():
		c.left <- struct{}{}
		return nil, ctx.Err()
	}
}

func (c *calls) settle(e end, taken func()) error {
	if c.late != nil {
		return c.late
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.alive[e.id] {
		return endpoint.ErrUnknown
	}
	delete(c.alive, e.id)
	taken()
	c.ends <- e
	return nil
}

func (c *calls) Respond(id string, body []byte, taken func()) error {
	return c.settle(end{id: id, body: string(body)}, taken)
}

func (c *calls) Fail(id string, f endpoint.Failure) error {
	return c.settle(end{id: id, failure: &f}, func() {})
}

func (c *calls) InitFailed(f endpoint.Failure) { c.init <- f }
func (c *calls) Ready()                        { c.ready <- struct{}{} }

// call calls the function and returns how it ended.
func (c *calls) call(t *testing.T, i endpoint.Invocation) end {
	t.Helper()
	if i.Deadline.IsZero() {
		i.Deadline = time.Now().Add(patience)
	}
	select {
	case c.next <- &i:
	case <-time.After(patience):
		t.Fatal("nobody asks for a call")
	}
	return wait(t, c.ends, "an answer")
}

// wait waits for what must come.
func wait[T any](t *testing.T, from <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatalf("there is no %s", what)
	}
	return v
}

// house is an endpoint that runs, and what it tells.
type house struct {
	*endpoint.Endpoint
	calls *calls
	log   *buffer
	mu    sync.Mutex
	notes []string
}

// open opens an endpoint for the test's own process and its children. Set is
// called before it runs.
func open(t testing.TB, change func(*endpoint.Options), set ...func(*endpoint.Endpoint)) *house {
	t.Helper()
	h := &house{calls: newCalls(), log: new(buffer)}
	o := endpoint.Options{
		Function: "car", Handler: "index.handler", Dir: t.TempDir(), Memory: 64 << 20, Timeout: 3 * time.Second,
		Calls: h.calls,
		Owns:  func(int) bool { return true },
		Note:  h.note,
		Log:   slog.New(slog.NewTextHandler(h.log, nil)),
	}
	if change != nil {
		change(&o)
	}
	e, err := endpoint.New(o)
	if err != nil {
		t.Fatal(err)
	}
	h.Endpoint = e
	for _, s := range set {
		s(e)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ran:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run does not return")
		}
	})
	return h
}

func (h *house) note(reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notes = append(h.notes, reason)
}

// noted fails the test unless these reasons, and no others, were told, and each
// of them logged once.
func (h *house) noted(t *testing.T, want ...string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.notes, want) {
		t.Errorf("noted %q, want %q", h.notes, want)
	}
	text := h.log.String()
	for _, reason := range want {
		if n := strings.Count(text, "reason="+reason); n != 1 {
			t.Errorf("%s is logged %d times: %s", reason, n, text)
		}
	}
}

// env is the environment of the instance with what programs of a test need
// besides.
func (h *house) env(more ...string) []string {
	env := append(h.Env(), "PATH="+os.Getenv("PATH"), "HOME="+os.Getenv("HOME"), "PYTHONDONTWRITEBYTECODE=1")
	return append(env, more...)
}

// variable is one of the environment.
func (h *house) variable(t testing.TB, name string) string {
	t.Helper()
	for _, line := range h.Env() {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return value
		}
	}
	t.Fatalf("%s is not in the environment", name)
	return ""
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
