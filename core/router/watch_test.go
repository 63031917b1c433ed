package router_test

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greengate/core/message"
	"greengate/core/router"
)

func TestWatch(t *testing.T) {
	d := delivered()
	d.subscribe("b", "#")
	wait := &answer{verdict: router.Queued}
	r, _ := newRouter(open(row{"a", "t", "b"}, row{"a", "t", "function:f"}, row{"a", "up", "cloud"}),
		map[message.Kind]router.Target{message.Device: d, message.Function: wait})
	var got, other []router.Event
	cancel := r.Watch(func(e router.Event) { got = append(got, e) })
	cancelOther := r.Watch(func(e router.Event) { other = append(other, e) })
	began := time.Now()
	p := r.Port(endpoint("a"))
	for _, topic := range []string{"t", "up", "secret"} {
		publish(t, p, topic, "four")
	}
	cell, _ := r.Judge(endpoint("a"), "t", endpoint("function:f"))
	m := &message.Message{Source: endpoint("a"), Topic: "t", Payload: []byte("four")}
	for _, v := range []router.Verdict{router.Delivered, router.Expired, router.Dropped} {
		cell.Queue()
		r.Settle(cell, v, "", m, endpoint("function:f"))
	}
	r.Watched(router.Delivered, m, endpoint("function:f"))

	a, f := endpoint("a"), endpoint("function:f")
	want := []router.Event{
		{Verdict: router.Delivered, From: a, Topic: "t", To: endpoint("b"), Bytes: 4},
		{Verdict: router.Queued, From: a, Topic: "t", To: f, Bytes: 4},
		{Verdict: router.Refused, Reason: router.NoCloud, From: a, Topic: "up", To: endpoint("cloud"), Bytes: 4},
		{Verdict: router.Refused, Reason: router.NoRow, From: a, Topic: "secret", Bytes: 4},
		// That a message was acknowledged is not shown: it was when it went out.
		{Verdict: router.Expired, From: a, Topic: "t", To: f, Bytes: 4},
		{Verdict: router.Dropped, From: a, Topic: "t", To: f, Bytes: 4},
		{Verdict: router.Delivered, From: a, Topic: "t", To: f, Bytes: 4},
	}
	for i := range got {
		if when := got[i].Time; when.Before(began) || when.After(time.Now()) {
			t.Errorf("event %d is of %v", i, when)
		}
		if m := got[i].Message; m == nil || len(m.Payload) != got[i].Bytes {
			t.Errorf("event %d has the message %+v", i, m)
		}
		got[i].Time, other[i].Time = time.Time{}, time.Time{}
		got[i].Message, other[i].Message = nil, nil
	}
	if !slices.Equal(got, want) {
		t.Errorf("events\n%+v, want\n%+v", got, want)
	}
	if !slices.Equal(other, want) {
		t.Errorf("the second watcher saw\n%+v", other)
	}

	cancel()
	cancel() // once more does no harm
	publish(t, p, "t", "")
	if len(got) != len(want) || len(other) != len(want)+2 {
		t.Errorf("after cancel one saw %d events more, the other %d", len(got)-len(want), len(other)-len(want))
	}
	cancelOther()
	publish(t, p, "t", "")
	if len(other) != len(want)+2 {
		t.Error("an event after cancel")
	}
}

func TestVerdictWords(t *testing.T) {
	want := []string{"refused", "delivered", "delivered", "queued", "expired", "dropped"}
	for i, w := range want {
		if got := router.Verdict(i + 1).String(); got != w {
			t.Errorf("verdict %d is %q, want %q", i+1, got, w)
		}
	}
}

// Watchers come and go while messages flow. When cancel has returned, no call
// is under way.
func TestWatchConcurrent(t *testing.T) {
	r, _ := newRouter(open(), nil)
	var all sync.WaitGroup
	var stop atomic.Bool
	for range 2 {
		p := r.Port(endpoint("a"))
		all.Go(func() {
			for !stop.Load() {
				publish(t, p, "t", "")
				runtime.Gosched() // or watchers would come rarely
			}
		})
	}
	for range 200 {
		var over atomic.Bool
		seen := make(chan struct{}, 1)
		cancel := r.Watch(func(router.Event) {
			if over.Load() {
				t.Error("called after cancel has returned")
			}
			select {
			case seen <- struct{}{}:
			default:
			}
		})
		<-seen
		cancel()
		over.Store(true)
	}
	stop.Store(true)
	all.Wait()
}

// Who publishes learns whether anybody is there: a target of the way, or one who watches.
func TestHeard(t *testing.T) {
	d := delivered()
	d.subscribe("b", "t")
	r, _ := newRouter(open(row{"a", "#", "b"}), map[message.Kind]router.Target{message.Device: d})
	p := r.Port(endpoint("a"))
	heard := func(topic string, want bool) {
		t.Helper()
		way, err := p.Route([]byte(topic), message.CheckTopic)
		if got := err == nil && p.Heard(way); err != nil || got != want {
			t.Errorf("%s is heard: %v, %v", topic, got, err)
		}
	}
	heard("t", true)
	heard("unheard", false)
	cancel := r.Watch(func(router.Event) {})
	heard("unheard", true)
	cancel()
	heard("unheard", false)
}
