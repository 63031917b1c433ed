package cloudtest

import "encoding/binary"

type connectPacket struct {
	version   byte // 4 or 5
	clean     bool // clean session, clean start
	keepAlive uint16
	client    string
	props     *properties // nil with 3.1.1
	will      *publishPacket
	willDelay uint32 // seconds
	hasUser   bool
}

// parseConnect reads a CONNECT. An unknown protocol is a breach with code 0x84.
func parseConnect(first byte, body []byte) (*connectPacket, error) {
	if first != typeConnect<<4 {
		return nil, malformed("the flags of CONNECT are %#x", first&0x0F)
	}
	c := cursor{b: body}
	name, level := c.text(), c.byte()
	if c.err != nil {
		return nil, c.err
	}
	if name != "MQTT" || level != version4 && level != version5 {
		return nil, &breach{codeBadVersion, "protocol-version", "protocol " + name}
	}
	p := &connectPacket{version: level}
	flags := c.byte()
	p.clean, p.keepAlive = flags&0x02 != 0, c.uint16()
	if flags&0x01 != 0 {
		c.fail("the reserved flag of CONNECT is set") // [MQTT-3.1.2-3]
	}
	will, qos, retain := flags&0x04 != 0, flags>>3&0x03, flags&0x20 != 0
	switch {
	case qos == 3:
		c.fail("the will has QoS 3")
	case !will && (qos > 0 || retain):
		c.fail("flags of a will, and no will") // [MQTT-3.1.2-11, -13, -15]
	case level == version4 && flags&0xC0 == 0x40:
		c.fail("a password without a user name") // [MQTT-3.1.2-22]
	}
	if level == version5 {
		p.props = c.properties(typeConnect)
	}
	p.client = c.text()
	if will {
		w := &publishPacket{qos: qos, retain: retain}
		if level == version5 {
			w.props = c.properties(willProperties)
			p.willDelay = w.props.numberOr(propWillDelay, 0)
		}
		w.topic, w.payload = c.text(), c.binary()
		p.will = w
	}
	if p.hasUser = flags&0x80 != 0; p.hasUser {
		c.text()
	}
	if flags&0x40 != 0 {
		c.binary()
	}
	return p, c.end()
}

type publishPacket struct {
	topic       string
	payload     []byte
	qos         byte
	retain, dup bool
	id          uint16      // with QoS 1 and 2
	props       *properties // nil with 3.1.1
}

func parsePublish(first byte, body []byte, version byte) (*publishPacket, error) {
	p := &publishPacket{qos: first >> 1 & 0x03, dup: first&0x08 != 0, retain: first&0x01 != 0}
	switch {
	case p.qos == 3:
		return nil, malformed("QoS 3") // [MQTT-3.3.1-4]
	case p.qos == 0 && p.dup:
		return nil, malformed("the DUP flag with QoS 0") // [MQTT-3.3.1-2]
	}
	c := cursor{b: body}
	p.topic = c.text()
	if p.qos > 0 {
		p.id = c.packetID()
	}
	if version == version5 {
		p.props = c.properties(typePublish)
	}
	p.payload = c.b
	return p, c.err
}

// parsePuback reads a PUBACK: its packet id and reason code.
func parsePuback(first byte, body []byte, version byte) (id uint16, code byte, err error) {
	if first != typePuback<<4 {
		return 0, 0, malformed("the flags of PUBACK are %#x", first&0x0F)
	}
	c := cursor{b: body}
	id = c.packetID()
	if version == version5 && len(c.b) > 0 {
		if code = c.byte(); len(c.b) > 0 {
			c.properties(typePuback)
		}
	}
	return id, code, c.end()
}

type subscribePacket struct {
	id      uint16
	props   *properties
	filters []subscription
}

// subscription is one filter with its options (MQTT 5, 3.8.3.1).
type subscription struct {
	filter         string
	qos            byte
	noLocal        bool
	keepRetain     bool // Retain As Published
	retainHandling byte // 0 send, 1 send when new, 2 do not send
}

func parseSubscribe(first byte, body []byte, version byte) (*subscribePacket, error) {
	if first != typeSubscribe<<4|2 {
		return nil, malformed("the flags of SUBSCRIBE are %#x", first&0x0F) // [MQTT-3.8.1-1]
	}
	c := cursor{b: body}
	p := &subscribePacket{id: c.packetID()}
	if version == version5 {
		p.props = c.properties(typeSubscribe)
	}
	for len(c.b) > 0 {
		s := subscription{filter: c.text()}
		options := c.byte()
		s.qos = options & 0x03
		reserved := byte(0xFC)
		if version == version5 {
			reserved = 0xC0
			s.noLocal, s.keepRetain, s.retainHandling = options&0x04 != 0, options&0x08 != 0, options>>4&0x03
		}
		if options&reserved != 0 || s.qos == 3 || s.retainHandling == 3 {
			c.fail("the options %#x of a subscription", options) // [MQTT-3-8.3-4]
		}
		p.filters = append(p.filters, s)
	}
	if c.err == nil && len(p.filters) == 0 {
		c.err = protocolError("a SUBSCRIBE without filters") // [MQTT-3.8.3-3]
	}
	return p, c.end()
}

func parseUnsubscribe(first byte, body []byte, version byte) (id uint16, filters []string, err error) {
	if first != typeUnsubscribe<<4|2 {
		return 0, nil, malformed("the flags of UNSUBSCRIBE are %#x", first&0x0F)
	}
	c := cursor{b: body}
	id = c.packetID()
	if version == version5 {
		c.properties(typeUnsubscribe)
	}
	for len(c.b) > 0 {
		filters = append(filters, c.text())
	}
	if c.err == nil && len(filters) == 0 {
		c.err = protocolError("an UNSUBSCRIBE without filters")
	}
	return id, filters, c.end()
}

// parseDisconnect reads a DISCONNECT: its code and, if it is there, the new
// session expiry in seconds.
func parseDisconnect(first byte, body []byte, version byte) (code byte, expiry *uint32, err error) {
	if first != typeDisconnect<<4 {
		return 0, nil, malformed("the flags of DISCONNECT are %#x", first&0x0F)
	}
	c := cursor{b: body}
	if version == version5 && len(c.b) > 0 {
		if code = c.byte(); len(c.b) > 0 {
			if v, ok := c.properties(typeDisconnect).number[propSessionExpiry]; ok {
				expiry = &v
			}
		}
	}
	return code, expiry, c.end()
}

// encodePublish writes a PUBLISH to a client. It sets no DUP flag: AWS does not
// support it (aws-iot.md 2.1).
func encodePublish(version byte, topic string, payload []byte, qos byte, retain bool, id uint16, props *Properties) []byte {
	first := byte(typePublish<<4) | qos<<1
	if retain {
		first |= 1
	}
	body := appendText(make([]byte, 0, len(topic)+len(payload)+8), topic)
	if qos > 0 {
		body = binary.BigEndian.AppendUint16(body, id)
	}
	if version == version5 {
		var l propertyList
		l.publish(props)
		body = l.appendTo(body)
	}
	return frame(first, append(body, payload...))
}

// encodeAck writes a PUBACK.
func encodePuback(version byte, id uint16, code byte) []byte {
	body := binary.BigEndian.AppendUint16(nil, id)
	if version == version5 && code != codeSuccess {
		body = append(body, code)
	}
	return frame(typePuback<<4, body)
}

// encodeSuback writes a SUBACK, or with typeUnsuback an UNSUBACK.
func encodeSuback(packet, version byte, id uint16, codes []byte) []byte {
	body := binary.BigEndian.AppendUint16(nil, id)
	if version == version5 {
		body = append(body, 0) // no properties
	}
	if packet == typeSuback || version == version5 {
		body = append(body, codes...)
	}
	return frame(packet<<4, body)
}

func encodeConnack(version byte, present bool, code byte, l propertyList) []byte {
	body := []byte{0, code}
	if present {
		body[0] = 1
	}
	if version == version5 {
		body = l.appendTo(body)
	}
	return frame(typeConnack<<4, body)
}

func encodeDisconnect(code byte, reason string) []byte {
	var l propertyList
	if reason != "" {
		l.text(propReason, reason)
	}
	return frame(typeDisconnect<<4, l.appendTo([]byte{code}))
}
