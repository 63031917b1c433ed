package broker_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"unicode/utf8"
)

// What follows reads the packets of a server as the standards define them, and shares
// nothing with the broker.

// answer is one packet of the server.
type answer struct {
	kind    byte // the first nibble
	size    int  // of the packet, in bytes
	publish got  // of a PUBLISH
}

// cursor takes a packet apart. Its first fault stays.
type cursor struct {
	b   []byte
	bad string
}

func (c *cursor) fault(format string, args ...any) {
	if c.bad == "" {
		c.bad = fmt.Sprintf(format, args...)
	}
	c.b = nil
}

func (c *cursor) take(n int) []byte {
	if n > len(c.b) {
		c.fault("%d bytes more are wanted than there are", n-len(c.b))
		return make([]byte, min(n, 4))
	}
	taken := c.b[:n]
	c.b = c.b[n:]
	return taken
}

func (c *cursor) u8() byte { return c.take(1)[0] }
func (c *cursor) u16() int { return int(binary.BigEndian.Uint16(c.take(2))) }

func (c *cursor) data() []byte { return c.take(c.u16()) }

func (c *cursor) text() string {
	s := c.data()
	if !utf8.Valid(s) || slices.Contains(s, 0) {
		c.fault("% x is no text", s)
	}
	return string(s)
}

func (c *cursor) varint() int {
	n, size := binary.Uvarint(c.b[:min(len(c.b), 4)])
	if size <= 0 || size > 1 && c.b[size-1] == 0 { // as short as can be [MQTT-1.5.5-1]
		c.fault("a length that is none")
		return 0
	}
	c.b = c.b[size:]
	return int(n)
}

// serverProperties are the properties that a server may send with a packet, by its
// type, and how they are written [MQTT 2.2.2.2].
var serverProperties = map[byte]map[byte]func(*cursor){
	2:  {0x11: u32, 0x21: notZero16, 0x24: bit, 0x25: bit, 0x27: u32, 0x12: str, 0x22: u16, 0x1F: str, 0x26: pair, 0x28: bit, 0x29: bit, 0x2A: bit, 0x13: u16, 0x1A: str, 0x1C: str, 0x15: str, 0x16: bin},
	3:  {0x01: bit, 0x02: u32, 0x23: notZero16, 0x08: str, 0x09: bin, 0x26: pair, 0x0B: notZeroVarint, 0x03: str},
	4:  {0x1F: str, 0x26: pair},
	5:  {0x1F: str, 0x26: pair},
	6:  {0x1F: str, 0x26: pair},
	7:  {0x1F: str, 0x26: pair},
	9:  {0x1F: str, 0x26: pair},
	11: {0x1F: str, 0x26: pair},
	14: {0x1F: str, 0x26: pair, 0x1C: str},
}

func u16(c *cursor)  { c.u16() }
func u32(c *cursor)  { c.take(4) }
func str(c *cursor)  { c.text() }
func bin(c *cursor)  { c.data() }
func pair(c *cursor) { c.text(); c.text() }
func bit(c *cursor) {
	if v := c.u8(); v > 1 {
		c.fault("%d is neither 0 nor 1", v)
	}
}
func notZero16(c *cursor) {
	if c.u16() == 0 {
		c.fault("0 is not allowed")
	}
}
func notZeroVarint(c *cursor) {
	if c.varint() == 0 {
		c.fault("0 is not allowed")
	}
}

// properties reads properties, each of which may come once, but for those of users and
// subscriptions.
func (c *cursor) properties(kind byte) {
	n := c.varint()
	in := cursor{b: c.take(n)}
	seen := map[byte]bool{}
	for len(in.b) > 0 {
		id := in.u8()
		read := serverProperties[kind][id]
		if read == nil || seen[id] && id != 0x26 && (id != 0x0B || kind != 3) {
			in.fault("property %#x does not belong there", id)
			break
		}
		seen[id] = true
		read(&in)
	}
	if in.bad != "" {
		c.fault("properties: %s", in.bad)
	}
}

// parseAnswers reads all that a server has sent on one connection. The last packet may
// be cut short where the connection ended.
func parseAnswers(b []byte) (all []answer, v5 bool, err error) {
	for len(b) > 0 {
		n, size := binary.Uvarint(b[1:min(len(b), 5)])
		if size < 0 || size == 0 && len(b) >= 5 {
			return all, v5, fmt.Errorf("packet %d: a length that is none: % x", len(all), b[:5])
		}
		if size == 0 || uint64(len(b)-1-size) < n {
			return all, v5, nil
		}
		first, in := b[0], cursor{b: b[1+size : 1+size+int(n)]}
		b = b[1+size+int(n):]
		if len(all) == 0 {
			v5 = n != 2 // CONNACK of MQTT 3.1.1 is that long [MQTT 3.2.1]
		}
		a := in.answer(first, v5)
		a.size = 1 + size + int(n)
		if len(in.b) > 0 {
			in.fault("%d bytes are left over", len(in.b))
		}
		if (a.kind == 2) != (len(all) == 0) {
			in.fault("CONNACK comes first and once")
		}
		if len(all) > 0 && all[len(all)-1].kind == 14 {
			in.fault("it follows a DISCONNECT") // [MQTT-3.14.4-1]
		}
		if in.bad != "" {
			return all, v5, fmt.Errorf("packet %d, %#x of %d bytes: %s", len(all), first, n, in.bad)
		}
		all = append(all, a)
	}
	return all, v5, nil
}

// answer reads one packet.
func (c *cursor) answer(first byte, v5 bool) answer {
	a := answer{kind: first >> 4}
	if flags := first & 15; a.kind != 3 && (a.kind == 6) != (flags == 2) || a.kind != 3 && flags&^2 != 0 {
		c.fault("flags %x", flags)
	}
	switch a.kind {
	case 2:
		c.connack(v5)
	case 3:
		a.publish = c.publish(first, v5)
	case 4, 5, 6, 7:
		c.id()
		if v5 && len(c.b) > 0 {
			c.u8()
			if len(c.b) > 0 {
				c.properties(a.kind)
			}
		}
	case 9, 11:
		c.id()
		if v5 {
			c.properties(a.kind)
		}
		codes := c.take(len(c.b))
		if (len(codes) == 0) != (a.kind == 11 && !v5) {
			c.fault("%d codes", len(codes))
		}
		for _, code := range codes {
			if code > 2 && code < 0x80 && (a.kind == 9 || code != 0x11) || !v5 && code > 2 && code != 0x80 {
				c.fault("code %#x", code)
			}
		}
	case 13:
	case 14:
		if !v5 {
			c.fault("MQTT 3.1.1 has no DISCONNECT of servers")
		}
		if code := c.u8(); code < 0x80 {
			c.fault("code %#x", code)
		}
		if len(c.b) > 0 {
			c.properties(a.kind)
		}
	default:
		c.fault("no server sends that")
	}
	return a
}

func (c *cursor) id() int {
	id := c.u16()
	if id == 0 {
		c.fault("packet id 0")
	}
	return id
}

func (c *cursor) connack(v5 bool) {
	present, code := c.u8(), c.u8()
	if present > 1 || present == 1 && code != 0 || !v5 && code > 5 || v5 && code > 0 && code < 0x80 {
		c.fault("session present %d with code %#x", present, code) // [MQTT-3.2.2-6]
	}
	if v5 {
		c.properties(2)
	}
}

func (c *cursor) publish(first byte, v5 bool) got {
	g := got{qos: first >> 1 & 3, retain: first&1 != 0, dup: first&8 != 0}
	g.topic = c.text()
	if g.qos == 3 || g.dup && g.qos == 0 {
		c.fault("flags %x", first&15)
	}
	if g.topic == "" {
		c.fault("no topic")
	}
	if g.qos > 0 {
		g.id = uint16(c.id())
	}
	if v5 {
		c.properties(3)
	}
	g.payload = string(c.take(len(c.b)))
	return g
}
