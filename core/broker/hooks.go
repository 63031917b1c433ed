package broker

import (
	"fmt"
	"slices"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"greengate/core/router"
)

// connect is what a CONNECT says.
type connect struct {
	clientID   string
	clean      bool
	keepAlive  uint16 // seconds; 0: none
	expiry     uint32 // seconds that the session outlives the connection
	will       *will
	present    bool // our answer: the session was there
	refusal    code // our answer: why not; success: accepted
	refusalWhy refusal
}

// refusal is why a CONNECT was refused, for the log and the counters.
type refusal struct {
	reason router.Reason
	text   string
}

func (r refusal) Error() string { return r.text }

// hook is the ear that mochi has for us. Its methods run on the goroutine of the
// handshake.
type hook struct {
	mqtt.HookBase
	b *Broker
}

func (h *hook) ID() string { return "greengate" }

func (h *hook) Provides(method byte) bool {
	return slices.Contains([]byte{
		mqtt.OnPacketRead, mqtt.OnConnect, mqtt.OnConnectAuthenticate,
		mqtt.OnSessionEstablish, mqtt.OnSessionEstablished, mqtt.OnPacketEncode,
	}, method)
}

// OnPacketRead takes from a CONNECT all that is ours to keep, and hides the
// will and the password from mochi: it refuses a will without payload and an
// empty password, which the standard allows, and would keep the will.
func (h *hook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if pk.FixedHeader.Type != packets.Connect {
		return pk, nil
	}
	c := connOf(cl)
	c.thing, c.why = h.b.identities.Identify(c.peer)
	in := &pk.Connect
	c.v5 = pk.ProtocolVersion == 5
	c.head = connect{clientID: in.ClientIdentifier, clean: in.Clean, keepAlive: in.Keepalive}
	if c.v5 {
		c.head.expiry = pk.Properties.SessionExpiryInterval
		if n := pk.Properties.ReceiveMaximum; n > 0 {
			c.sendMax = min(c.sendMax, int(n))
		}
		if n := pk.Properties.MaximumPacketSize; n > 0 {
			c.maxSize = int(n)
		}
		if pk.Properties.AuthenticationMethod != "" {
			c.head.refuse(badAuthMethod, "auth-method", "extended authentication is not served")
		}
	} else if !in.Clean {
		c.head.expiry = forever
	}
	if in.WillFlag {
		c.head.takeWill(pk)
	}
	in.WillFlag, in.WillRetain, in.WillQos, in.WillPayload, in.WillTopic = false, false, 0, nil, ""
	in.UsernameFlag, in.Username, in.PasswordFlag, in.Password = false, nil, false, nil
	return pk, nil
}

func (h *connect) refuse(with code, reason router.Reason, text string) {
	if h.refusal == success {
		h.refusal, h.refusalWhy = with, refusal{reason, text}
	}
}

// OnConnect gives the client a name of its own in mochi's books, so that two
// connections of one thing never meet there.
func (h *hook) OnConnect(cl *mqtt.Client, _ packets.Packet) error {
	d := doorOf(cl)
	d.name = fmt.Sprintf("%s#%d", d.c.thing, h.b.serial.Add(1))
	cl.ID = d.name
	cl.Properties.Props.AssignedClientID = ""
	return nil
}

// OnConnectAuthenticate lets in a client whose certificate is known and whose
// id is the name of its thing.
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, _ packets.Packet) bool {
	c := connOf(cl)
	head := &c.head
	switch {
	case c.why != nil:
		head.refusal = notAuthorized
		h.b.refused(c, c.why)
		return false
	case head.clientID != c.thing: // an empty one, too [MQTT-3.1.3-8; of 3.1.1: -3.1.3-9]
		head.refuse(clientIDInvalid, "client-id", fmt.Sprintf("client id %q is not the thing name %q", clip(head.clientID), c.thing))
	case h.b.stopping.Load():
		head.refuse(serverUnavailable, "stopping", "the gateway is stopping")
	}
	if head.refusal != success {
		h.b.refused(c, head.refusalWhy)
		return false
	}
	return true
}

// OnSessionEstablish claims the session of the thing before CONNACK goes out.
// From here on the certificates that this one replaces count no more, so none
// of them can take the session back.
func (h *hook) OnSessionEstablish(cl *mqtt.Client, _ packets.Packet) {
	c := connOf(cl)
	h.b.arrivals.leave(c)
	c.shake.Known(c.thing)
	c.shake = nil
	h.b.identities.Used(c.thing, c.peer[0])
	h.b.claim(c)
	h.b.remember(c.sess)
}

// OnSessionEstablished opens the message path.
func (h *hook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	h.b.attach(connOf(cl))
}

// OnPacketEncode completes CONNACK with what only we know.
func (h *hook) OnPacketEncode(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type != packets.Connack {
		return pk
	}
	return connOf(cl).connack(pk)
}

// connack says what we serve and which session this is.
func (c *conn) connack(pk packets.Packet) packets.Packet {
	switch {
	case c.head.refusal != success:
		pk.ReasonCode = byte(c.head.refusal)
		if !c.v5 {
			pk.ReasonCode = c.head.refusal.return3()
		}
		pk.Properties = packets.Properties{}
	case pk.ReasonCode == 0:
		pk.SessionPresent = c.head.present // [MQTT-3.2.2-2, -3]
		p := &pk.Properties
		p.TopicAliasMaximum = maxAliases
		p.MaximumPacketSize = maxPacket
		p.SharedSubAvailable, p.SharedSubAvailableFlag = 0, true
	case pk.ReasonCode >= 0x80 && !c.v5:
		pk.ReasonCode = 2 // an empty id without a clean session [MQTT-3.1.3-8]
	}
	return pk
}

// return3 is the return code of MQTT 3.1.1 for a refusal [MQTT 3.2.2.3].
func (c code) return3() byte {
	switch c {
	case clientIDInvalid:
		return 2
	case serverUnavailable:
		return 3
	}
	return 5 // not authorized
}
