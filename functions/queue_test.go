package functions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"greengate/functions/endpoint"
)

// gate holds calls back until it is opened.
func gate(k *record) (p program, open func()) {
	wait := make(chan struct{})
	return serve(func(p *fakeProcess, v *endpoint.Invocation) ([]byte, error) {
		select {
		case <-wait:
		case <-p.killed:
			return nil, exitNow(killedExit)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.events = append(k.events, string(v.Payload))
		return nil, nil
	}), func() { close(wait) }
}

func TestQueueFull(t *testing.T) {
	for _, c := range []struct {
		policy string
		size   int64
		want   []string
		reason string
	}{
		{DropOldest, 1000, []string{"0", "4", "5", "6"}, "dropped full-oldest"},
		{DropNewest, 1000, []string{"0", "1", "2", "3"}, "dropped full-newest"},
		{DropOldest, 2, []string{"0", "5", "6"}, "dropped full-oldest"},
		{DropNewest, 2, []string{"0", "1", "2"}, "dropped full-newest"},
	} {
		for _, hard := range []bool{false, true} {
			t.Run(fmt.Sprint(c.policy, c.size, hard), func(t *testing.T) {
				var k record
				p, open := gate(&k)
				r := newRig(t, t.TempDir(), p, Options{}, config("f", pinned, func(cfg *Config) {
					cfg.Queue, cfg.Timeout = Queue{Max: 3, MaxSize: c.size, WhenFull: c.policy}, time.Hour
				})).start()
				stored := make(chan error, 10)
				for i := range 7 {
					r.put("f", fmt.Sprint(i), func(call *Call) {
						call.Durable = hard
						call.Stored = func(err error) { stored <- err }
					})
					if i == 0 {
						r.until("the first runs", func() bool { return r.stats().Running == 1 })
					}
				}
				dropped := 7 - len(c.want)
				r.want(map[string]int{c.reason: dropped})
				if hard {
					for range 7 {
						if err := <-stored; err != nil {
							t.Errorf("stored: %v", err)
						}
					}
				}
				if s := r.stats(); s.Dropped != uint64(dropped) || s.Queued != len(c.want)-1 || s.QueuedBytes != int64(len(c.want)-1) {
					t.Errorf("stats %+v", s)
				}
				if f := r.m.Faults(); len(f) != 1 || !strings.Contains(f[0].Message, "its queue is full") {
					t.Errorf("faults %v", f)
				}
				open()
				r.want(map[string]int{c.reason: dropped, "done": len(c.want)})
				if got := k.got(); !slices.Equal(got, c.want) {
					t.Errorf("calls %q, want %q", got, c.want)
				}
			})
		}
	}
}

// A call that is larger than the queue is taken when it is alone.
func TestLargeCall(t *testing.T) {
	var k record
	r := newRig(t, t.TempDir(), k.program(fine), Options{}, config("f", func(c *Config) { c.Queue.MaxSize = 1 })).start()
	r.put("f", `"long"`)
	r.want(map[string]int{"done": 1})
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k record
		p, open := gate(&k)
		r := newRig(t, t.TempDir(), p, Options{}, config("f", pinned, func(c *Config) { c.Timeout = time.Hour })).start()
		r.put("f", "0")
		r.put("f", "1", func(c *Call) { c.Message.Expires = time.Now().Add(time.Second) })
		r.put("f", "2", func(c *Call) { c.Message.Expires = time.Now().Add(time.Minute) })
		r.put("f", "3", durable, func(c *Call) { c.Message.Expires = time.Now().Add(2 * time.Second) })
		time.Sleep(3 * time.Second)
		if got := fmt.Sprint(r.verdicts()); got != "map[expired ttl:2]" {
			t.Errorf("settled %v", got)
		}
		open()
		r.want(map[string]int{"expired ttl": 2, "done": 2})
		r.stop()
	})
}

func TestInvoke(t *testing.T) {
	p := serve(func(_ *fakeProcess, v *endpoint.Invocation) ([]byte, error) {
		if string(v.Payload) == "0" {
			return nil, errors.New("division by zero")
		}
		return []byte(v.Subject), nil
	})
	r := newRig(t, t.TempDir(), p, Options{}, config("f", func(c *Config) { c.ReplyTo = "out" })).start()
	got, err := r.m.Invoke(context.Background(), "f", []byte("1"), "a/b")
	if err != nil || string(got.Payload) != "a/b" || got.Failure != nil {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = r.m.Invoke(context.Background(), "f", []byte("0"), "a/b")
	if err != nil || got.Failure == nil || got.Failure.Type != "Oops" || got.Failure.Message != "division by zero" {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = r.m.Invoke(context.Background(), "f", []byte("{"), "a/b")
	if err != nil || got.Failure == nil || !strings.Contains(got.Failure.Message, "not JSON") {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := r.m.Invoke(context.Background(), "g", nil, ""); !errors.Is(err, ErrNoFunction) {
		t.Errorf("unknown: %v", err)
	}
	if s := r.stats(); s.Errors != 1 || s.Retries != 0 || len(r.verdicts()) != 0 || len(r.answers()) != 0 {
		t.Errorf("%+v; settled %v, replied %q; want nothing of a call that nobody routed", s, r.verdicts(), r.answers())
	}
}

// A caller that goes takes its call with it, if it still waits.
func TestInvokeGivenUp(t *testing.T) {
	var k record
	p, open := gate(&k)
	r := newRig(t, t.TempDir(), p, Options{}, config("f", pinned)).start()
	r.put("f", "1")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		_, err := r.m.Invoke(ctx, "f", []byte("2"), "")
		ended <- err
	}()
	r.until("it waits", func() bool { return r.stats().Queued == 1 && r.stats().Running == 1 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Invoke: %v", err)
	}
	open()
	r.put("f", "3")
	r.want(map[string]int{"done": 2})
	if got := k.got(); !slices.Equal(got, []string{"1", "3"}) {
		t.Errorf("calls %q", got)
	}
}
