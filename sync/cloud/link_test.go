package cloud

import (
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
	"greengate/sync/cloud/cloudtest"
)

func versions(t *testing.T, body func(t *testing.T, version int)) {
	t.Run("MQTT 5", func(t *testing.T) { body(t, MQTT5) })
	t.Run("MQTT 3.1.1", func(t *testing.T) { body(t, MQTT311) })
}

func TestSend(t *testing.T) {
	versions(t, func(t *testing.T, version int) {
		inWorld(t, cloudtest.Options{}, func(o *Options) { o.Version = version }, func(w *world) {
			o := newOutcome()
			w.sendAll(o, 300)
			w.within(time.Minute, "all acknowledged", func() bool { return o.len() == 300 })
			for i := range 300 {
				if err := o.of(t, fmt.Sprint(i)); err != nil {
					t.Errorf("message %d: %v", i, err)
				}
			}
			if got := w.payloads(); !slices.Equal(got, o.order) {
				t.Errorf("the cloud got %v", got)
			}
			if s := w.link.Status(); !s.Connected || s.Unacked != 0 || s.Window != 100 || len(w.link.Faults()) > 0 {
				t.Errorf("status %+v, faults %q", s, w.link.Faults())
			}
		})
	})
}

func TestSendCarriesAll(t *testing.T) {
	inWorld(t, cloudtest.Options{}, nil, func(w *world) {
		p := &Publish{Topic: "t", Payload: []byte("{}"), Retain: true, Expiry: 90 * time.Second, Properties: &message.Properties{
			PayloadIsUTF8: true, ContentType: "application/json", ResponseTopic: "r", CorrelationData: []byte{1}, User: []message.UserProperty{{Name: "a", Value: "b"}}}}
		if err := w.link.Send(w.Context(), p, func(error) {}); err != nil {
			t.Fatal(err)
		}
		w.within(time.Second, "received", func() bool { return len(w.cloud.Received()) == 1 })
		r := w.cloud.Received()[0]
		if !r.Retain || r.QoS != 1 || r.Dup || r.Properties == nil || *r.Properties.MessageExpiry != 90 || *r.Properties.PayloadFormat != 1 ||
			r.Properties.ContentType != "application/json" || r.Properties.ResponseTopic != "r" || len(r.Properties.CorrelationData) != 1 || len(r.Properties.User) != 1 {
			t.Errorf("received %+v with %+v", r, r.Properties)
		}
	})
}

// What could never go costs no connection and calls no done.
func TestSendRefuses(t *testing.T) {
	inWorld(t, cloudtest.Options{}, nil, func(w *world) {
		never := func(error) { t.Error("done was called") }
		for name, c := range map[string]struct {
			p    *Publish
			text string
		}{
			"deep":     {&Publish{Topic: "1/2/3/4/5/6/7/8/9"}, "8 slashes"},
			"large":    {&Publish{Topic: "t", Payload: make([]byte, 128<<10+1)}, "a payload of"},
			"packet":   {&Publish{Topic: "t", Payload: make([]byte, 128<<10), Properties: &message.Properties{ContentType: strings.Repeat("x", 60000)}}, "a packet of"},
			"wildcard": {&Publish{Topic: "a/+"}, "is none"},
			"retained": {&Publish{Topic: "$aws/things/T/shadow/get", Retain: true}, "is reserved"},
		} {
			if err := w.link.Send(w.Context(), c.p, never); err == nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s: %v", name, err)
			}
		}
		ctx, cancel := context.WithCancel(w.Context())
		cancel()
		o := newOutcome()
		w.cloud.Change(func(f *cloudtest.Faults) { f.PubackWithheld = true })
		w.sendAll(o, 100)
		if err := w.link.Send(ctx, &Publish{Topic: "t"}, never); !errors.Is(err, context.Canceled) {
			t.Errorf("with a full window: %v", err)
		}
		w.cloud.Heal()
		w.within(time.Minute, "the rest acknowledged", func() bool { return o.len() == 100 })
		if s := w.link.Status(); !s.Connected || s.LastError != "" {
			t.Errorf("status %+v", s)
		}
	})
}

// 100 messages a second, with the round trip of another continent: nothing is
// dropped by the cloud, and little of the rate is given away.
func TestRateIsUsed(t *testing.T) {
	inWorld(t, cloudtest.Options{}, nil, func(w *world) {
		w.cloud.Change(func(f *cloudtest.Faults) { f.Latency = 100 * time.Millisecond })
		o, start := newOutcome(), time.Now()
		w.sendAll(o, 2000)
		w.within(time.Minute, "all acknowledged", func() bool { return o.len() == 2000 })
		if rate := 2000 / time.Since(start).Seconds(); rate < 90 || rate > 100 {
			t.Errorf("%.1f messages a second, want 90 to 100", rate)
		}
		for i := range 2000 {
			if err := o.of(t, fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Messages that come down count as well.
func TestRateCountsBothWays(t *testing.T) {
	var in inbox
	inWorld(t, cloudtest.Options{}, func(o *Options) {
		o.Subscriptions, o.Receive = func() []Subscription { return []Subscription{{"down", 1}} }, in.receive
	}, func(w *world) {
		w.cloud.Change(func(f *cloudtest.Faults) { f.Latency = 20 * time.Millisecond })
		o, start := newOutcome(), time.Now()
		go func() {
			for range 400 {
				w.publish("down", "x")
				<-time.After(25 * time.Millisecond)
			}
		}()
		w.sendAll(o, 600)
		w.within(time.Minute, "all told", func() bool { return o.len() == 600 && len(in.got()) == 400 })
		if rate := 1000 / time.Since(start).Seconds(); rate < 85 || rate > 100 {
			t.Errorf("%.1f messages a second both ways", rate)
		}
	})
}

// 60 shadow requests as fast as Send takes them, for two things, keep AWS's
// limits for each.
func TestShadowRequests(t *testing.T) {
	var in inbox
	filters := func() []Subscription { return []Subscription{{"$aws/things/+/shadow/update/accepted", 1}} }
	inWorld(t, cloudtest.Options{}, func(o *Options) { o.Subscriptions, o.Receive = filters, in.receive }, func(w *world) {
		w.cloud.Change(func(f *cloudtest.Faults) { f.Latency, f.ShadowDelay = 50*time.Millisecond, 300*time.Millisecond })
		start := time.Now()
		var all sync.WaitGroup
		for _, thing := range []string{"A", "B"} {
			all.Go(func() {
				for i := range 60 {
					p := &Publish{Topic: "$aws/things/" + thing + "/shadow/update", Payload: fmt.Appendf(nil, `{"state":{"reported":{"n":%d}}}`, i)}
					if err := w.link.Send(w.Context(), p, func(error) {}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		w.within(time.Minute, "all answered", func() bool { return len(in.got()) == 120 })
	})
}

// Requests of many things, whose answers come a long round trip later, keep the
// rate of both ways together: AWS drops what is over it.
func TestRateCountsAnswers(t *testing.T) {
	var in inbox
	filters := func() []Subscription { return []Subscription{{"$aws/things/+/shadow/+/accepted", 1}} }
	inWorld(t, cloudtest.Options{}, func(o *Options) { o.Subscriptions, o.Receive = filters, in.receive }, func(w *world) {
		w.cloud.Change(func(f *cloudtest.Faults) { f.Latency = 400 * time.Millisecond })
		start := time.Now()
		for i := range 1000 {
			p := &Publish{Topic: fmt.Sprintf("$aws/things/T%d/shadow/update", i%250), Payload: []byte(`{"state":{}}`)}
			if err := w.link.Send(w.Context(), p, func(error) {}); err != nil {
				t.Fatal(err)
			}
		}
		w.within(time.Minute, "all answered", func() bool { return len(in.got()) == 1000 })
		if rate := 2000 / time.Since(start).Seconds(); rate < 80 || rate > 100 {
			t.Errorf("%.1f messages a second both ways", rate)
		}
	})
}

func TestReceiveMaximumOfTheCloud(t *testing.T) {
	inWorld(t, cloudtest.Options{Limits: cloudtest.Limits{UnackedIn: 7}}, nil, func(w *world) {
		if n := w.link.Window(); n != 7 {
			t.Errorf("window %d", n)
		}
		w.cloud.Change(func(f *cloudtest.Faults) { f.PubackDelay = 500 * time.Millisecond })
		o := newOutcome()
		go w.sendAll(o, 50)
		w.within(time.Minute, "all acknowledged", func() bool {
			if s := w.link.Status(); s.Unacked > 7 {
				t.Errorf("%d unacknowledged", s.Unacked)
			}
			return o.len() == 50
		})
	})
}

// The connection is cut at any moment: done is called once for each message that
// Send took, what the cloud acknowledged is told so, and all that is lost is told
// before the next connection.
func TestCut(t *testing.T) {
	versions(t, func(t *testing.T, version int) {
		for _, reset := range []bool{false, true} {
			inWorld(t, cloudtest.Options{}, func(o *Options) { o.Version = version }, func(w *world) {
				w.cloud.Change(func(f *cloudtest.Faults) { f.Latency = 50 * time.Millisecond })
				o, sent := newOutcome(), []string{}
				go func() {
					for round := range 5 {
						<-time.After(time.Duration(800+313*round) * time.Millisecond)
						w.cloud.Cut("", reset)
					}
				}()
				for i, start := 0, time.Now(); time.Since(start) < 20*time.Second; {
					changed := w.link.Changed()
					if !w.link.Connected() {
						<-changed
						if n := o.len(); n != len(sent) {
							t.Errorf("connected again, and %d of %d messages told", n, len(sent))
						}
						continue
					}
					name := fmt.Sprint(i)
					if err := w.send(o, name); err == nil {
						sent = append(sent, name)
						i++
					} else if !errors.Is(err, ErrOffline) {
						t.Fatal(err)
					}
				}
				w.within(time.Minute, "all told", func() bool { return o.len() == len(sent) })
				got := make(map[string]bool)
				for _, p := range w.payloads() {
					got[p] = true
				}
				lost := 0
				for _, name := range sent {
					switch err := o.of(t, name); {
					case errors.Is(err, ErrLost):
						lost++
					case err != nil:
						t.Errorf("%s: %v", name, err)
					case !got[name]:
						t.Errorf("%s is acknowledged and not there", name)
					}
				}
				if lost == 0 || lost > 5*100 || len(sent) < 100 {
					t.Errorf("%d of %d lost", lost, len(sent))
				}
				if !slices.Equal(sent, o.order) {
					t.Error("told out of order")
				}
			})
		}
	})
}

// Many callers, some of whom give up: no done too much or too little.
func TestConcurrentSends(t *testing.T) {
	inWorld(t, cloudtest.Options{}, nil, func(w *world) {
		w.cloud.Change(func(f *cloudtest.Faults) { f.PubackDelay = 300 * time.Millisecond })
		o := newOutcome()
		var all sync.WaitGroup
		var mu sync.Mutex
		sent := 0
		for g := range 20 {
			all.Go(func() {
				for i := range 30 {
					ctx, cancel := context.WithTimeout(w.Context(), time.Duration(g*i)*10*time.Millisecond)
					name := fmt.Sprint(g, "-", i)
					if w.link.Send(ctx, &Publish{Topic: "t", Payload: []byte(name)}, o.done(name)) == nil {
						mu.Lock()
						sent++
						mu.Unlock()
					}
					cancel()
				}
			})
		}
		<-time.After(time.Second)
		w.cloud.Cut("", true)
		all.Wait()
		w.within(time.Minute, "all told", func() bool { return o.len() == sent })
		for name := range o.told {
			_ = o.of(t, name)
		}
		last := make(map[string]int)
		for _, p := range w.payloads() {
			var i int
			g, rest, _ := strings.Cut(p, "-")
			if _, err := fmt.Sscan(rest, &i); err != nil {
				t.Fatal(err)
			}
			if before, ok := last[g]; ok && before >= i {
				t.Errorf("caller %s: %d after %d", g, i, before)
			}
			last[g] = i
		}
	})
}

func TestOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := New(Options{Endpoint: endpoint, Port: 8883, Core: "gw"})
		if err != nil {
			t.Fatal(err)
		}
		err = l.Send(t.Context(), &Publish{Topic: "t"}, func(error) { t.Error("done was called") })
		if !errors.Is(err, ErrOffline) || l.Connected() || l.Window() != 100 {
			t.Errorf("%v, connected %v, window %d", err, l.Connected(), l.Window())
		}
	})
}
