package broker

import (
	"encoding/binary"

	"greengate/core/message"
)

// Property identifiers that only other packets than PUBLISH carry [MQTT 2.2.2.2].
const (
	propSessionExpiry      = 0x11
	propAuthMethod         = 0x15
	propAuthData           = 0x16
	propProblemInfo        = 0x17
	propWillDelay          = 0x18
	propResponseInfo       = 0x19
	propReceiveMax         = 0x21
	propAliasMax           = 0x22
	propMaxPacket          = 0x27
	willProps         byte = 0 // stands for the properties of a will; no packet has that type
)

// dataType is how the value of a property is written [MQTT 2.2.2.2].
type dataType byte

const (
	notKnown dataType = iota
	oneByte           // 0 or 1
	twoBytes
	fourBytes
	varint
	utf8Text
	binaryData
	textPair
)

// property is what the standard says about one property that a client may send.
type property struct {
	data    dataType
	packets uint16 // bit n: packets of type n
	notZero bool
}

func carriedBy(kinds ...byte) (packets uint16) {
	for _, k := range kinds {
		packets |= 1 << k
	}
	return packets
}

// propertyRules are all properties that a client may send, but those of a PUBLISH.
var propertyRules = [propMaxPacket + 1]property{
	propPayloadFormat: {oneByte, carriedBy(willProps), false},
	propExpiry:        {fourBytes, carriedBy(willProps), false},
	propContentType:   {utf8Text, carriedBy(willProps), false},
	propResponseTopic: {utf8Text, carriedBy(willProps), false},
	propCorrelation:   {binaryData, carriedBy(willProps), false},
	propSubscription:  {varint, carriedBy(typeSubscribe), true},
	propSessionExpiry: {fourBytes, carriedBy(typeConnect, typeDisconnect), false},
	propAuthMethod:    {utf8Text, carriedBy(typeConnect), false},
	propAuthData:      {binaryData, carriedBy(typeConnect), false},
	propProblemInfo:   {oneByte, carriedBy(typeConnect), false},
	propWillDelay:     {fourBytes, carriedBy(willProps), false},
	propResponseInfo:  {oneByte, carriedBy(typeConnect), false},
	propReasonString:  {utf8Text, carriedBy(typePuback, typePubrec, typePubrel, typePubcomp, typeDisconnect), false},
	propReceiveMax:    {twoBytes, carriedBy(typeConnect), true},
	propAliasMax:      {twoBytes, carriedBy(typeConnect), false},
	propUser: {textPair, carriedBy(willProps, typeConnect, typePuback, typePubrec, typePubrel, typePubcomp,
		typeSubscribe, typeUnsubscribe, typeDisconnect), false},
	propMaxPacket: {fourBytes, carriedBy(typeConnect), true},
}

// checkProperties looks at the properties of a packet, at whose length b begins, and
// returns what follows them. Those of a PUBLISH are checked as they are read. Its
// error is a code.
func checkProperties(kind byte, b []byte) (rest []byte, err error) {
	n, size := binary.Uvarint(b[:min(len(b), 4)])
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, malformed
	}
	b, rest = b[size:size+int(n)], b[size+int(n):]
	var seen uint64
	user := 0 // bytes
	for len(b) > 0 {
		id := b[0]
		if int(id) >= len(propertyRules) || propertyRules[id].packets&(1<<kind) == 0 {
			return nil, malformed // [MQTT 2.2.2.2]
		}
		if seen&(1<<id) != 0 && id != propUser {
			return nil, protocolError
		}
		seen |= 1 << id
		before := len(b)
		if b, err = checkValue(id, b[1:]); err != nil {
			return nil, err
		}
		// Nobody keeps those of other packets.
		if id == propUser && (kind == typeConnect || kind == willProps) {
			if user += before - len(b); user > message.MaxUserProperties {
				return nil, quotaExceeded
			}
		}
	}
	if seen&(1<<propAuthData) != 0 && seen&(1<<propAuthMethod) == 0 {
		return nil, protocolError
	}
	return rest, nil
}

// checkValue takes the value of one property off b.
func checkValue(id byte, b []byte) (rest []byte, err error) {
	p := propertyRules[id]
	var value []byte
	ok, zero := false, false
	switch p.data {
	case oneByte:
		if value, rest, ok = cut(b, 1); ok && value[0] > 1 {
			return nil, protocolError
		}
	case twoBytes:
		if value, rest, ok = cut(b, 2); ok {
			zero = binary.BigEndian.Uint16(value) == 0
		}
	case fourBytes:
		if value, rest, ok = cut(b, 4); ok {
			zero = binary.BigEndian.Uint32(value) == 0
		}
	case varint:
		n, size := binary.Uvarint(b[:min(len(b), 4)])
		if ok = size > 0; ok {
			zero, rest = n == 0, b[size:]
		}
	case utf8Text:
		if value, rest, ok = cutText(b); ok && id == propResponseTopic {
			return rest, checkResponseTopic(value)
		}
		if ok && id == propAuthMethod && len(value) == 0 {
			return nil, badAuthMethod
		}
	case binaryData:
		_, rest, ok = cutBytes(b)
	case textPair:
		if _, rest, ok = cutText(b); ok {
			_, rest, ok = cutText(rest)
		}
	}
	switch {
	case !ok:
		return nil, malformed
	case zero && p.notZero:
		return nil, protocolError
	}
	return rest, nil
}

// cut takes n bytes off b.
func cut(b []byte, n int) (value, rest []byte, ok bool) {
	if len(b) < n {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

// findExpiry looks for a session expiry in properties that were checked.
func findExpiry(b []byte) (seconds uint32, ok bool) {
	n, size := binary.Uvarint(b)
	for b = b[size : size+int(n)]; len(b) > 0; {
		id, value := b[0], b[1:]
		if id == propSessionExpiry {
			return binary.BigEndian.Uint32(value), true
		}
		b, _ = checkValue(id, value)
	}
	return 0, false
}
