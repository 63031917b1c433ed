package cloud

import (
	"bytes"
	"fmt"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// mqtt311 is the older version: no reasons, no properties, no limits told.
type mqtt311 struct{}

func write311[P packets.ControlPacket](kind byte, fill func(p P)) []byte {
	p := packets.NewControlPacket(kind).(P)
	fill(p)
	var b bytes.Buffer
	_ = p.Write(&b) // a Buffer takes all
	return b.Bytes()
}

func (mqtt311) connect(c connect) []byte {
	return write311(packets.Connect, func(p *packets.ConnectPacket) {
		p.ProtocolName, p.ProtocolVersion = "MQTT", 4
		p.ClientIdentifier, p.CleanSession = c.id, c.clean
		p.Keepalive = uint16(seconds(c.keepAlive, 0xFFFF*time.Second))
	})
}

func (mqtt311) publish(m *Publish) []byte {
	return write311(packets.Publish, func(p *packets.PublishPacket) {
		p.Qos, p.Retain, p.TopicName, p.Payload = 1, m.Retain, m.Topic, m.Payload
	})
}

func (mqtt311) puback(id uint16) []byte {
	return write311(packets.Puback, func(p *packets.PubackPacket) { p.MessageID = id })
}

func (mqtt311) subscribe(id uint16, subs []Subscription) []byte {
	return write311(packets.Subscribe, func(p *packets.SubscribePacket) {
		p.MessageID = id
		for _, s := range subs {
			p.Topics, p.Qoss = append(p.Topics, s.Filter), append(p.Qoss, s.QoS)
		}
	})
}

func (mqtt311) unsubscribe(id uint16, filters []string) []byte {
	return write311(packets.Unsubscribe, func(p *packets.UnsubscribePacket) { p.MessageID, p.Topics = id, filters })
}

func (mqtt311) ping() []byte { return write311(packets.Pingreq, func(*packets.PingreqPacket) {}) }

func (mqtt311) disconnect(byte) []byte {
	return write311(packets.Disconnect, func(*packets.DisconnectPacket) {})
}

// connackCodes turns the return codes of MQTT 3.1.1 (3.2.2.3) into those of
// MQTT 5. 7 is not in the standard; AWS uses it for "not authorized".
var connackCodes = map[byte]byte{0: 0, 1: 0x84, 2: 0x85, 3: serverUnavailable, 4: 0x86, 5: notAuthorized, 7: notAuthorized}

func (mqtt311) decode(packet []byte) (any, error) {
	p, err := packets.ReadPacket(bytes.NewReader(packet))
	if err != nil {
		return nil, fmt.Errorf("read a packet: %w", err)
	}
	switch c := p.(type) {
	case *packets.ConnackPacket:
		code, ok := connackCodes[c.ReturnCode]
		if !ok {
			code = 0x80
		}
		return connack{session: c.SessionPresent, code: code, receiveMaximum: 65535}, nil
	case *packets.PublishPacket:
		if c.Qos > 1 {
			return nil, fmt.Errorf("read a packet: nobody asked for QoS %d", c.Qos)
		}
		return received{c.MessageID, &Publish{Topic: c.TopicName, Payload: c.Payload, QoS: c.Qos, Retain: c.Retain}}, nil
	case *packets.PubackPacket:
		return puback{id: c.MessageID}, nil
	case *packets.SubackPacket:
		return suback{id: c.MessageID, codes: c.ReturnCodes}, nil
	case *packets.UnsubackPacket:
		return unsuback{c.MessageID}, nil
	case *packets.PingrespPacket:
		return pingresp{}, nil
	}
	return nil, fmt.Errorf("read a packet: a server may not send %s", packets.PacketNames[packet[0]>>4])
}
