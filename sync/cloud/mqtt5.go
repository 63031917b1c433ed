package cloud

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/eclipse/paho.golang/packets"

	"greengate/core/message"
)

// maxExpiry is the longest message expiry that AWS takes (developer guide,
// "MQTT 5 supported features").
const maxExpiry = 7 * 24 * time.Hour

type mqtt5 struct{}

func write5(kind byte, fill func(p packets.Packet)) []byte {
	p := packets.NewControlPacket(kind)
	fill(p.Content)
	var b bytes.Buffer
	_, _ = p.WriteTo(&b) // a Buffer takes all
	return b.Bytes()
}

func (mqtt5) connect(c connect) []byte {
	return write5(packets.CONNECT, func(p packets.Packet) {
		to := p.(*packets.Connect)
		to.ClientID = c.id
		to.KeepAlive = uint16(seconds(c.keepAlive, 0xFFFF*time.Second))
		to.CleanStart = c.clean
		if c.sessionExpiry > 0 {
			to.Properties.SessionExpiryInterval = new(seconds(c.sessionExpiry, maxExpiry))
		}
		to.Properties.ReceiveMaximum = new(uint16(c.receiveMaximum))
		to.Properties.MaximumPacketSize = new(uint32(c.maximumPacket))
	})
}

func (mqtt5) publish(m *Publish) []byte {
	return write5(packets.PUBLISH, func(p packets.Packet) {
		to := p.(*packets.Publish)
		to.QoS = 1
		to.Topic, to.Payload, to.Retain = m.Topic, m.Payload, m.Retain
		if m.Expiry > 0 {
			to.Properties.MessageExpiry = new(seconds(m.Expiry, maxExpiry))
		}
		if from := m.Properties; from != nil {
			if from.PayloadIsUTF8 {
				to.Properties.PayloadFormat = new(byte(1))
			}
			to.Properties.ContentType = from.ContentType
			to.Properties.ResponseTopic = from.ResponseTopic
			to.Properties.CorrelationData = from.CorrelationData
			for _, u := range from.User {
				to.Properties.User = append(to.Properties.User, packets.User{Key: u.Name, Value: u.Value})
			}
		}
	})
}

func (mqtt5) puback(id uint16) []byte {
	return write5(packets.PUBACK, func(p packets.Packet) { p.(*packets.Puback).PacketID = id })
}

func (mqtt5) subscribe(id uint16, subs []Subscription) []byte {
	return write5(packets.SUBSCRIBE, func(p packets.Packet) {
		to := p.(*packets.Subscribe)
		to.PacketID = id
		for _, s := range subs {
			to.Subscriptions = append(to.Subscriptions, packets.SubOptions{Topic: s.Filter, QoS: s.QoS})
		}
	})
}

func (mqtt5) unsubscribe(id uint16, filters []string) []byte {
	return write5(packets.UNSUBSCRIBE, func(p packets.Packet) {
		to := p.(*packets.Unsubscribe)
		to.PacketID, to.Topics = id, filters
	})
}

func (mqtt5) ping() []byte { return write5(packets.PINGREQ, func(packets.Packet) {}) }

func (mqtt5) disconnect(code byte) []byte {
	return write5(packets.DISCONNECT, func(p packets.Packet) { p.(*packets.Disconnect).ReasonCode = code })
}

func (mqtt5) decode(packet []byte) (any, error) {
	if packet[0]>>4 == packets.DISCONNECT && packet[1] == 0 {
		return disconnect{}, nil // paho does not know it [MQTT5 3.14.2.1]
	}
	if packet[0]>>4 == packets.PUBLISH && !wholeProperties(packet) {
		return nil, fmt.Errorf("read a packet: it is malformed (its properties do not end in it)")
	}
	p, err := packets.ReadPacket(bytes.NewReader(packet))
	if err != nil {
		return nil, fmt.Errorf("read a packet: %w", err)
	}
	switch c := p.Content.(type) {
	case *packets.Connack:
		return connack5(c), nil
	case *packets.Publish:
		return received5(c)
	case *packets.Puback:
		return puback{c.PacketID, c.ReasonCode, c.Properties.ReasonString}, nil
	case *packets.Suback:
		return suback{c.PacketID, c.Reasons, c.Properties.ReasonString}, nil
	case *packets.Unsuback:
		return unsuback{c.PacketID}, nil
	case *packets.Pingresp:
		return pingresp{}, nil
	case *packets.Disconnect:
		return disconnect{c.ReasonCode, c.Properties.ReasonString}, nil
	}
	return nil, fmt.Errorf("read a packet: a server may not send %s", p.PacketType())
}

func connack5(c *packets.Connack) connack {
	a := connack{session: c.SessionPresent, code: c.ReasonCode, reason: c.Properties.ReasonString, receiveMaximum: 65535}
	p := c.Properties
	if p.ServerKeepAlive != nil {
		a.keepAlive = time.Duration(*p.ServerKeepAlive) * time.Second
	}
	if p.ReceiveMaximum != nil {
		a.receiveMaximum = int(*p.ReceiveMaximum)
	}
	if p.MaximumPacketSize != nil {
		a.maximumPacket = int(*p.MaximumPacketSize)
	}
	a.noRetain = p.RetainAvailable != nil && *p.RetainAvailable == 0
	a.noQoS1 = p.MaximumQOS != nil && *p.MaximumQOS == 0
	return a
}

func received5(c *packets.Publish) (any, error) {
	p := c.Properties
	switch {
	case c.QoS > 1:
		return nil, fmt.Errorf("read a packet: nobody asked for QoS %d", c.QoS)
	case p.TopicAlias != nil:
		return nil, fmt.Errorf("read a packet: a topic alias, though none is allowed")
	}
	m := &Publish{Topic: c.Topic, Payload: c.Payload, QoS: c.QoS, Retain: c.Retain}
	if p.MessageExpiry != nil {
		m.Expiry = time.Duration(*p.MessageExpiry) * time.Second
	}
	isUTF8 := p.PayloadFormat != nil && *p.PayloadFormat == 1
	if isUTF8 || p.ContentType != "" || p.ResponseTopic != "" || p.CorrelationData != nil || p.User != nil {
		m.Properties = &message.Properties{PayloadIsUTF8: isUTF8, ContentType: p.ContentType,
			ResponseTopic: p.ResponseTopic, CorrelationData: p.CorrelationData}
		for _, u := range p.User {
			m.Properties.User = append(m.Properties.User, message.UserProperty{Name: u.Key, Value: u.Value})
		}
		if !carriable(m.Properties) {
			return nil, fmt.Errorf("read a packet: it is malformed (a property that no packet may carry)")
		}
	}
	return received{c.PacketID, m}, nil
}

// wholeProperties tells whether the properties of a PUBLISH end in it. paho takes those
// that there are, and the payload for empty.
func wholeProperties(packet []byte) bool {
	_, n := binary.Uvarint(packet[1:])
	b := packet[1+n:]
	if len(b) < 2 {
		return false
	}
	skip := 2 + int(binary.BigEndian.Uint16(b))
	if packet[0]&0x06 != 0 {
		skip += 2 // packet id
	}
	if len(b) < skip {
		return false
	}
	b = b[skip:]
	length, n := binary.Uvarint(b[:min(len(b), 4)])
	return n > 0 && length <= uint64(len(b)-n)
}

// carriable tells whether the properties may go on to a device, which would have to end
// its connection for texts that are no UTF-8 [MQTT-1.5.4-1, -2]; paho takes them.
func carriable(p *message.Properties) bool {
	texts := []string{p.ContentType, p.ResponseTopic}
	for _, u := range p.User {
		texts = append(texts, u.Name, u.Value)
	}
	for _, t := range texts {
		if !utf8.ValidString(t) || strings.Contains(t, "\x00") {
			return false
		}
	}
	return p.ResponseTopic == "" || message.CheckTopic(p.ResponseTopic) == nil // [MQTT-3.3.2-14]
}
