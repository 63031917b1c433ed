// Package message is the vocabulary of the house: what a message is, where it
// comes from and goes to, and the rules of topics and topic filters. It imports
// nothing of ours and everybody may import it. Its types are plain values
// without locks; a Message belongs to the goroutine that routes it.
package message

import (
	"slices"
	"strings"
	"time"
)

// Message is one published message on its way through the gate.
//
// Payload and Properties may lie in memory that its owner uses again: they are valid
// until the call that hands the Message over returns. Who needs them longer takes Keep.
// Topic is a string of its own.
type Message struct {
	Source  Endpoint
	Topic   string
	Payload []byte
	QoS     byte  // 0, 1 or 2, as published
	Retain  bool  // the publisher's RETAIN flag
	Will    bool  // the connection of its publisher has ended without a DISCONNECT [MQTT 3.1.2.5]
	shed    int32 // bytes of the payload, of a Head
	// Expires is when the message loses its worth [MQTT-3.3.2-5]; zero: never.
	// It carries a monotonic reading, so a clock that is set does not move it.
	Expires time.Time
	// Properties are the MQTT 5 properties that a broker forwards unaltered;
	// nil when there are none.
	Properties *Properties

	kept *Message
}

// Properties are the PUBLISH properties that travel from the publisher to each
// subscriber unaltered [MQTT-3.3.2-4, -15, -16, -17, -18, -20].
type Properties struct {
	PayloadIsUTF8   bool // payload format indicator
	ContentType     string
	ResponseTopic   string
	CorrelationData []byte
	User            []UserProperty // in the order sent
}

// UserProperty is one name and value of a publisher's own.
type UserProperty struct{ Name, Value string }

// MaxUserProperties bounds the user properties of a message, in bytes as UserBytes counts
// them. What they take in memory and on disk is a multiple, because an empty one costs as
// much as another.
const MaxUserProperties = 16 << 10

// UserBytes is what the user properties take in an MQTT packet [MQTT-3.3.2-17]; p may be nil.
func (p *Properties) UserBytes() (n int) {
	if p == nil {
		return 0
	}
	for _, u := range p.User {
		n += 5 + len(u.Name) + len(u.Value)
	}
	return n
}

// Keep returns a copy of m that outlives the buffers of its sender. All who
// keep the same message share one copy, made at the first call: from then on
// neither m nor the copy may change.
func (m *Message) Keep() *Message {
	if m.kept == nil {
		k := *m
		k.Payload = slices.Clone(m.Payload)
		if p := m.Properties; p != nil {
			k.Properties = p.clone()
		}
		k.kept = &k
		m.kept = &k
	}
	return m.kept
}

// Head returns what is told of m when its payload is needed no more.
func (m *Message) Head() Message {
	return Message{Source: m.Source, Topic: m.Topic, QoS: m.QoS, Retain: m.Retain, Will: m.Will, Expires: m.Expires, shed: int32(m.Size())}
}

// Size is that of the payload, in bytes, of a Head too.
func (m *Message) Size() int { return len(m.Payload) + int(m.shed) }

func (p *Properties) clone() *Properties {
	c := Properties{
		PayloadIsUTF8:   p.PayloadIsUTF8,
		ContentType:     strings.Clone(p.ContentType),
		ResponseTopic:   strings.Clone(p.ResponseTopic),
		CorrelationData: slices.Clone(p.CorrelationData),
		User:            make([]UserProperty, len(p.User)),
	}
	for i, u := range p.User {
		c.User[i] = UserProperty{strings.Clone(u.Name), strings.Clone(u.Value)}
	}
	return &c
}

// Expired tells whether the message's time has run out at now.
func (m *Message) Expired(now time.Time) bool {
	return !m.Expires.IsZero() && !now.Before(m.Expires)
}
