package main_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"greengate/sync/cloud/cloudtest"
)

// spoolRow is a row to the cloud with all that a reload may change of it.
type spoolRow struct {
	From     string `yaml:"from"`
	Topic    string `yaml:"topic"`
	To       string `yaml:"to"`
	Priority string `yaml:"priority,omitempty"`
	WhenFull string `yaml:"when_full,omitempty"`
	TTL      string `yaml:"ttl,omitempty"`
}

// stream publishes the numbers of a device behind last, one after the other, until its
// connection or ctx ends, and returns the last one that was acknowledged. news gets one
// for each acknowledgement.
func (d *device) stream(ctx context.Context, last int, news chan<- struct{}) int {
	for {
		payload := cloudtest.Number{Publisher: d.thing, Seq: last + 1}.Payload()
		answer, _ := d.Publish(ctx, &paho.Publish{Topic: "sensors/" + d.thing + "/n", Payload: payload, QoS: 1})
		switch {
		case answer == nil:
			return last
		case answer.ReasonCode >= 0x80:
			d.t.Errorf("number %d of %s: %#x", last+1, d.thing, answer.ReasonCode)
			return last
		default:
			last++
			select {
			case news <- struct{}{}:
			default:
			}
		}
	}
}

// A gateway that is killed around the reloads of its file, while the rows to the cloud
// change and others take their place, loses nothing that it has acknowledged, and keeps
// the order of each device.
func TestKillAroundReloads(t *testing.T) {
	t.Parallel()
	s := newCloudSite(t, "thermo", "hygro")
	all := spoolRow{From: "device:*", Topic: "sensors/${from}/#", To: "cloud"}
	as := func(change func(*spoolRow)) spoolRow {
		r := all
		change(&r)
		return r
	}
	files := [][]spoolRow{
		{all},
		{as(func(r *spoolRow) { r.Priority = "high" })},
		{as(func(r *spoolRow) { r.From = "hygro" }), as(func(r *spoolRow) { r.From = "thermo" })},
		{as(func(r *spoolRow) { r.Priority, r.WhenFull = "low", "drop_newest" })},
		{as(func(r *spoolRow) { r.From, r.Priority = "thermo", "high" }), as(func(r *spoolRow) { r.From, r.TTL = "hygro", "1h" })},
		{as(func(r *spoolRow) { r.Topic = "sensors/#" })},
		{as(func(r *spoolRow) { r.WhenFull = "drop_oldest" })},
	}
	type end struct {
		thing string
		last  int
	}
	acked := map[string]int{"thermo": 0, "hygro": 0}
	for round := range len(files) + 3 {
		file := func(i int) []spoolRow { return files[(round+i)%len(files)] }
		s.set(file(0), "subscriptions")
		s.cloud.Change(func(f *cloudtest.Faults) { f.Refuse = round%3 == 1 }) // a backlog, now and then
		g := s.start()
		ctx, cancel := context.WithCancel(t.Context())
		ended, news := make(chan end, len(acked)), make(chan struct{}, 40)
		for thing, last := range acked {
			d := s.connect(thing)
			go func() { ended <- end{thing, d.stream(ctx, last, news)} }()
		}
		for i := range 3 {
			for range 40 { // in the middle of the traffic
				await(t, "an acknowledgement", news)
			}
			if s.set(file(i+1), "subscriptions"); i < 2 {
				g.reload()
				continue
			}
			// The kill comes while this one is on its way, at another moment each time.
			if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Duration(round) * 2 * time.Millisecond)
		}
		g.die()
		cancel()
		for range acked {
			e := <-ended
			acked[e.thing] = e.last
		}
	}
	s.set([]spoolRow{all}, "subscriptions")
	s.cloud.Heal()
	g := s.start()
	for thing := range acked {
		d := s.connect(thing)
		d.measure(acked[thing]+1, acked[thing]+10)
		acked[thing] += 10
	}
	v := s.arrived(acked)
	t.Logf("%v of %v", v, acked)
	eventually(t, "the spool is empty", func() bool { return g.status().Spool.Messages == 0 })
	g.balanced()
}
