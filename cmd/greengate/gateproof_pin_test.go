package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// dim tries to command a pin: the payload is its level, which is looked at.
func (p *proof) dim() {
	for range 3 {
		c := p.anyone()
		from, topic := p.way(p.table, []string{c.end()})
		if _, _, ok := proofRequest(topic); ok {
			continue // its payload would be no request
		}
		probe := p.probe("mqtt", from, topic)
		probe.qos = 1
		level := fmt.Sprintf("%d.%09d", 10+p.IntN(80), probe.id)
		probe.payload = []byte(level)
		before := p.g.pins.List()[0].Level
		id := c.publish(topic, probe.payload, 1, false, 0)
		code, err := c.acked(id)
		p.must(err)
		p.tell("%v: PUBACK %#x", probe, code)
		if refused := !p.table.publishes(from, topic); c.v5 && refused != (code == 0x87) {
			p.fault("WRONG ANSWER", probe, fmt.Sprintf("PUBACK %#x", code))
		}
		want := before
		if p.table.allows(from, topic, proofDimmer) {
			want = strings.TrimRight(level, "0")
		}
		if got := p.g.pins.List()[0].Level; got != want {
			p.fault("LEAK", probe, fmt.Sprintf("or loss at the pin: it is at %s, want %s", got, want))
		}
		p.settle()
		p.check([]*proofProbe{probe}, []*proofTable{p.table})
	}
}

// ring presses the button, which tells so twice. It needs everybody there.
func (p *proof) ring() {
	for _, c := range p.order {
		if c.subs != nil && c.proofConn == nil {
			return
		}
	}
	if p.away(proofCloud) || p.away(proofSlow) {
		return
	}
	press, release := p.probe("gpio", proofBell, p.bell), p.probe("gpio", proofBell, p.bell)
	press.qos, release.qos = 1, 1
	p.mu.Lock()
	p.rung = press.id
	p.mu.Unlock()
	p.tell("the button is pressed: probes %d and %d", press.id, release.id)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p.must(p.g.pins.Press(ctx, "bell", 1, 10*time.Millisecond))
	p.settle()
	p.check([]*proofProbe{press, release}, []*proofTable{p.table})
}
