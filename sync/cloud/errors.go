package cloud

import (
	"errors"
	"fmt"
)

// What Send says of a message that was not sent, and what it tells done of one
// whose fate is not known.
var (
	// ErrOffline: there is no connection; the message was not sent.
	ErrOffline = errors.New("not connected to the cloud")
	// ErrLost: the connection ended before the PUBACK; the cloud may have the
	// message or not. The error is a *Lost, which knows why.
	ErrLost = errors.New("the connection ended before the cloud acknowledged")
)

// Lost is ErrLost with the reason why the connection ended, for example a
// *Closed.
type Lost struct{ Cause error }

func (e *Lost) Error() string   { return ErrLost.Error() + ": " + e.Cause.Error() }
func (e *Lost) Unwrap() []error { return []error{ErrLost, e.Cause} }

// Refused is a PUBACK with a reason code from 0x80: the cloud did not take the
// message.
type Refused struct {
	Code   byte
	Reason string // the cloud's own words, often none
}

func (e *Refused) Error() string {
	return "the cloud refused the message: " + explain(e.Code, e.Reason)
}

// Permanent reports whether the same message would be refused again: 0x87 (the
// policy), 0x90, 0x99, 0x9A and 0x9B. The others pass.
func (e *Refused) Permanent() bool {
	switch e.Code {
	case notAuthorized, topicNameInvalid, payloadFormatInvalid, retainNotSupported, qosNotSupported:
		return true
	}
	return false
}

// Closed is a DISCONNECT by the cloud.
type Closed struct {
	Code   byte
	Reason string
}

func (e *Closed) Error() string {
	return "the cloud closed the connection: " + explain(e.Code, e.Reason)
}

// Rejected is a CONNACK that says no.
type Rejected struct {
	Code   byte
	Reason string
}

func (e *Rejected) Error() string {
	return "the cloud refused the connection: " + explain(e.Code, e.Reason)
}

// TooLarge says that a message can never be sent, for its size.
type TooLarge struct {
	What      string // "payload", "packet"
	Size, Max int    // bytes
}

func (e *TooLarge) Error() string {
	return fmt.Sprintf("a %s of %d bytes is more than the %d that the cloud takes", e.What, e.Size, e.Max)
}

// BadTopic says that a message can never be sent, for its topic.
type BadTopic struct{ Topic, Problem string }

func (e *BadTopic) Error() string { return fmt.Sprintf("the topic %.80q %s", e.Topic, e.Problem) }

// The reason codes that mean something to us (MQTT 5, 2.4).
const (
	malformedPacket      = 0x81
	protocolError        = 0x82
	notAuthorized        = 0x87
	serverUnavailable    = 0x88
	serverBusy           = 0x89
	sessionTakenOver     = 0x8E
	topicNameInvalid     = 0x90
	receiveMaxExceeded   = 0x93
	messageRateTooHigh   = 0x96
	quotaExceeded        = 0x97
	payloadFormatInvalid = 0x99
	retainNotSupported   = 0x9A
	qosNotSupported      = 0x9B
	connectRateExceeded  = 0x9F
)

var codeTexts = map[byte]string{
	0x00: "normal end", 0x04: "normal end", 0x80: "unspecified error", malformedPacket: "malformed packet",
	protocolError: "protocol error", 0x83: "implementation specific error", 0x84: "protocol version not supported",
	0x85: "client id not valid", 0x86: "bad user name or password", notAuthorized: "not authorized",
	serverUnavailable: "server unavailable", serverBusy: "server busy", 0x8A: "banned", 0x8B: "server shutting down",
	0x8D: "keep-alive timeout", sessionTakenOver: "session taken over", 0x8F: "topic filter invalid",
	topicNameInvalid: "topic name invalid", 0x91: "packet identifier in use", receiveMaxExceeded: "receive maximum exceeded",
	0x94: "topic alias invalid", 0x95: "packet too large", messageRateTooHigh: "message rate too high",
	quotaExceeded: "quota exceeded", 0x98: "administrative action", payloadFormatInvalid: "payload format invalid",
	retainNotSupported: "retain not supported", qosNotSupported: "QoS not supported", 0x9C: "use another server",
	0x9D: "server moved", 0x9E: "shared subscriptions not supported", connectRateExceeded: "connection rate exceeded",
	0xA0: "maximum connect time", 0xA1: "subscription identifiers not supported", 0xA2: "wildcard subscriptions not supported",
}

// explain is a reason code in words, with the number to search for and what the
// cloud added, cut to a length that suits a status line.
func explain(code byte, reason string) string {
	text, ok := codeTexts[code]
	if !ok {
		text = "unknown reason"
	}
	if reason != "" {
		return fmt.Sprintf("%s (0x%02X, %.200q)", text, code, reason)
	}
	return fmt.Sprintf("%s (0x%02X)", text, code)
}
