package cloudtest

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf8"
)

// The codec reads what a client sends and writes what a server sends, as MQTT
// 3.1.1 and 5 say, and accepts nothing that they call malformed. It is written
// from the standards alone, so that it is an independent check of the gateway's
// client.

// Packet types (MQTT 2.1.2).
const (
	typeConnect     = 1
	typeConnack     = 2
	typePublish     = 3
	typePuback      = 4
	typePubrec      = 5
	typePubrel      = 6
	typePubcomp     = 7
	typeSubscribe   = 8
	typeSuback      = 9
	typeUnsubscribe = 10
	typeUnsuback    = 11
	typePingreq     = 12
	typePingresp    = 13
	typeDisconnect  = 14
	typeAuth        = 15
)

// Reason codes (MQTT 5, 2.4) that AWS uses, see aws-iot.md 2.2.
const (
	codeSuccess           = 0x00
	codeWithWill          = 0x04
	codeNoSubscription    = 0x11
	codeUnspecified       = 0x80
	codeMalformed         = 0x81
	codeProtocolError     = 0x82
	codeBadVersion        = 0x84
	codeBadClientID       = 0x85
	codeBadUserName       = 0x86
	codeNotAuthorized     = 0x87
	codeUnavailable       = 0x88
	codeShuttingDown      = 0x8B
	codeKeepAlive         = 0x8D
	codeTakenOver         = 0x8E
	codeBadFilter         = 0x8F
	codeBadTopic          = 0x90
	codePacketIDInUse     = 0x91
	codeReceiveMaximum    = 0x93
	codeBadAlias          = 0x94
	codePacketTooLarge    = 0x95
	codeQuota             = 0x97
	codeAdministrative    = 0x98
	codeQoSNotSupported   = 0x9B
	codeNoSubscriptionIDs = 0xA1
)

// Protocol levels.
const (
	version4 byte = 4 // MQTT 3.1.1
	version5 byte = 5
)

// breach is what a client did against the standard or a limit; it ends the
// connection with its code.
type breach struct {
	code   byte   // of MQTT 5
	rule   string // token for Violation.Rule
	detail string
}

func (b *breach) Error() string { return fmt.Sprintf("%s (0x%02X): %s", b.rule, b.code, b.detail) }

func malformed(format string, args ...any) error {
	return &breach{codeMalformed, "malformed", fmt.Sprintf(format, args...)}
}

func protocolError(format string, args ...any) error {
	return &breach{codeProtocolError, "protocol", fmt.Sprintf(format, args...)}
}

// readFrame reads one packet: its first byte and what follows the length. A
// packet of more than limit bytes in all is a breach (limit < 0: none).
func readFrame(r *bufio.Reader, limit int) (first byte, body []byte, err error) {
	first, err = r.ReadByte()
	if err != nil {
		return 0, nil, err
	}
	length, size, shift := 0, 1, 0
	for {
		b, err := r.ReadByte()
		if err != nil {
			return 0, nil, err
		}
		size++
		length |= int(b&0x7F) << shift
		if b&0x80 == 0 {
			if b == 0 && shift > 0 { // [MQTT5-1.5.5-1]
				return 0, nil, malformed("the remaining length is not in its shortest form")
			}
			break
		}
		if shift += 7; shift > 21 {
			return 0, nil, malformed("the remaining length has more than 4 bytes")
		}
	}
	if limit >= 0 && length+size > limit {
		return 0, nil, &breach{codePacketTooLarge, "packet-size", fmt.Sprintf("a packet of %d bytes, more than %d", length+size, limit)}
	}
	body = make([]byte, length)
	_, err = io.ReadFull(r, body)
	return first, body, err
}

// cursor reads the fields of a packet's body; the first error stays.
type cursor struct {
	b   []byte
	err error
}

func (c *cursor) fail(format string, args ...any) {
	if c.err == nil {
		c.err = malformed(format, args...)
	}
	c.b = nil
}

func (c *cursor) take(n int) []byte {
	if len(c.b) < n {
		c.fail("the packet ends within a field")
		return make([]byte, min(n, 4))
	}
	part := c.b[:n]
	c.b = c.b[n:]
	return part
}

func (c *cursor) byte() byte     { return c.take(1)[0] }
func (c *cursor) uint16() uint16 { return binary.BigEndian.Uint16(c.take(2)) }
func (c *cursor) uint32() uint32 { return binary.BigEndian.Uint32(c.take(4)) }

func (c *cursor) binary() []byte {
	n := int(c.uint16())
	if len(c.b) < n {
		c.fail("the packet ends within a field")
		return nil
	}
	return c.take(n)
}

// text is a UTF-8 string without U+0000 [MQTT-1.5.3-1, -2; MQTT5-1.5.4-1, -2].
func (c *cursor) text() string {
	b := c.binary()
	if !utf8.Valid(b) {
		c.fail("a string is not UTF-8")
		return ""
	}
	for _, x := range b {
		if x == 0 {
			c.fail("a string holds U+0000")
			return ""
		}
	}
	return string(b)
}

func (c *cursor) varint() uint32 {
	var v uint32
	for shift := 0; shift <= 21; shift += 7 {
		b := c.byte()
		v |= uint32(b&0x7F) << shift
		if b&0x80 == 0 {
			if b == 0 && shift > 0 {
				c.fail("a length is not in its shortest form")
			}
			return v
		}
	}
	c.fail("a length has more than 4 bytes")
	return 0
}

// packetID is never 0 [MQTT-2.3.1-1, MQTT5-2.2.1-3].
func (c *cursor) packetID() uint16 {
	id := c.uint16()
	if id == 0 && c.err == nil {
		c.err = protocolError("a packet id of 0")
	}
	return id
}

// end is the error so far, or that there is more than there should be.
func (c *cursor) end() error {
	if c.err == nil && len(c.b) > 0 {
		c.fail("%d bytes too many in the packet", len(c.b))
	}
	return c.err
}

func appendText[T string | []byte](b []byte, s T) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

func appendVarint(b []byte, n int) []byte {
	for n > 0x7F {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

// frame puts the fixed header before a body.
func frame(first byte, body []byte) []byte {
	f := make([]byte, 0, len(body)+5)
	f = append(f, first)
	f = appendVarint(f, len(body))
	return append(f, body...)
}
