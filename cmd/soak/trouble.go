package main

import (
	"encoding/json"
	"math/rand/v2"
	"sync"
	"time"

	"greengate/sync/cloud/cloudtest"
)

// troubleMakers begin what disturbs the traffic, until trouble ends. Each leaves
// things as they were before it.
func (s *soak) troubleMakers() {
	for _, n := range s.nodes {
		s.troubles.Go(func() { s.comeAndGo(n) })
	}
	for _, r := range s.rovers {
		s.troubles.Go(func() { s.rove(r) })
	}
	for _, name := range s.plan.kind("mortal") {
		s.troubles.Go(func() { s.die(name) })
	}
	for _, f := range []func(){s.visit, s.holdUpSnail, s.holdUpSloth, s.disturbCloud, s.changeFile} {
		s.troubles.Go(f)
	}
}

// seconds is a time, for short lines.
func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// comeAndGo sends a node away for a while, again and again. It misses nothing.
func (s *soak) comeAndGo(d *device) {
	for s.between(seconds(10), seconds(30)) {
		d.away(rand.N(2) == 0)
		s.between(seconds(5), seconds(20))
		s.come(d)
		s.happened("offline cycles")
	}
}

// come connects a device, which must work.
func (s *soak) come(d *device) {
	for {
		err := d.connect(s.life)
		if err == nil {
			return
		}
		s.fault("%v", err)
		if !s.wait(s.life, time.Second) {
			return
		}
	}
}

// rove has a device take its own session over, or break off, or leave, with whatever
// it has under way.
func (s *soak) rove(d *device) {
	for s.between(seconds(5), seconds(15)) {
		if rand.N(3) > 0 {
			d.away(rand.N(2) == 0)
			s.between(seconds(1), seconds(5))
			s.come(d)
			s.happened("reconnects")
			continue
		}
		before := d.link()
		s.come(d)
		select {
		case <-before.done:
		case <-time.After(patience):
			s.fault("the old connection of %s was not cut", d.o.Thing)
		}
		s.happened("take-overs")
	}
}

// die connects with a will and breaks off, which sends it, or leaves, which does not.
func (s *soak) die(name string) {
	f := s.flows[name]
	for over := false; !over; {
		n := f.next()
		d := s.device(name, 0, nil)
		d.o.Will = &will{"will/" + name, f.payload(n)}
		s.come(d)
		over = !s.between(seconds(2), seconds(6))
		if !over && rand.N(3) > 0 {
			f.ack(n) // it is due, from the moment of the death on
			d.away(false)
			s.happened("wills")
			continue
		}
		d.away(true)
		f.withdraw(n)
	}
}

// visit comes, sees what is retained, and goes.
func (s *soak) visit() {
	f := s.flows["state"]
	for s.between(seconds(3), seconds(8)) {
		last := f.lastAcked()
		if last < retainedTopics {
			continue
		}
		var mu sync.Mutex
		latest, all := map[int]int{}, make(chan struct{})
		complete := sync.OnceFunc(func() { close(all) })
		d := s.device("visitor", 1, func(h heard) {
			var p parcel
			if err := json.Unmarshal(h.Payload, &p); err != nil || p.Flow != f.name {
				s.fault("the visitor heard %s: %.100s", h.Topic, h.Payload)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			latest[p.N%retainedTopics] = max(latest[p.N%retainedTopics], p.N)
			for i := range retainedTopics {
				// The last one of topic i that is known to be kept.
				if latest[i] < last-(last-i)%retainedTopics {
					return
				}
			}
			complete()
		}, "state/#")
		s.come(d)
		select {
		case <-all:
		case <-time.After(patience):
			mu.Lock()
			s.fault("the visitor did not get what is retained up to %d: %v", last, latest)
			mu.Unlock()
		}
		d.away(true)
		s.happened("visits")
	}
}

// holdUpSnail lets messages with QoS 1 pile up.
func (s *soak) holdUpSnail() {
	defer s.snail.release()
	for s.between(seconds(10), seconds(20)) {
		s.snail.shut()
		s.between(seconds(10), seconds(30))
		s.snail.release()
		s.happened("slow reader, QoS 1")
	}
}

// How many messages with QoS 0 a reader gets that does not read, and their size:
// more than its buffers and those of the kernel take.
const (
	flood     = 400
	floodSize = 16 << 10
)

// holdUpSloth drowns a reader.
func (s *soak) holdUpSloth() {
	defer s.sloth.release()
	p := pour{flow: s.flows["flood"], from: s.pump, topic: fixed("slow/zero"), body: s.flows["flood"].payload}
	for s.between(seconds(30), seconds(60)) {
		s.sloth.shut()
		for range flood {
			s.send(p)
		}
		s.between(seconds(1), seconds(5))
		s.sloth.release()
		s.happened("slow reader, QoS 0")
	}
}

// disturbCloud takes the cloud away, in turns as a line that is refused, one that
// swallows all bytes, and a cloud that does not acknowledge.
func (s *soak) disturbCloud() {
	for i := 0; s.between(seconds(40), seconds(80)); i++ {
		s.cloud.Change(func(f *cloudtest.Faults) {
			f.Refuse, f.Blackhole, f.PubackWithheld = i%3 == 0, i%3 == 1, i%3 == 2
		})
		if i%3 == 0 {
			s.cloud.Cut(coreThing, true)
		}
		s.between(seconds(15), seconds(40))
		s.cloud.Heal()
		s.happened("cloud away")
	}
}

// changeFile has the gateway take up another group file, and the first one again.
func (s *soak) changeFile() {
	for s.between(seconds(20), seconds(50)) {
		for _, text := range []string{s.site.other, s.site.base} {
			if err := s.site.reload(s.life, text); err != nil {
				s.fault("reload: %v", err)
			}
			s.happened("reloads")
			s.between(seconds(10), seconds(30))
		}
	}
}
