package broker

import (
	"encoding/binary"
	"math"
	"time"
	"unicode/utf8"

	"greengate/core/message"
)

// Packet types in the first nibble of a packet [MQTT 2.1.2].
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

// code is a reason code of MQTT 5 [MQTT 2.4]. As an error it ends the
// connection: a client of MQTT 5 is told, one of 3.1.1 sees the close.
type code byte

const (
	success             code = 0x00
	disconnectWithWill  code = 0x04
	noSubscription      code = 0x11
	malformed           code = 0x81
	protocolError       code = 0x82
	notAuthorized       code = 0x87
	shuttingDown        code = 0x8B
	keepAliveTimeout    code = 0x8D
	sessionTakenOver    code = 0x8E
	filterInvalid       code = 0x8F
	topicNameInvalid    code = 0x90
	packetIDNotFound    code = 0x92
	receiveMaxExceeded  code = 0x93
	topicAliasInvalid   code = 0x94
	packetTooLarge      code = 0x95
	badAuthMethod       code = 0x8C
	unsupportedVersion  code = 0x84
	clientIDInvalid     code = 0x85
	serverUnavailable   code = 0x88
	quotaExceeded       code = 0x97
	adminAction         code = 0x98
	sharedNotSupported  code = 0x9E
	unspecifiedError311 code = 0x80
)

var codeTexts = map[code]string{
	success:            "disconnected",
	disconnectWithWill: "disconnected with its will",
	malformed:          "malformed packet",
	protocolError:      "protocol error",
	notAuthorized:      "not authorized",
	shuttingDown:       "server shutting down",
	keepAliveTimeout:   "keep-alive timeout",
	sessionTakenOver:   "session taken over",
	topicNameInvalid:   "topic name invalid",
	receiveMaxExceeded: "receive maximum exceeded",
	topicAliasInvalid:  "topic alias invalid",
	packetTooLarge:     "packet too large",
	quotaExceeded:      "quota exceeded",
	adminAction:        "administrative action",
}

// Error returns the name of the code in the standard.
func (c code) Error() string {
	if t := codeTexts[c]; t != "" {
		return t
	}
	return "reason code"
}

// Property identifiers that a PUBLISH may carry [MQTT 3.3.2.3].
const (
	propPayloadFormat      = 0x01
	propExpiry             = 0x02
	propContentType        = 0x03
	propResponseTopic      = 0x08
	propCorrelation        = 0x09
	propSubscription       = 0x0B
	propReasonString       = 0x1F
	propTopicAlias         = 0x23
	propUser               = 0x26
	maxVarint              = 268_435_455
	maxHeader              = 5
	dup, retainBit    byte = 0x08, 0x01
)

// publish is a PUBLISH as it lies in the input buffer: nothing is copied.
type publish struct {
	topic    []byte
	payload  []byte
	id       uint16
	qos      byte
	retain   bool
	dup      bool
	alias    uint16
	hasAlias bool
	expires  time.Time
	props    *message.Properties
	user     int // bytes of the user properties
}

// decodePublish reads a PUBLISH from body, whose first byte is after the
// remaining length. Topic and payload point into body.
func decodePublish(p *publish, first byte, body []byte, v5 bool) error {
	*p = publish{qos: first >> 1 & 3, retain: first&retainBit != 0, dup: first&dup != 0}
	if p.qos == 3 || p.qos == 0 && p.dup {
		return malformed // [MQTT-3.3.1-2, -4]
	}
	var ok bool
	if p.topic, body, ok = cutBytes(body); !ok {
		return malformed
	}
	if p.qos > 0 {
		if len(body) < 2 {
			return malformed
		}
		if p.id = binary.BigEndian.Uint16(body); p.id == 0 {
			return protocolError // [MQTT-2.2.1-3]
		}
		body = body[2:]
	}
	if v5 {
		var err error
		if body, err = decodePublishProps(p, body); err != nil {
			return err
		}
	}
	p.payload = body
	return nil
}

// decodePublishProps reads the properties of a PUBLISH and returns the payload.
func decodePublishProps(p *publish, body []byte) (payload []byte, err error) {
	n, size := binary.Uvarint(body[:min(len(body), 4)])
	if size <= 0 || n > uint64(len(body)-size) {
		return nil, malformed
	}
	props, payload := body[size:size+int(n)], body[size+int(n):]
	if n == 0 {
		return payload, nil
	}
	var seen [propUser + 1]bool
	m := &message.Properties{}
	for len(props) > 0 {
		id := props[0]
		props = props[1:]
		if id > propUser {
			return nil, malformed // of no packet, or of another one [MQTT 2.2.2.2]
		}
		if seen[id] && id != propUser {
			return nil, protocolError // each at most once [MQTT 3.3.2.3]
		}
		seen[id] = true
		if props, err = decodeProp(p, m, id, props); err != nil {
			return nil, err
		}
	}
	if seen[propPayloadFormat] || seen[propContentType] || seen[propResponseTopic] || seen[propCorrelation] || seen[propUser] {
		p.props = m
	}
	return payload, nil
}

// decodeProp reads the value of one property.
func decodeProp(p *publish, m *message.Properties, id byte, b []byte) (rest []byte, err error) {
	ok := true
	var text []byte
	switch id {
	case propPayloadFormat:
		if ok = len(b) >= 1 && b[0] <= 1; ok {
			m.PayloadIsUTF8, b = b[0] == 1, b[1:]
		}
	case propExpiry:
		if ok = len(b) >= 4; ok {
			p.expires = time.Now().Add(time.Duration(binary.BigEndian.Uint32(b)) * time.Second)
			b = b[4:]
		}
	case propTopicAlias:
		if ok = len(b) >= 2; ok {
			p.alias, p.hasAlias, b = binary.BigEndian.Uint16(b), true, b[2:]
		}
	case propContentType:
		if text, b, ok = cutText(b); ok {
			m.ContentType = string(text)
		}
	case propResponseTopic:
		if text, b, ok = cutText(b); ok {
			m.ResponseTopic = string(text)
			if message.CheckTopic(m.ResponseTopic) != nil {
				return nil, protocolError // [MQTT-3.3.2-14]
			}
		}
	case propCorrelation:
		m.CorrelationData, b, ok = cutBytes(b)
	case propUser:
		var value []byte
		if text, b, ok = cutText(b); ok {
			if value, b, ok = cutText(b); !ok {
				break
			}
			// What is beyond the bound is looked at, as the standard wants it, and not kept.
			if p.user += 5 + len(text) + len(value); p.user <= message.MaxUserProperties {
				m.User = append(m.User, message.UserProperty{Name: string(text), Value: string(value)})
			}
		}
	case propSubscription:
		return nil, protocolError // a client must not send it [MQTT-3.3.4-6]
	default:
		return nil, malformed
	}
	if !ok {
		return nil, malformed
	}
	return b, nil
}

// cutBytes takes two-byte-length data off b.
func cutBytes(b []byte) (data, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if len(b) < 2+n {
		return nil, nil, false
	}
	return b[2 : 2+n : 2+n], b[2+n:], true
}

// cutText is cutBytes for a UTF-8 string [MQTT-1.5.4-1, -2].
func cutText(b []byte) (text, rest []byte, ok bool) {
	text, rest, ok = cutBytes(b)
	return text, rest, ok && utf8.Valid(text) && !containsZero(text)
}

func containsZero(b []byte) bool {
	for _, c := range b {
		if c == 0 {
			return true
		}
	}
	return false
}

// decodeAck reads PUBACK, PUBREC, PUBREL or PUBCOMP [MQTT 3.4.2]. Its
// properties say nothing that we need.
func decodeAck(kind byte, body []byte, v5 bool) (id uint16, reason code, err error) {
	if len(body) < 2 || !v5 && len(body) != 2 {
		return 0, 0, malformed
	}
	id = binary.BigEndian.Uint16(body)
	if id == 0 {
		return 0, 0, protocolError
	}
	if len(body) > 2 {
		reason = code(body[2])
	}
	if len(body) > 3 {
		if rest, err := checkProperties(kind, body[3:]); err != nil {
			return 0, 0, err
		} else if len(rest) > 0 {
			return 0, 0, malformed
		}
	}
	return id, reason, nil
}

// maxAck is the size of the longest acknowledgement, in bytes.
const maxAck = 5

// appendAck writes PUBACK, PUBREC, PUBREL or PUBCOMP.
func appendAck(b []byte, kind byte, id uint16, reason code, v5 bool) []byte {
	first := kind << 4
	if kind == typePubrel {
		first |= 2
	}
	if v5 && reason != success {
		return append(b, first, 3, byte(id>>8), byte(id), byte(reason))
	}
	return append(b, first, 2, byte(id>>8), byte(id))
}

// appendDisconnect writes the DISCONNECT of a server, which MQTT 5 alone has.
func appendDisconnect(b []byte, reason code) []byte {
	return append(b, typeDisconnect<<4, 2, byte(reason), 0)
}

// outgoing is what differs between the PUBLISH packets that carry one message.
type outgoing struct {
	id     uint16
	qos    byte
	retain bool
	dup    bool
	subIDs []uint32 // subscription identifiers, MQTT 5
	table  uint64   // generation of the table that allowed it; 0: judged already
}

// publishSize returns the remaining length and, for MQTT 5, the length of the
// properties.
func publishSize(m *message.Message, o *outgoing, v5 bool) (remaining, props int) {
	remaining = 2 + len(m.Topic) + len(m.Payload)
	if o.qos > 0 {
		remaining += 2
	}
	if !v5 {
		return remaining, 0
	}
	if !m.Expires.IsZero() {
		props += 5
	}
	for _, id := range o.subIDs {
		props += 1 + varintSize(int(id))
	}
	if p := m.Properties; p != nil {
		props += propertiesSize(p)
	}
	return remaining + varintSize(props) + props, props
}

func propertiesSize(p *message.Properties) (n int) {
	if p.PayloadIsUTF8 {
		n += 2
	}
	for _, l := range [...]int{len(p.ContentType), len(p.ResponseTopic)} {
		if l > 0 {
			n += 3 + l
		}
	}
	if p.CorrelationData != nil {
		n += 3 + len(p.CorrelationData)
	}
	for _, u := range p.User {
		n += 5 + len(u.Name) + len(u.Value)
	}
	return n
}

// appendPublish writes a PUBLISH. remaining and props are publishSize's.
func appendPublish(b []byte, m *message.Message, o *outgoing, v5 bool, remaining, props int) []byte {
	first := byte(typePublish<<4) | o.qos<<1
	if o.retain {
		first |= retainBit
	}
	if o.dup {
		first |= dup
	}
	b = append(b, first)
	b = binary.AppendUvarint(b, uint64(remaining))
	b = append(b, byte(len(m.Topic)>>8), byte(len(m.Topic)))
	b = append(b, m.Topic...)
	if o.qos > 0 {
		b = append(b, byte(o.id>>8), byte(o.id))
	}
	if v5 {
		b = binary.AppendUvarint(b, uint64(props))
		if props > 0 {
			b = appendProperties(b, m, o)
		}
	}
	return append(b, m.Payload...)
}

func appendProperties(b []byte, m *message.Message, o *outgoing) []byte {
	if !m.Expires.IsZero() {
		left := math.Ceil(time.Until(m.Expires).Seconds()) // [MQTT-3.3.2-6]
		b = append(b, propExpiry)
		b = binary.BigEndian.AppendUint32(b, uint32(max(left, 0)))
	}
	for _, id := range o.subIDs {
		b = append(b, propSubscription)
		b = binary.AppendUvarint(b, uint64(id))
	}
	p := m.Properties
	if p == nil {
		return b
	}
	if p.PayloadIsUTF8 {
		b = append(b, propPayloadFormat, 1)
	}
	b = appendText(b, propContentType, p.ContentType)
	b = appendText(b, propResponseTopic, p.ResponseTopic)
	if p.CorrelationData != nil { // empty ones are data, too [MQTT-3.3.2-16]
		b = append(b, propCorrelation, byte(len(p.CorrelationData)>>8), byte(len(p.CorrelationData)))
		b = append(b, p.CorrelationData...)
	}
	for _, u := range p.User {
		b = append(b, propUser, byte(len(u.Name)>>8), byte(len(u.Name)))
		b = append(b, u.Name...)
		b = append(b, byte(len(u.Value)>>8), byte(len(u.Value)))
		b = append(b, u.Value...)
	}
	return b
}

func appendText(b []byte, id byte, text string) []byte {
	if text == "" {
		return b
	}
	b = append(b, id, byte(len(text)>>8), byte(len(text)))
	return append(b, text...)
}

func varintSize(n int) int {
	switch {
	case n < 1<<7:
		return 1
	case n < 1<<14:
		return 2
	case n < 1<<21:
		return 3
	}
	return 4
}
