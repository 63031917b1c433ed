package cloud

import (
	"testing"
	"time"

	"greengate/sync/cloud/cloudtest"
)

func TestCounts(t *testing.T) {
	inWorld(t, cloudtest.Options{Limits: cloudtest.Limits{UnackedIn: 3}}, func(o *Options) { o.Rate.Messages = 100 }, func(w *world) {
		w.cloud.Change(func(f *cloudtest.Faults) { f.Latency = 60 * time.Millisecond }) // each way
		o := newOutcome()
		w.sendAll(o, 100)
		w.within(time.Minute, "all acknowledged", func() bool { return o.len() == 100 })
		c := w.link.Counts()
		if c.Connections != 1 || c.RoundTripCount != 100 || c.RoundTripTime < 100*120*time.Millisecond || c.RoundTripTime > 100*200*time.Millisecond {
			t.Errorf("counts %+v", c)
		}
		for i, bound := range RoundTripBounds {
			if want := uint64(100); bound < 120*time.Millisecond && c.RoundTrips[i] != 0 || bound >= 250*time.Millisecond && c.RoundTrips[i] != want {
				t.Errorf("%d took at most %v", c.RoundTrips[i], bound)
			}
		}
		if c.Throttled.Window < 30 || c.Throttled.Quota != 0 || c.Throttled.Shadows != 0 {
			t.Errorf("throttled %+v", c.Throttled)
		}
		w.loses(time.Minute, func() { w.cloud.Cut("gw", false) })
		w.connected(time.Minute)
		w.cloud.Change(func(f *cloudtest.Faults) { f.PubackCode, f.PubackCount = 0x97, 1 })
		for _, name := range []string{"sent back", "after the pause"} {
			if err := w.send(o, name); err != nil {
				t.Fatal(err)
			}
			w.within(time.Minute, name, func() bool { return o.len() > 100 && w.link.Status().Unacked == 0 })
		}
		if c := w.link.Counts(); c.Connections != 2 || c.Throttled.Quota != 1 || c.Throttled.Rate == 0 {
			t.Errorf("counts %+v", c)
		}
		w.pardon = []string{"fault"}
	})
}
