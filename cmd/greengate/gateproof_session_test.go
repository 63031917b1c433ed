package main

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"greengate/core/router"
)

// anyone returns a client that is connected.
func (p *proof) anyone() *proofClient {
	for {
		if c := p.order[p.IntN(len(p.order))]; c.proofConn != nil {
			return c
		}
	}
}

// hour is a session expiry, or the delay of a will.
var hour = binary.BigEndian.AppendUint32(nil, 3600)

// dial connects a client and sends its CONNECT; code is that of CONNACK.
func (p *proof) dial(c *proofClient, v5, clean, persists bool, will *proofProbe, delay bool) (conn *proofConn, present bool, code byte) {
	tc, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", p.g.broker.Addrs()[0].String(), p.tls(c))
	p.must(err)
	conn = newProofConn(tc, v5, func(topic string, payload []byte, retain, again bool) {
		if retain {
			p.broughtRetained(c, topic, payload)
			return
		}
		p.heard(c.end(), topic, payload, again)
	})
	level, flags := byte(4), byte(0)
	var props, last []byte
	if clean {
		flags |= 2
	}
	if v5 {
		if level = 5; persists {
			props = append([]byte{0x11}, hour...)
		}
		props = conn.props(props...)
	}
	if will != nil {
		flags |= 4 | will.qos<<3
		if will.retain {
			flags |= 0x20
		}
		var p []byte
		if delay {
			p = append([]byte{0x18}, hour...)
		}
		last = slices.Concat(conn.props(p...), mqttText(will.topic), mqttText(string(will.payload)))
	}
	go conn.read()
	conn.write(mqttPacket(0x10, mqttText("MQTT"), []byte{level, flags, 0, 0}, props, mqttText(c.thing), last))
	p.must(conn.wait("CONNACK of "+c.thing, func() bool { return conn.connack != nil }))
	return conn, conn.connack[0] == 1, conn.connack[1]
}

// arrive connects a client that is away, or again one that is there, in any way.
func (p *proof) arrive(c *proofClient) {
	v5, clean := p.one(2), p.one(2)
	persists := p.one(2)
	if !v5 {
		persists = !clean // there it is one flag
	}
	var will *proofProbe
	if p.one(2) {
		from, topic := p.way(p.table, []string{c.end()})
		will = p.probe("will", from, topic)
		will.retain = p.one(3)
	}
	delay := v5 && will != nil && p.one(2)
	// What the broker does with the session before, and the wills of it.
	old, goes := c.proofConn, (*proofProbe)(nil)
	stays := c.subs != nil && c.persists && !clean
	switch {
	case old != nil && c.will != nil && (!c.delay || !stays):
		goes = c.will
		goes.selfMaybe = true
	case old == nil && c.delayed != nil && !stays:
		goes = c.delayed
	}
	c.delayed, c.will = nil, nil
	p.tell("%s connects: v5 %v, clean %v, persists %v, was there %v, its session stays %v, the will that goes: %v, its own: %v, delayed %v", c.thing, v5, clean, persists, old != nil, stays, goes, will, delay)
	seen := p.watch(goes)
	conn, present, code := p.dial(c, v5, clean, persists, will, delay)
	if code != 0 || present != stays {
		p.must(fmt.Errorf("CONNACK of %s: code %d, session present %v, want %v", c.thing, code, present, stays))
	}
	if old != nil {
		_ = old.conn.Close() // the broker has cut it
	}
	if !stays {
		c.subs = nil
		p.forgive(c)
	}
	c.proofConn, c.persists, c.will, c.delay = conn, persists, will, delay
	p.follow(goes, seen)
	if !stays {
		c.subs = map[string]proofSub{}
		p.subscribe(c, proofMark(c.thing))
		if c.thing == proofWitness {
			p.subscribe(c, proofAnswers)
		}
		for _, wide := range []string{"#", "$aws/#"} {
			if p.one(2) {
				p.subscribe(c, wide)
			}
		}
		for range 1 + p.IntN(3) {
			p.subscribe(c, p.filter(false))
		}
	}
	p.settle()
	p.check(nil, []*proofTable{p.table}, c)
}

// leave ends a connection: cut, or with a DISCONNECT.
func (p *proof) leave(c *proofClient) {
	p.must(c.ping()) // its acknowledgements are in
	why := p.IntN(3)
	old, will := c.proofConn, c.will
	if why == 1 || why == 2 && !c.v5 {
		will = nil // [MQTT-3.14.4-3]
	}
	c.proofConn, c.will = nil, nil
	if !c.persists {
		c.subs = nil
	}
	if will != nil && c.delay && c.persists {
		c.delayed, will = will, nil
	}
	p.tell("%s leaves by %d, the will that goes: %v, that waits: %v", c.thing, why, will, c.delayed)
	seen := p.watch(will)
	switch why {
	case 0:
		_ = old.conn.NetConn().Close()
	case 1:
		old.write([]byte{0xE0, 0})
	default:
		if old.v5 {
			old.write([]byte{0xE0, 2, 4, 0}) // with the will
		} else {
			old.write([]byte{0xE0, 0})
		}
	}
	p.until("the end of "+c.thing, func() bool {
		for _, d := range p.g.broker.Devices() {
			if d.Thing == c.thing {
				return !d.Connected
			}
		}
		return true
	})
	_ = old.conn.Close()
	p.follow(will, seen)
}

// until waits for what nobody tells.
func (p *proof) until(what string, ok func() bool) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(2 * patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			p.must(errors.New("waited in vain for " + what))
		}
	}
}

// watch returns what tells that a will has been judged.
func (p *proof) watch(will *proofProbe) (seen chan struct{}) {
	seen = make(chan struct{}, 1)
	if will == nil {
		return seen
	}
	p.t.Cleanup(p.g.router.Watch(func(e router.Event) {
		if e.Topic == will.topic && e.From.Name == strings.TrimPrefix(will.from, "device:") && e.Message != nil && bytes.Equal(e.Message.Payload, will.payload) {
			select {
			case seen <- struct{}{}:
			default:
			}
		}
	}))
	return seen
}

// follow waits until a will is out, and checks who got it.
func (p *proof) follow(will *proofProbe, seen chan struct{}) {
	if will == nil {
		return
	}
	select {
	case <-seen:
	case <-time.After(2 * patience):
		p.fault("MISSING", will, "the will did not go out")
	}
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
}

// comeAndGo ends and begins a connection.
func (p *proof) comeAndGo() {
	c := p.order[p.IntN(len(p.order))]
	switch {
	case p.table.device(c.end()) == nil, c.thing == proofWitness:
	case c.proofConn == nil, p.one(2):
		p.arrive(c)
	default:
		p.leave(c)
	}
}

// forgive strikes what was owed to a session that has ended.
func (p *proof) forgive(c *proofClient) {
	for k := range p.owed {
		if k.to == c.end() {
			delete(p.owed, k)
		}
	}
}

// forget strikes what is owed and that the table of now forbids.
func (p *proof) forget() {
	for k, debt := range p.owed {
		if !p.table.allows(debt.source, k.topic, k.to) {
			delete(p.owed, k)
		}
	}
}

// reload puts another table in force, between messages.
func (p *proof) reload(next *proofTable) {
	p.writeFile(next)
	generation, err := p.g.reload("gateproof")
	p.must(err)
	p.table = next
	p.tell("reload, generation %d", generation)
	p.forget()
	for _, c := range p.order {
		if next.device(c.end()) != nil {
			continue
		}
		if c.proofConn != nil {
			if err := c.wait("the end of a device that was removed", func() bool { return c.ended != nil }); !errors.Is(err, c.ended) {
				p.must(err)
			}
			_ = c.conn.Close()
		}
		c.proofConn, c.subs, c.will, c.delayed = nil, nil, nil, nil
		p.forgive(c)
		if p.one(2) {
			conn, _, code := p.dial(c, true, true, false, nil, false)
			if _ = conn.conn.Close(); code != 0x87 {
				p.fault("LEAK", nil, fmt.Sprintf("%s is no device, and CONNACK says %#x", c.thing, code))
			}
		}
	}
	for _, c := range p.order {
		if next.device(c.end()) != nil && c.subs == nil && p.one(2) {
			p.arrive(c)
		}
	}
}
