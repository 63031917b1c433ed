package main

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"
)

// anyone returns a client that is connected.
func (p *proof) anyone() *proofClient {
	for {
		if c := p.order[p.IntN(len(p.order))]; c.proofConn != nil {
			return c
		}
	}
}

// hour is a session expiry, or the delay of a will, in seconds.
const hour = 3600

func mqttSeconds(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

// manner is how a client connects.
type manner struct {
	v5, clean, persists bool
	will                *proofProbe
	delay               int // of the will, in seconds
}

// anyManner is one of all, with a will or without.
func (p *proof) anyManner(c *proofClient) manner {
	m := manner{v5: p.one(2), clean: p.one(2), persists: p.one(2)}
	if !m.v5 {
		m.persists = !m.clean // there it is one flag
	}
	if p.one(2) {
		m.will = p.willOf(c)
		if m.v5 && p.one(2) {
			m.delay = hour
		}
	}
	return m
}

// dial connects a client and sends its CONNECT; code is that of CONNACK.
func (p *proof) dial(c *proofClient, m manner) (conn *proofConn, present bool, code byte) {
	tc, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", p.g.broker.Addrs()[0].String(), p.tls(c))
	p.must(err)
	conn = newProofConn(tc, m.v5, func(topic string, payload []byte, retain, again bool) {
		if retain {
			p.broughtRetained(c, topic, payload)
			return
		}
		p.heard(c.end(), topic, payload, again)
	})
	level, flags := byte(4), byte(0)
	var props, last []byte
	if m.clean {
		flags |= 2
	}
	if m.v5 {
		if level = 5; m.persists {
			props = append([]byte{0x11}, mqttSeconds(hour)...)
		}
		props = conn.props(props...)
	}
	if will := m.will; will != nil {
		flags |= 4 | will.qos<<3
		if will.retain {
			flags |= 0x20
		}
		var p []byte
		if m.delay > 0 {
			p = append([]byte{0x18}, mqttSeconds(m.delay)...)
		}
		last = slices.Concat(conn.props(p...), mqttText(will.topic), mqttText(string(will.payload)))
	}
	go conn.read()
	conn.write(mqttPacket(0x10, mqttText("MQTT"), []byte{level, flags, 0, 0}, props, mqttText(c.thing), last))
	p.must(conn.wait("CONNACK of "+c.thing, func() bool { return conn.connack != nil }))
	return conn, conn.connack[0] == 1, conn.connack[1]
}

// arrive connects a client that is away, or again one that is there.
func (p *proof) arrive(c *proofClient, m manner) {
	// What the broker does with the session before, and the wills of it.
	old, goes := c.proofConn, (*proofProbe)(nil)
	stays := c.subs != nil && c.persists && !m.clean
	switch {
	case old != nil && c.will != nil && (c.delay == 0 || !stays):
		goes = c.will
		goes.selfMaybe = true
	case old == nil && c.delayed != nil && !stays:
		goes = c.delayed
	}
	c.delayed, c.will = nil, nil
	p.tell("%s connects: %+v, was there %v, its session stays %v, the will that goes: %v", c.thing, m, old != nil, stays, goes)
	p.expect(goes)
	conn, present, code := p.dial(c, m)
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
	c.proofConn, c.persists, c.will, c.delay = conn, m.persists, m.will, m.delay
	p.follow(goes)
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
	p.check(nil, nil, c.end())
}

// leave ends a connection: cut (0), with a DISCONNECT (1), or with one that asks for the
// will (2).
func (p *proof) leave(c *proofClient, why int) {
	p.must(c.ping()) // its acknowledgements are in
	c.left = time.Now()
	old, will := c.proofConn, c.will
	if why == 1 || why == 2 && !c.v5 {
		will = nil // [MQTT-3.14.4-3]
	}
	c.proofConn, c.will = nil, nil
	if !c.persists {
		c.subs = nil
	}
	if will != nil && c.delay > 0 && c.persists {
		c.delayed, will = will, nil
	}
	p.tell("%s leaves by %d, the will that goes: %v, that waits: %v", c.thing, why, will, c.delayed)
	p.expect(will)
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
	p.follow(will)
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

// comeAndGo ends and begins a connection.
func (p *proof) comeAndGo() {
	c := p.order[p.IntN(len(p.order))]
	switch {
	case p.table.device(c.end()) == nil, c.thing == proofWitness:
	case c.proofConn == nil, p.one(2):
		p.arrive(c, p.anyManner(c))
	default:
		p.leave(c, p.IntN(3))
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

// here are the devices that may not leave the group in the middle of their traffic.
func (p *proof) here() (things []string) {
	for _, c := range p.order {
		if c.proofConn != nil {
			things = append(things, c.thing)
		}
	}
	return things
}

// reload puts another table in force, between messages.
func (p *proof) reload(next *proofTable) {
	p.writeFile(next)
	p.leavers(next)
	generation, err := p.g.reload("gateproof")
	p.must(err)
	p.table = next
	p.tell("reload, generation %d", generation)
	p.forget()
	p.left()
}

// leavers expects the wills of devices that are not in the next table: their sessions end.
func (p *proof) leavers(next *proofTable) {
	for _, c := range p.order {
		if next.device(c.end()) == nil {
			p.expect(c.lastWill())
		}
	}
}

// left sees what becomes of devices that a reload took out of the group, and has some of
// those come that it brought.
func (p *proof) left() {
	var gone []*proofClient
	var wills []*proofProbe
	for _, c := range p.order {
		if p.table.device(c.end()) != nil {
			continue
		}
		if c.proofConn != nil {
			if err := c.wait("the end of a device that was removed", func() bool { return c.ended != nil }); !errors.Is(err, c.ended) {
				p.must(err)
			}
			_ = c.conn.Close()
		}
		gone, wills = append(gone, c), append(wills, c.lastWill())
		c.proofConn, c.subs, c.will, c.delayed = nil, nil, nil, nil
		p.forgive(c)
	}
	for i, c := range gone {
		p.follow(wills[i])
		if p.one(2) {
			conn, _, code := p.dial(c, manner{v5: true, clean: true})
			if _ = conn.conn.Close(); code != 0x87 {
				p.fault("LEAK", nil, fmt.Sprintf("%s is no device, and CONNACK says %#x", c.thing, code))
			}
		}
	}
	for _, c := range p.order {
		if p.table.device(c.end()) != nil && c.subs == nil && p.one(2) {
			p.arrive(c, p.anyManner(c))
		}
	}
}
