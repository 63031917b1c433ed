package main

import (
	"slices"
	"strings"
	"time"

	"greengate/core/message"
	"greengate/core/router"
)

// willOf makes a will of a client.
func (p *proof) willOf(c *proofClient) *proofProbe {
	from, topic := p.way(p.table, []string{c.end()})
	will := p.probe("will", from, topic)
	will.retain = p.one(3)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wills[will.id] = will
	return will
}

// lastWill is the will that the end of its session publishes.
func (c *proofClient) lastWill() *proofProbe {
	if c.delayed != nil {
		return c.delayed
	}
	return c.will
}

// watched notes that a will was published, whatever the table says of it.
func (p *proof) watched(e router.Event) {
	if e.From.Kind != message.Device || e.Message == nil {
		return
	}
	id := proofToken(e.Message.Payload)
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.wills[id]; w != nil && e.Topic == w.topic && e.From.Name == strings.TrimPrefix(w.from, "device:") {
		p.out[id] = true
	}
}

// expect says that a will goes now. All others are not to.
func (p *proof) expect(will *proofProbe) {
	if will != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.going[will.id] = true
	}
}

// follow waits until a will is out, and checks who got it.
func (p *proof) follow(will *proofProbe) {
	if will == nil {
		return
	}
	limit := time.Now().Add(patience)
	p.until("a will", func() bool {
		if time.Now().After(limit) {
			p.fault("MISSING", will, "the will did not go out")
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.out[will.id]
	})
	tables := []*proofTable{p.table}
	arrived := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return slices.ContainsFunc(p.outcomes(will, tables), func(o proofOutcome) bool {
			for k, n := range o.least {
				if p.seen[k] < n {
					return false
				}
			}
			return true
		})
	}
	for limit := time.Now().Add(patience); !arrived() && time.Now().Before(limit); {
		p.settle()
	}
	p.settle()
	p.check([]*proofProbe{will}, tables)
	p.keep(will)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.going, will.id)
	delete(p.out, will.id)
	delete(p.wills, will.id)
}

// mortal connects some client whose will is to go so many seconds after it.
func (p *proof) mortal(delay int) *proofClient {
	for {
		if c := p.order[p.IntN(len(p.order))]; p.table.device(c.end()) != nil && c.thing != proofWitness {
			p.arrive(c, manner{v5: true, clean: p.one(2), persists: true, will: p.willOf(c), delay: delay})
			return c
		}
	}
}

// takenOver has a client take its own connection over, which withdraws its will, and then
// end its session: nothing is left of that will to go.
func (p *proof) takenOver() {
	c := p.mortal(hour)
	p.arrive(c, manner{v5: p.one(2), persists: true})
	p.arrive(c, manner{v5: p.one(2), clean: true})
}

// nearlyDead has a client back before its will goes, which it must not any more, whenever
// its delay is over. That is not known of a machine that is too slow: ok is false, and
// nothing more can be said of this world.
func (p *proof) nearlyDead() (ok bool) {
	const delay = 3
	c := p.mortal(delay)
	p.leave(c, 0)
	p.doubt, p.doubtFrom = c.delayed, c.left.Add(delay*time.Second)
	p.expect(p.doubt)
	p.arrive(c, manner{v5: p.one(2), persists: true})
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.going, p.doubt.id)
	p.doubt = nil
	return time.Now().Before(p.doubtFrom)
}

// die has the delay of a will pass.
func (p *proof) die() {
	c := p.mortal(1)
	p.leave(c, 0)
	will := c.delayed
	p.expect(will)
	c.delayed = nil
	p.follow(will)
}
