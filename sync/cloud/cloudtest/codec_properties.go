package cloudtest

import (
	"encoding/binary"
	"slices"
)

// Property identifiers (MQTT 5, 2.2.2.2).
const (
	propPayloadFormat       = 0x01
	propMessageExpiry       = 0x02
	propContentType         = 0x03
	propResponseTopic       = 0x08
	propCorrelationData     = 0x09
	propSubscriptionID      = 0x0B
	propSessionExpiry       = 0x11
	propAssignedClientID    = 0x12
	propServerKeepAlive     = 0x13
	propAuthMethod          = 0x15
	propAuthData            = 0x16
	propRequestProblem      = 0x17
	propWillDelay           = 0x18
	propRequestResponse     = 0x19
	propReason              = 0x1F
	propReceiveMaximum      = 0x21
	propTopicAliasMaximum   = 0x22
	propTopicAlias          = 0x23
	propMaximumQoS          = 0x24
	propRetainAvailable     = 0x25
	propUser                = 0x26
	propMaximumPacketSize   = 0x27
	propWildcardAvailable   = 0x28
	propSubscriptionIDAvail = 0x29
	propSharedAvailable     = 0x2A
)

// The forms of a property's value.
const (
	formByte = iota + 1
	formUint16
	formUint32
	formVarint
	formText
	formBinary
	formPair
)

// willProperties stands for the will's properties in CONNECT, which have a
// table of their own; no packet has this type.
const willProperties = 16

// propertyRules says for each property that a client may send its form and in
// which packets.
var propertyRules = map[byte]struct {
	form byte
	in   []byte
}{
	propPayloadFormat:     {formByte, []byte{typePublish, willProperties}},
	propMessageExpiry:     {formUint32, []byte{typePublish, willProperties}},
	propContentType:       {formText, []byte{typePublish, willProperties}},
	propResponseTopic:     {formText, []byte{typePublish, willProperties}},
	propCorrelationData:   {formBinary, []byte{typePublish, willProperties}},
	propSubscriptionID:    {formVarint, []byte{typeSubscribe}}, // in a client's PUBLISH: [MQTT5-3.3.4-6]
	propSessionExpiry:     {formUint32, []byte{typeConnect, typeDisconnect}},
	propAuthMethod:        {formText, []byte{typeConnect, typeAuth}},
	propAuthData:          {formBinary, []byte{typeConnect, typeAuth}},
	propRequestProblem:    {formByte, []byte{typeConnect}},
	propWillDelay:         {formUint32, []byte{willProperties}},
	propRequestResponse:   {formByte, []byte{typeConnect}},
	propReason:            {formText, []byte{typePuback, typeDisconnect, typeAuth}},
	propReceiveMaximum:    {formUint16, []byte{typeConnect}},
	propTopicAliasMaximum: {formUint16, []byte{typeConnect}},
	propTopicAlias:        {formUint16, []byte{typePublish}},
	propMaximumPacketSize: {formUint32, []byte{typeConnect}},
	propUser: {formPair, []byte{typeConnect, typePublish, typePuback, typeSubscribe,
		typeUnsubscribe, typeDisconnect, typeAuth, willProperties}},
}

// properties are those of one packet.
type properties struct {
	number map[byte]uint32
	text   map[byte]string
	user   [][2]string
}

func (p *properties) has(id byte) bool {
	_, n := p.number[id]
	_, t := p.text[id]
	return n || t
}

// numberOr is the value of a number, or otherwise.
func (p *properties) numberOr(id byte, otherwise uint32) uint32 {
	if v, ok := p.number[id]; ok {
		return v
	}
	return otherwise
}

// properties reads a property list of the packet type.
func (c *cursor) properties(packet byte) *properties {
	p := &properties{number: map[byte]uint32{}, text: map[byte]string{}}
	length := int(c.varint())
	list := cursor{b: c.take(length)}
	if c.err != nil {
		return p
	}
	for len(list.b) > 0 && list.err == nil {
		list.property(packet, p)
	}
	c.err = list.err
	return p
}

func (c *cursor) property(packet byte, p *properties) {
	id := c.byte() // a varint, but none has more than one byte
	rule, known := propertyRules[id]
	if !known || !slices.Contains(rule.in, packet) {
		if c.err == nil {
			c.err = protocolError("property 0x%02X in packet type %d", id, packet)
		}
		return
	}
	if id != propUser && p.has(id) {
		c.err = protocolError("property 0x%02X twice", id)
		return
	}
	switch rule.form {
	case formByte:
		if v := c.byte(); v > 1 { // all of a client's bytes are 0 or 1
			c.err = protocolError("property 0x%02X is %d, neither 0 nor 1", id, v)
		} else {
			p.number[id] = uint32(v)
		}
	case formUint16:
		p.number[id] = uint32(c.uint16())
	case formUint32:
		p.number[id] = c.uint32()
	case formVarint:
		p.number[id] = c.varint()
	case formText:
		p.text[id] = c.text()
	case formBinary:
		p.text[id] = string(c.binary())
	case formPair:
		p.user = append(p.user, [2]string{c.text(), c.text()})
	}
	zeroIsWrong := id == propReceiveMaximum || id == propMaximumPacketSize || id == propSubscriptionID
	if v, ok := p.number[id]; ok && v == 0 && zeroIsWrong && c.err == nil {
		c.err = protocolError("property 0x%02X is 0", id)
	}
}

// publish returns the properties that reach a subscriber; nil when there are
// none.
func (p *properties) publish() *Properties {
	out := Properties{
		ContentType:   p.text[propContentType],
		ResponseTopic: p.text[propResponseTopic],
		User:          p.user,
	}
	if v, ok := p.number[propPayloadFormat]; ok {
		b := byte(v)
		out.PayloadFormat = &b
	}
	if v, ok := p.number[propMessageExpiry]; ok {
		out.MessageExpiry = &v
	}
	if v, ok := p.text[propCorrelationData]; ok {
		out.CorrelationData = []byte(v)
	}
	if out.PayloadFormat == nil && out.MessageExpiry == nil && out.ContentType == "" &&
		out.ResponseTopic == "" && out.CorrelationData == nil && len(out.User) == 0 {
		return nil
	}
	return &out
}

// propertyList builds a property list to send.
type propertyList []byte

func (l *propertyList) byte(id, v byte) { *l = append(*l, id, v) }
func (l *propertyList) uint16(id byte, v uint16) {
	*l = binary.BigEndian.AppendUint16(append(*l, id), v)
}
func (l *propertyList) uint32(id byte, v uint32) {
	*l = binary.BigEndian.AppendUint32(append(*l, id), v)
}
func (l *propertyList) text(id byte, v string) { *l = appendText(append(*l, id), v) }
func (l *propertyList) publish(p *Properties) {
	if p == nil {
		return
	}
	if p.PayloadFormat != nil {
		l.byte(propPayloadFormat, *p.PayloadFormat)
	}
	if p.MessageExpiry != nil {
		l.uint32(propMessageExpiry, *p.MessageExpiry)
	}
	if p.ContentType != "" {
		l.text(propContentType, p.ContentType)
	}
	if p.ResponseTopic != "" {
		l.text(propResponseTopic, p.ResponseTopic)
	}
	if p.CorrelationData != nil {
		l.text(propCorrelationData, string(p.CorrelationData))
	}
	for _, u := range p.User {
		*l = appendText(appendText(append(*l, propUser), u[0]), u[1])
	}
}

// appendTo appends the list with its length before it.
func (l propertyList) appendTo(b []byte) []byte {
	return append(appendVarint(b, len(l)), l...)
}
