package broker_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"greengate/core/broker"
	"greengate/core/router"
)

var v5 = connectOptions{v5: true}

// kept5 is a session of MQTT 5 that outlives its connection.
var kept5 = connectOptions{v5: true, persist: true, props: []byte{0x11, 0, 0, 14, 16}}

// userProps are n user properties without a name and a value.
func userProps(n int) []byte { return bytes.Repeat([]byte{0x26, 0, 0, 0, 0}, n) }

// mostUserProps is how many of them a message may have.
const mostUserProps = 16 << 10 / 5

// publishProps sends a PUBLISH of MQTT 5 with properties.
func (c *client) publishProps(topic string, qos byte, props []byte, payload string) {
	c.t.Helper()
	parts := [][]byte{text(topic)}
	if qos > 0 {
		parts = append(parts, c.id())
	}
	c.write(packet(0x30|qos<<1, append(parts, properties(props...), []byte(payload))...))
}

func reasons(s *site, why router.Reason) (n uint64) {
	s.router.Reasons(func(_ router.Verdict, r router.Reason, count uint64) {
		if r == why {
			n += count
		}
	})
	return n
}

// awayWith has a thing subscribe in a session that is kept, and leave.
func (s *site) awayWith(thing, filter string) {
	s.t.Helper()
	c := s.connect(thing, kept5)
	c.subscribe(1, filter)
	c.conn.Close()
	s.until(thing+" is away", func() bool { return !s.connected(thing) })
}

// A message with more user properties than may be is refused in words, and costs its
// client neither the connection nor the topic alias that came with it.
func TestTooManyUserProperties(t *testing.T) {
	s := start(t, everything)
	a, b := s.connect("a", v5), s.connect("b", v5)
	b.subscribe(2, "#")
	many := userProps(800_000)
	for qos, kind := range []byte{0, 0x40, 0x50} {
		a.publishProps("t", byte(qos), append([]byte{0x23, 0, byte(qos + 1)}, many...), "")
		if qos == 0 {
			continue
		}
		if ack := a.expect(kind); len(ack) < 3 || ack[2] != 0x97 {
			t.Errorf("QoS %d is answered % x, want 0x97", qos, ack)
		}
	}
	if n := reasons(s, "user-properties"); n != 3 {
		t.Errorf("%d refusals are counted, want 3", n)
	}
	a.publishProps("", 0, append([]byte{0x23, 0, 2}, userProps(mostUserProps)...), "by alias")
	if g := b.message(); g.topic != "t" || g.payload != "by alias" || len(g.props) != 5*mostUserProps {
		t.Errorf("got %q with %d bytes of properties on %s", g.payload, len(g.props), g.topic)
	}
	// One that ends in the middle of what is not kept is malformed all the same.
	a.publishProps("t", 1, append(many, 0x26, 0), "")
	if code := a.closed(); code != 0x81 {
		t.Errorf("closed with %#x, want 0x81", code)
	}
	for name, c := range map[string]connectOptions{
		"of the CONNECT": {v5: true, props: userProps(mostUserProps + 1)},
		"of a will":      {v5: true, flags: 4, payload: slices.Concat(properties(userProps(mostUserProps+1)...), text("t"), text("x"))},
	} {
		if ack := s.dial("c").hello("c", c); ack[1] != 0x97 {
			t.Errorf("user properties %s: CONNACK %#x, want 0x97", name, ack[1])
		}
	}
}

// What the properties of waiting messages take counts in the bound of the queue.
func TestPropertiesCountInTheQueue(t *testing.T) {
	s := start(t, everything)
	s.awayWith("b", "#")
	a := s.connect("a", v5)
	for range 350 { // 6 MB in packets, and more than 64 MiB in memory
		a.publishProps("t", 1, userProps(mostUserProps), "")
		a.expect(0x40)
	}
	if n := reasons(s, "queue-full"); n < 20 || n > 120 {
		t.Errorf("%d of 350 are dropped", n)
	}
	retains := func(i int) {
		a.write(packet(0x31, text(fmt.Sprint("kept/", i)), properties(userProps(mostUserProps)...), []byte("x")))
	}
	for i := range 200 {
		retains(i)
	}
	a.silent()
	if n := reasons(s, "retained-full"); n < 20 || n > 100 {
		t.Errorf("%d of 200 are not retained", n)
	}
}

// What was sent and is not acknowledged counts as well, until it is, when it may be sent
// again.
func TestUnacknowledgedCounts(t *testing.T) {
	s := start(t, everything, func(o *broker.Options) { o.Memory = 64 << 20 }) // 16 MiB for all
	a, b := s.connect("a", v5), s.connect("b", kept5)
	b.subscribe(1, "t")
	large := strings.Repeat("x", 1<<20)
	var acks []byte
	for range 2 {
		for i := range 20 {
			if code := a.publish("t", 1, large); code != 0 {
				t.Fatalf("PUBACK %#x", code)
			}
			if i < 15 { // b reads, and acknowledges nothing
				first, body, err := b.read()
				if err != nil || first>>4 != 3 {
					t.Fatalf("message %d: %#x, %v", i, first, err)
				}
				acks = append(acks, packet(0x40, binary.BigEndian.AppendUint16(nil, b.decode(first, body).id))...)
			}
		}
		b.write(acks) // then there is room again
		b.silent()
		acks = nil
	}
	if n := reasons(s, "queue-full"); n != 10 {
		t.Errorf("%d of 40 MiB are dropped, want 10", n)
	}
	if n := s.settled(); n.Delivered != 30 {
		t.Errorf("ledger %+v", n)
	}
}

// What a session has booked of the bound of all ahead of its messages, it gives back: all
// but what waits when its client leaves, and all when that is acknowledged.
func TestBookedIsGivenBack(t *testing.T) {
	s := start(t, everything)
	a, b := s.connect("a", v5), s.connect("b", kept5)
	b.subscribe(1, "t")
	const n, payload = 100, "payload"
	for range n {
		a.publish("t", 1, payload)
	}
	const each = int64(len("t") + len(payload) + 200)
	if got := s.broker.Booked(); got < n*each || got > 2*n*each {
		t.Errorf("%d bytes are booked, want %d to twice that", got, n*each)
	}
	b.conn.Close()
	s.until("b is away", func() bool { return !s.connected("b") })
	if got := s.broker.Booked(); got != n*each {
		t.Errorf("%d bytes are booked while b is away, want %d", got, n*each)
	}
	b = s.connect("b", kept5)
	for range n {
		b.message()
	}
	s.until("nothing is booked", func() bool { return s.broker.Booked() == 0 })
}

// A start keeps to the bounds of today: what is beyond them is dropped, counted, and gone
// from the disk.
func TestStartKeepsTheBounds(t *testing.T) {
	d := newDisk(t)
	large := strings.Repeat("x", 100<<10)
	d.startOn(everything, func(s *site) {
		c := s.connect("b", kept5)
		for i := range 40 {
			c.subscribe(1, fmt.Sprintf("%d%s", i, strings.Repeat("/x", 200)))
		}
		c.subscribe(1, "t/#")
		c.conn.Close()
		s.until("b is away", func() bool { return !s.connected("b") })
		a := s.connect("a", v5)
		for i := range 30 {
			a.publish(fmt.Sprint("t/", i), 1, large, true)
		}
	})
	small := func(o *broker.Options) { o.Memory = 8 << 20 } // 2 MiB wait, 1 MiB is retained, and of filters
	d.t.Run("small", func(t *testing.T) {
		on := d.open()
		t.Cleanup(d.stop)
		s := start(t, everything, on, small)
		if n := s.router.Ledger(); n.Accepted != 30 || n.Waiting != 20 || n.Dropped != 10 {
			t.Errorf("ledger %+v", n)
		}
		if queued, kept, filters := reasons(s, "queue-full"), reasons(s, "retained-full"), reasons(s, "filter-limit"); queued != 10 || kept != 20 || filters < 20 || filters > 30 {
			t.Errorf("dropped are %d messages, %d retained ones and %d filters", queued, kept, filters)
		}
	})
	d.startOn(everything, func(s *site) {
		if n := s.router.Ledger(); n.Accepted != 20 || n.Waiting != 20 {
			t.Errorf("after that: %+v", n)
		}
		kept := strings.Count(seen(s.broker, ""), ",")
		if kept != 10 || reasons(s, "retained-full")+reasons(s, "filter-limit") != 0 {
			t.Errorf("after that %d are retained", kept)
		}
	})
}

// What makes the gateway close a connection, or refuse a filter, is counted.
func TestFaultsAreCounted(t *testing.T) {
	s := start(t, everything, func(o *broker.Options) {
		o.Config.StrictSubscribe = true
		o.Feeds = func(_, filter string) bool { return filter != "never" }
	})
	for why, sent := range map[router.Reason][]byte{
		"packet-too-large": {0x30, 0xff, 0xff, 0xff, 0x7f},
		"topic-alias":      packet(0x30, text("t"), properties(0x23, 0, 33)),
		"topic-invalid":    packet(0x30, text(strings.Repeat("/", 256)), properties()),
		"malformed":        packet(0x36, text("t"), []byte{0, 1}, properties()),
		"protocol-error":   packet(0x10, text("MQTT"), []byte{5, 2, 0, 0}, properties(), text("a")),
	} {
		c := s.connect("a", v5)
		c.write(sent)
		c.closed()
		if n := reasons(s, why); n != 1 {
			t.Errorf("%s is counted %d times", why, n)
		}
	}
	c := s.connect("a", v5)
	for i := range 1025 {
		c.write(packet(0x34, text("t"), binary.BigEndian.AppendUint16(nil, uint16(i+1)), properties()))
	}
	c.closed()
	if n := reasons(s, "receive-maximum"); n != 1 {
		t.Errorf("the receive maximum is counted %d times", n)
	}
	c = s.connect("a", v5)
	c.subscribe(1, "never", "$share/g/t", "a#", "b#", "t")
	for why, want := range map[router.Reason]uint64{"strict-subscribe": 1, "shared-subscription": 1, "filter-invalid": 2} {
		if n := reasons(s, why); n != want {
			t.Errorf("%s is counted %d times, want %d", why, n, want)
		}
	}
}
