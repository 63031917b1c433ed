package cloud

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"greengate/sync/cloud/cloudtest"
)

// world is a link and the strict cloud, on virtual time.
type world struct {
	*testing.T
	cloud *cloudtest.Cloud
	link  *Link
	pipe  *cloudtest.Pipe
	dials atomic.Int64 // of all links
	// pardon names the rules whose breaches the test itself makes.
	pardon []string
}

// inWorld runs body in a bubble with a cloud and a link that is connected. At the
// end no goroutine may be left and, unless body expects them, no limit of AWS
// may have been broken.
func inWorld(t *testing.T, o cloudtest.Options, edit func(*Options), body func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, pipe: cloudtest.NewPipe()}
		o.Name, o.Listener, o.NoData = endpoint, w.pipe, true
		w.cloud = cloudtest.Start(t, o)
		w.link = w.start(edit)
		w.connected(time.Minute)
		body(w)
		for _, v := range w.cloud.Violations() {
			if !slices.Contains(w.pardon, v.Rule) {
				t.Errorf("AWS's rule %s broken: %s", v.Rule, v.Detail)
			}
		}
	})
}

// start runs one more link until the test ends.
func (w *world) start(edit func(*Options)) *Link {
	w.Helper()
	files, err := w.cloud.Files(w.TempDir(), "gw")
	if err != nil {
		w.Fatal(err)
	}
	o := Options{
		Endpoint: endpoint, Port: 8883, Core: "gw", Certificate: files.Certificate, Key: files.Key, CA: files.CA,
		Rate: DefaultConfig().Rate,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { w.dials.Add(1); return w.pipe.Dial(ctx) },
	}
	if edit != nil {
		edit(&o)
	}
	return run(w.T, o)
}

// within waits for a condition and fails when it takes longer than d.
func (w *world) within(d time.Duration, what string, met func() bool) {
	w.Helper()
	for end := time.Now().Add(d); ; {
		synctest.Wait()
		if met() {
			return
		}
		if !time.Now().Before(end) {
			w.Fatalf("not within %v: %s; status %+v, faults %q", d, what, w.link.Status(), w.link.Faults())
		}
		<-time.After(min(100*time.Millisecond, time.Until(end)))
	}
}

func (w *world) connected(d time.Duration) {
	w.Helper()
	w.within(d, "connected", w.link.Connected)
}

// loses waits until the connection that there was before act has ended; there
// may be the next one already.
func (w *world) loses(d time.Duration, act func()) {
	w.Helper()
	changed := w.link.Changed()
	if !w.link.Connected() {
		w.Fatal("not connected to begin with")
	}
	act()
	select {
	case <-changed:
	case <-time.After(d):
		w.Fatalf("still connected after %v; status %+v", d, w.link.Status())
	}
	synctest.Wait()
}

// outcome counts what done was told of each message.
type outcome struct {
	mu    sync.Mutex
	told  map[string][]error
	order []string
}

func newOutcome() *outcome { return &outcome{told: make(map[string][]error)} }

func (o *outcome) done(name string) func(error) {
	return func(err error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.told[name] = append(o.told[name], err)
		o.order = append(o.order, name)
	}
}

// of returns what was told of a message; it must have been told once.
func (o *outcome) of(tb testing.TB, name string) error {
	tb.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.told[name]) != 1 {
		tb.Errorf("done of %s was called %d times: %v", name, len(o.told[name]), o.told[name])
		return errors.New("not once")
	}
	return o.told[name][0]
}

func (o *outcome) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.order)
}

// send sends name as the payload to topic t.
func (w *world) send(o *outcome, name string) error {
	return w.link.Send(w.Context(), &Publish{Topic: "t", Payload: []byte(name)}, o.done(name))
}

// sendAll sends n messages, all of which must be taken.
func (w *world) sendAll(o *outcome, n int) {
	w.Helper()
	for i := range n {
		if err := w.send(o, fmt.Sprint(i)); err != nil {
			w.Errorf("message %d: %v", i, err)
			return
		}
	}
}

// payloads are those that the cloud took in.
func (w *world) payloads() (all []string) {
	for _, r := range w.cloud.Received() {
		all = append(all, string(r.Payload))
	}
	return all
}
