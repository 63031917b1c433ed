package broker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"greengate/core/message"
)

// What follows tells whether a packet is as the standard wants it, before anybody takes
// it apart: reserved bits, properties that stand there twice or do not belong there,
// values that are out of range, bytes that are left over. mochi lets much of that pass
// in a CONNECT, and tells the client nothing when it does not. The functions keep
// nothing of what they look at.

// checkConnect tells what is wrong with the body of a CONNECT. The answer is what the
// client is told before the close; nil: nothing, as MQTT 3.1.1 wants it
// [MQTT-3.1.4-1].
func checkConnect(body []byte) (answer []byte, err error) {
	name, rest, ok := cutBytes(body)
	if !ok || len(rest) == 0 {
		return nil, fmt.Errorf("CONNECT: %w", malformed)
	}
	level := rest[0]
	switch {
	case string(name) == "MQIsdp" && level == 3:
		return refusedLevel3, errors.New("MQTT 3.1 is not served")
	case string(name) != "MQTT":
		return nil, errors.New("CONNECT: the protocol is not MQTT")
	case level&0x7F < 5 && level != 4: // the highest bit is that of bridges
		return refusedLevel3, fmt.Errorf("protocol level %d is not served", level) // [MQTT-3.1.2-2]
	case level != 4 && level != 5:
		return appendRefusal(nil, unsupportedVersion), fmt.Errorf("protocol level %d is not served", level)
	}
	err = checkConnectFields(rest[1:], level == 5)
	if reason, ok := err.(code); ok {
		if level == 5 {
			answer = appendRefusal(nil, reason)
		}
		err = fmt.Errorf("CONNECT: %w", reason)
	}
	return answer, err
}

// refusedLevel3 is the CONNACK of MQTT 3.1.1 for an unacceptable protocol level.
var refusedLevel3 = []byte{typeConnack << 4, 2, 0, 1}

// appendRefusal writes a CONNACK of MQTT 5 that refuses.
func appendRefusal(b []byte, reason code) []byte {
	return append(b, typeConnack<<4, 3, 0, byte(reason), 0)
}

// Flags of a CONNECT [MQTT 3.1.2.3].
const (
	flagReserved   = 0x01
	flagWill       = 0x04
	flagWillQoS    = 0x18
	flagWillRetain = 0x20
	flagPassword   = 0x40
	flagUser       = 0x80
)

// checkConnectFields looks at a CONNECT from its flags on. Its error is a code.
func checkConnectFields(b []byte, v5 bool) error {
	if len(b) < 3 {
		return malformed
	}
	flags, b := b[0], b[3:]
	will := flags&flagWill != 0
	switch {
	case flags&flagReserved != 0, // [MQTT-3.1.2-3]
		!will && flags&(flagWillQoS|flagWillRetain) != 0, // [MQTT-3.1.2-11, -13]
		flags&flagWillQoS == flagWillQoS,                 // [MQTT-3.1.2-12]
		!v5 && flags&(flagUser|flagPassword) == flagPassword:
		return malformed
	}
	var err error
	if v5 {
		if b, err = checkProperties(typeConnect, b); err != nil {
			return err
		}
	}
	var ok bool
	if _, b, ok = cutText(b); !ok { // client id
		return malformed
	}
	if will {
		if v5 {
			if b, err = checkProperties(willProps, b); err != nil {
				return err
			}
		}
		if _, b, ok = cutText(b); !ok { // topic
			return malformed
		}
		if _, b, ok = cutBytes(b); !ok { // payload
			return malformed
		}
	}
	if flags&flagUser != 0 {
		if _, b, ok = cutText(b); !ok {
			return malformed
		}
	}
	if flags&flagPassword != 0 {
		if _, b, ok = cutBytes(b); !ok {
			return malformed
		}
	}
	if len(b) > 0 {
		return malformed // [MQTT-3.1.2-16, -18]
	}
	return nil
}

// checkFilters looks at the body of a SUBSCRIBE or UNSUBSCRIBE. Its error is a code.
func checkFilters(kind byte, b []byte, v5 bool) (err error) {
	if len(b) < 2 {
		return malformed
	}
	if binary.BigEndian.Uint16(b) == 0 {
		return protocolError // [MQTT-2.2.1-3]
	}
	b = b[2:]
	if v5 {
		if b, err = checkProperties(kind, b); err != nil {
			return err
		}
	}
	if len(b) == 0 {
		return protocolError // [MQTT-3.8.3-2, -3.10.3-2]
	}
	for len(b) > 0 {
		filter, rest, ok := cutText(b)
		if !ok {
			return malformed
		}
		if b = rest; kind == typeUnsubscribe {
			continue
		}
		if len(b) == 0 {
			return malformed
		}
		if err := checkOptions(b[0], filter, v5); err != nil {
			return err
		}
		b = b[1:]
	}
	return nil
}

// checkOptions looks at the options of one subscription [MQTT 3.8.3.1].
func checkOptions(o byte, filter []byte, v5 bool) error {
	const noLocal = 0x04
	switch {
	case !v5 && o > 2, o&0xC0 != 0:
		return malformed // [MQTT-3.8.3-5]; of 3.1.1: [MQTT-3.8.3-4]
	case o&3 == 3, o>>4 == 3:
		return protocolError
	case o&noLocal != 0 && bytes.HasPrefix(filter, []byte("$share/")):
		return protocolError // [MQTT-3.8.3-4]
	}
	return nil
}

// checkDisconnect looks at the body of a DISCONNECT and returns the session expiry
// that it asks for, in seconds, if it does.
func checkDisconnect(b []byte, v5 bool) (expiry uint32, asks bool, err error) {
	switch {
	case len(b) == 0:
		return 0, false, nil
	case !v5:
		return 0, false, malformed
	case len(b) == 1:
		return 0, false, nil
	}
	rest, err := checkProperties(typeDisconnect, b[1:])
	if err == nil && len(rest) > 0 {
		err = malformed
	}
	if err != nil {
		return 0, false, err
	}
	expiry, asks = findExpiry(b[1:])
	return expiry, asks, nil
}

// checkResponseTopic is for a will; that of a PUBLISH is checked as it is read.
func checkResponseTopic(topic []byte) error {
	if message.CheckTopic(string(topic)) != nil {
		return protocolError // [MQTT-3.3.2-14]
	}
	return nil
}
