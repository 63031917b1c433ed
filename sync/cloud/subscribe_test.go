package cloud

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/sync/cloud/cloudtest"
)

// wishes are subscriptions that a test changes.
type wishes struct {
	mu  sync.Mutex
	all []Subscription
}

func (s *wishes) set(filters ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = nil
	for _, f := range filters {
		s.all = append(s.all, Subscription{f, 1})
	}
}

func (s *wishes) get() []Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// inbox keeps what came down.
type inbox struct {
	mu  sync.Mutex
	all []string
}

func (in *inbox) receive(p *Publish, ack func()) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.all = append(in.all, p.Topic+" "+string(p.Payload))
	ack()
}

func (in *inbox) got() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.all)
}

func (w *world) publish(topic, payload string) {
	w.Helper()
	if err := w.cloud.Publish(topic, []byte(payload), 1, false); err != nil {
		w.Fatal(err)
	}
}

// filters are what the cloud has of the gateway's subscriptions.
func (w *world) filters() []string {
	for _, c := range w.cloud.Status().Clients {
		if c.ID == "gw" {
			return slices.Sorted(slices.Values(c.Filters))
		}
	}
	return nil
}

func TestSubscriptions(t *testing.T) {
	versions(t, func(t *testing.T, version int) {
		var s wishes
		var in inbox
		s.set("cmd/+/go", "$aws/things/+/shadow/name/+/update/delta", "a/#")
		inWorld(t, cloudtest.Options{}, func(o *Options) { o.Version, o.Subscriptions, o.Receive = version, s.get, in.receive }, func(w *world) {
			w.publish("cmd/x/go", "1")
			w.publish("cmd/x/stop", "2")
			w.publish("$aws/things/T/shadow/name/N/update/delta", "3")
			w.publish("a/b/c", "4")
			want := []string{"cmd/x/go 1", "$aws/things/T/shadow/name/N/update/delta 3", "a/b/c 4"}
			w.within(time.Second, "received", func() bool { return slices.Equal(in.got(), want) })

			s.set("a/#", "new")
			w.link.Refresh()
			w.within(time.Second, "refreshed", func() bool { return slices.Equal(w.filters(), []string{"a/#", "new"}) })
			if s := w.link.Status(); !s.Connected || s.LastError != "" {
				t.Errorf("a refresh cost the connection: %+v", s)
			}

			// What changed while the link was down is put right in the session.
			w.cloud.Change(func(f *cloudtest.Faults) { f.Refuse = true })
			w.loses(time.Second, func() { w.cloud.Cut("", true) })
			s.set("new")
			w.publish("new", "while away")
			w.cloud.Heal()
			w.connected(5 * time.Minute)
			w.within(time.Second, "what came meanwhile", func() bool { return slices.Contains(in.got(), "new while away") })
			if got := w.filters(); !slices.Equal(got, []string{"new"}) || !w.link.Status().Session {
				t.Errorf("filters %q, status %+v", got, w.link.Status())
			}
		})
	})
}

func many(n int, prefix string) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("%s/%02d/#", prefix, i))
	}
	return all
}

func TestTooManySubscriptions(t *testing.T) {
	var s wishes
	s.set(append(many(52, "f"), "f/00/#", "f/01/#", "1/2/3/4/5/6/7/8/+", "a#")...)
	inWorld(t, cloudtest.Options{}, func(o *Options) { o.Subscriptions = s.get }, func(w *world) {
		if got := w.filters(); !slices.Equal(got, many(50, "f")) {
			t.Errorf("%d filters: %q", len(got), got)
		}
		faults := w.link.Faults()
		for _, text := range []string{`"f/50/#": AWS allows 50`, `"f/51/#": AWS allows 50`, "AWS allows 7 slashes", `"a#"`} {
			if !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, text) }) {
				t.Errorf("no fault tells of %s", text)
			}
		}
		if len(faults) != 4 {
			t.Errorf("faults %q", faults)
		}
		s.set("f/00/#")
		w.link.Refresh()
		w.within(time.Second, "no fault", func() bool { return len(w.link.Faults()) == 0 })
	})
}

// Subscriptions of an earlier run may fill the session: it is given up.
func TestLeftovers(t *testing.T) {
	var s wishes
	s.set(many(50, "old")...)
	inWorld(t, cloudtest.Options{}, func(o *Options) { o.Subscriptions = s.get }, func(w *world) {
		s.set(many(50, "new")...)
		w.link.subscribed = map[string]byte{} // as after a restart; Run is at rest
		w.loses(time.Second, func() { w.cloud.Cut("", false) })
		w.within(time.Minute, "subscribed", func() bool { return slices.Equal(w.filters(), many(50, "new")) })
		w.connected(time.Second)
		if f := w.link.Faults(); len(f) > 0 || w.link.Status().Session {
			t.Errorf("faults %q, status %+v", f, w.link.Status())
		}
		if v := w.cloud.Violations(); len(v) == 0 {
			t.Error("the session was not full")
		}
		w.pardon = []string{"subscriptions"}
	})
}

// A filter that the policy refuses is a fault; all others work, in 3.1.1 too,
// where AWS answers with a cut.
func TestRefusedSubscription(t *testing.T) {
	versions(t, func(t *testing.T, version int) {
		var s wishes
		var in inbox
		s.set(append(many(10, "f"), "secret/#", "last")...)
		inWorld(t, cloudtest.Options{}, func(o *Options) { o.Version, o.Subscriptions, o.Receive = version, s.get, in.receive }, func(w *world) {
			w.cloud.SetPolicy("gw", cloudtest.Policy{DenySubscribe: []string{"secret/#"}})
			w.loses(time.Minute, func() { w.cloud.ForgetSession("gw") })
			w.connected(5 * time.Minute)
			w.publish("last", "1")
			w.publish("f/09/x", "2")
			w.within(time.Second, "received", func() bool { return len(in.got()) == 2 })
			if f := w.link.Faults(); len(f) != 1 || !strings.Contains(f[0], `the cloud refused the subscription "secret/#"`) {
				t.Errorf("faults %q", f)
			}
			w.cloud.SetPolicy("gw", cloudtest.Policy{})
			w.link.Refresh()
			w.within(time.Second, "put right", func() bool { return len(w.link.Faults()) == 0 && len(w.filters()) == 12 })
			w.pardon = []string{"policy"}
		})
	})
}

// Nothing is sent before the subscriptions stand.
func TestSubscribedBeforeConnected(t *testing.T) {
	var s wishes
	s.set(many(50, "f")...)
	inWorld(t, cloudtest.Options{}, func(o *Options) { o.Subscriptions = s.get }, func(w *world) {
		w.cloud.Change(func(f *cloudtest.Faults) { f.Latency = 300 * time.Millisecond })
		for range 3 {
			w.loses(time.Second, func() { w.cloud.Cut("", true) })
			w.cloud.ForgetSession("gw")
			for !w.link.Connected() {
				changed := w.link.Changed()
				if !w.link.Connected() {
					<-changed
				}
			}
			if n := len(w.filters()); n != 50 {
				t.Errorf("connected with %d subscriptions", n)
			}
			<-time.After(2 * time.Second)
		}
	})
}
