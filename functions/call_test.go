package functions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greengate/core/message"
	"greengate/functions/endpoint"
	"greengate/functions/sandbox"
)

var echo = serve(func(_ *fakeProcess, v *endpoint.Invocation) ([]byte, error) { return v.Payload, nil })

// record is a program that notes the events that it gets, and answers with handle.
type record struct {
	mu     sync.Mutex
	events []string
	ids    []string
}

func (k *record) program(handle func(event string) error) program {
	return serve(func(p *fakeProcess, v *endpoint.Invocation) ([]byte, error) {
		k.mu.Lock()
		k.events = append(k.events, string(v.Payload))
		k.ids = append(k.ids, v.ID)
		k.mu.Unlock()
		return []byte("null"), handle(string(v.Payload))
	})
}

func (k *record) got() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.events)
}

func fine(string) error { return nil }

func TestPutIsAnsweredAndReplied(t *testing.T) {
	var subjects []string
	p := serve(func(_ *fakeProcess, v *endpoint.Invocation) ([]byte, error) {
		subjects = append(subjects, v.Subject)
		return append([]byte("got "), v.Payload...), nil
	})
	r := newRig(t, t.TempDir(), p, Options{}, config("f", pinned, func(c *Config) { c.ReplyTo = "out"; c.Encoding = EncodingBinary })).start()
	buffer := []byte("hello")
	r.put("f", "", func(c *Call) { c.Message.Payload = buffer })
	copy(buffer, "other") // the buffer is its owner's again
	r.want(map[string]int{"done": 1})
	if got, want := r.answers(), []string{"f out got hello"}; !slices.Equal(got, want) {
		t.Errorf("replied %q, want %q", got, want)
	}
	if s := r.stats(); s.Calls != 1 || s.Errors != 0 || s.State != Running || s.Instances != 1 {
		t.Errorf("stats %+v", s)
	}
	r.until("its memory is known", func() bool { return r.stats().Memory == 1000 })
	r.stop()
	if !slices.Equal(subjects, []string{"t/f"}) {
		t.Errorf("subjects %q", subjects)
	}
}

// null says nothing: no reply.
func TestNullIsNotPublished(t *testing.T) {
	r := newRig(t, t.TempDir(), (&record{}).program(fine), Options{}, config("f", func(c *Config) { c.ReplyTo = "out" })).start()
	r.put("f", "1")
	r.want(map[string]int{"done": 1})
	if got := r.answers(); len(got) != 0 {
		t.Errorf("replied %q", got)
	}
}

func TestPutErrors(t *testing.T) {
	r := newRig(t, t.TempDir(), echo, Options{Bounds: Bounds{Payload: 10}}, config("f")).start()
	m := message.Message{Topic: "t", Payload: []byte("12345678901")}
	if err := r.m.Put(Call{Function: "g", Message: &m}); !errors.Is(err, ErrNoFunction) {
		t.Errorf("unknown function: %v", err)
	}
	if err := r.m.Put(Call{Function: "f", Message: &m}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("large payload: %v", err)
	}
	r.stop()
	m.Payload = nil
	if err := r.m.Put(Call{Function: "f", Message: &m}); !errors.Is(err, ErrStopped) {
		t.Errorf("after the end: %v", err)
	}
	if len(r.settled) > 0 {
		t.Errorf("settled %v of calls that were not taken", r.settled)
	}
}

// A pinned function gets its calls in order, also those that fail and come again.
func TestPinnedOrder(t *testing.T) {
	var k record
	failed := map[string]bool{}
	p := k.program(func(event string) error {
		if strings.HasSuffix(event, "5") && !failed[event] {
			failed[event] = true
			return errors.New("once")
		}
		return nil
	})
	r := newRig(t, t.TempDir(), p, Options{Bounds: Bounds{FirstRetry: time.Millisecond}}, config("f", pinned)).start()
	var want []string
	for i := range 100 {
		event := fmt.Sprint(i)
		r.put("f", event)
		want = append(want, event)
		if strings.HasSuffix(event, "5") {
			want = append(want, event)
		}
	}
	r.want(map[string]int{"done": 100})
	if got := k.got(); !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
	if s := r.stats(); s.Retries != 10 || s.Errors != 10 {
		t.Errorf("stats %+v", s)
	}
	if n := r.launcher.starts(); n != 1 {
		t.Errorf("%d instances, want the pinned one", n)
	}
}

// An error of the handler is tried again with the same id, then the call is given up.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k record
		r := newRig(t, t.TempDir(), k.program(func(string) error { return errors.New("no") }), Options{}, config("f")).start()
		r.put("f", "1")
		r.want(map[string]int{"failed function-error": 1})
		if got := k.got(); len(got) != 3 || k.ids[0] != k.ids[1] || k.ids[0] != k.ids[2] {
			t.Errorf("tries %q with ids %q, want 3 with the same", got, k.ids)
		}
		if s := r.stats(); s.Last != "Oops: no" || s.Errors != 3 || s.Retries != 2 || s.State != Running {
			t.Errorf("stats %+v", s)
		}
		r.stop()
	})
}

func TestNotJSONIsNotCalled(t *testing.T) {
	var k record
	r := newRig(t, t.TempDir(), k.program(fine), Options{}, config("f")).start()
	r.put("f", "{")
	r.put("f", "")
	r.want(map[string]int{"failed not-json": 1, "done": 1})
	if got := k.got(); !slices.Equal(got, []string{"{}"}) {
		t.Errorf("events %q, want {} for the empty one", got)
	}
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k record
		var late error
		p := serve(func(p *fakeProcess, v *endpoint.Invocation) ([]byte, error) {
			k.mu.Lock()
			k.events = append(k.events, string(v.Payload))
			k.mu.Unlock()
			if string(v.Payload) == "1" {
				<-p.killed
				late = p.calls.Respond(v.ID, nil, func() {})
				return nil, exitNow(killedExit)
			}
			return nil, nil
		})
		r := newRig(t, t.TempDir(), p, Options{}, config("f", pinned, func(c *Config) { c.Retries = 1; c.Timeout = time.Second })).start()
		begun := time.Now()
		r.put("f", "1")
		r.put("f", "2")
		r.want(map[string]int{"failed function-timeout": 1, "done": 1})
		if took := time.Since(begun); took < 2*time.Second || took > 3*time.Second {
			t.Errorf("two timeouts of 1s took %v", took)
		}
		if got := k.got(); !slices.Equal(got, []string{"1", "1", "2"}) {
			t.Errorf("events %q", got)
		}
		if s := r.stats(); s.Timeouts != 2 || s.Restarts != 2 || !strings.Contains(s.Last, "took longer than 1s") {
			t.Errorf("stats %+v", s)
		}
		if !errors.Is(late, endpoint.ErrLate) {
			t.Errorf("a late answer is %v", late)
		}
		r.stop()
	})
}

// Each call has its whole time, though the timer of an earlier one still runs.
func TestTimeoutOfALaterCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(func(p *fakeProcess, v *endpoint.Invocation) ([]byte, error) {
			if string(v.Payload) == "3" {
				return hang(p)
			}
			time.Sleep(900 * time.Millisecond)
			return nil, nil
		})
		r := newRig(t, t.TempDir(), p, Options{}, config("f", pinned, func(c *Config) { c.Retries = 0; c.Timeout = time.Second })).start()
		begun := time.Now()
		for _, event := range []string{"1", "2", "3"} {
			r.put("f", event)
		}
		r.want(map[string]int{"failed function-timeout": 1, "done": 2})
		if took := time.Since(begun).Round(100 * time.Millisecond); took != 2800*time.Millisecond {
			t.Errorf("0.9s, 0.9s and a timeout of 1s took %v", took)
		}
		r.stop()
	})
}

func TestExitInACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(func(_ *fakeProcess, v *endpoint.Invocation) ([]byte, error) {
			if string(v.Payload) == `"poison"` {
				return nil, exitNow(sandbox.Exit{Code: 1})
			}
			return nil, nil
		})
		r := newRig(t, t.TempDir(), p, Options{}, config("f", func(c *Config) { c.Concurrency = 1 })).start()
		r.put("f", `"poison"`)
		r.put("f", "1")
		r.want(map[string]int{"failed function-exit": 1, "done": 1})
		if s := r.stats(); s.Restarts != 3 || s.Errors != 3 {
			t.Errorf("stats %+v", s)
		}
		if n := r.launcher.starts(); n != 3 {
			t.Errorf("%d instances, want one for each try of the poison, of which one also answers the other", n)
		}
		r.stop()
	})
}

// Requests that are out of order are refused, and hurt nobody.
func TestUnknownIDs(t *testing.T) {
	errs := make(chan error, 10)
	p := func(p *fakeProcess) sandbox.Exit {
		p.calls.Ready()
		errs <- p.calls.Respond("x", nil, func() {})
		v, err := p.calls.Next(context.Background())
		if err != nil {
			return killedExit
		}
		_, err = p.calls.Next(context.Background())
		errs <- err
		errs <- p.calls.Fail("y", endpoint.Failure{Type: "T"})
		errs <- p.calls.Respond(v.ID, []byte("1"), func() {})
		errs <- p.calls.Respond(v.ID, []byte("2"), func() {})
		errs <- p.calls.Fail(v.ID, endpoint.Failure{Type: "T"})
		<-p.killed
		return killedExit
	}
	r := newRig(t, t.TempDir(), p, Options{}, config("f", pinned)).start()
	r.put("f", "1")
	for _, want := range []error{endpoint.ErrUnknown, endpoint.ErrBusy, endpoint.ErrUnknown, nil, endpoint.ErrUnknown, endpoint.ErrUnknown} {
		if err := <-errs; !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	r.want(map[string]int{"done": 1})
	if s := r.stats(); s.Errors != 0 || s.Calls != 1 {
		t.Errorf("stats %+v", s)
	}
}

// A client that asks twice gets its call by the later request; one that goes as a call
// comes loses none.
func TestNextTwice(t *testing.T) {
	first, second := make(chan error, 1), make(chan string, 1)
	p := func(p *fakeProcess) sandbox.Exit {
		p.calls.Ready()
		go func() {
			_, err := p.calls.Next(context.Background())
			first <- err
		}()
		in := p.calls.(*instance)
		for waits := false; !waits; {
			in.f.mu.Lock()
			waits = in.waiter != nil
			in.f.mu.Unlock()
		}
		v, err := p.calls.Next(context.Background())
		if err != nil {
			return killedExit
		}
		second <- string(v.Payload)
		_ = p.calls.Respond(v.ID, nil, func() {})
		<-p.killed
		return killedExit
	}
	r := newRig(t, t.TempDir(), p, Options{}, config("f", pinned)).start()
	if err := <-first; !errors.Is(err, endpoint.ErrBusy) {
		t.Errorf("the first request ends with %v", err)
	}
	r.put("f", "1")
	if got := <-second; got != "1" {
		t.Errorf("the second request gets %q", got)
	}
	r.want(map[string]int{"done": 1})
}

// Clients that go while calls come lose none: each is made once.
func TestClientsThatGo(t *testing.T) {
	var k record
	p := func(p *fakeProcess) sandbox.Exit {
		p.calls.Ready()
		for {
			ctx, cancel := context.WithCancel(context.Background())
			go cancel()
			v, err := p.calls.Next(ctx)
			cancel()
			switch {
			case errors.Is(err, endpoint.ErrClosed):
				return killedExit
			case err != nil:
				continue
			}
			k.mu.Lock()
			k.events = append(k.events, string(v.Payload))
			k.mu.Unlock()
			_ = p.calls.Respond(v.ID, nil, func() {})
		}
	}
	r := newRig(t, t.TempDir(), p, Options{}, config("f", pinned)).start()
	var want []string
	for i := range 500 {
		want = append(want, fmt.Sprint(i))
		r.put("f", fmt.Sprint(i))
	}
	r.want(map[string]int{"done": 500})
	if got := k.got(); !slices.Equal(got, want) {
		t.Errorf("%d events, in order %v", len(got), slices.IsSorted(got))
	}
}

func TestNewID(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := newID()
		if len(id) != 36 || id[14] != '4' || !strings.ContainsRune("89ab", rune(id[19])) || strings.Trim(id, "0123456789abcdef-") != "" || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
	if n := bytes.Count([]byte(newID()), []byte("-")); n != 4 {
		t.Errorf("%d hyphens", n)
	}
}

func TestFailureText(t *testing.T) {
	for _, c := range []struct {
		failure Failure
		want    string
	}{
		{Failure{Type: "T", Message: "m"}, "T: m"},
		{Failure{Type: "T"}, "T"},
		{Failure{Message: "m"}, "m"},
		{Failure{Message: "two\nlines \x1b[2J"}, `two\nlines \x1b[2J`},
		{Failure{Message: strings.Repeat("ü", 2000)}, strings.Repeat("ü", 500) + " [...]"},
	} {
		if got := c.failure.text(); got != c.want {
			t.Errorf("%.20q: %q, want %q", c.failure.Message, got, c.want)
		}
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	if h.quantile(0.5) != 0 {
		t.Error("nothing has a median")
	}
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second} {
		if got := h.quantile(q); got < want || got > want*9/8 {
			t.Errorf("quantile %v: %v, want %v to an eighth more", q, got, want)
		}
	}
	h.add(1000 * time.Hour)
	if h.max != 1000*time.Hour || h.quantile(1) != h.max {
		t.Errorf("max %v, %v", h.max, h.quantile(1))
	}
}
