package broker

import (
	"errors"
	"fmt"
	"slices"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"greengate/core/message"
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

// reply is what the hooks have found out about a SUBSCRIBE or UNSUBSCRIBE.
type reply struct {
	codes []byte
	fresh []*subscription // that get the retained messages
}

// hook is the ear that mochi has for us. Its methods run on the goroutine that
// reads the connection.
type hook struct {
	mqtt.HookBase
	b *Broker
}

func (h *hook) ID() string { return "greengate" }

func (h *hook) Provides(method byte) bool {
	return slices.Contains([]byte{
		mqtt.OnPacketRead, mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnACLCheck,
		mqtt.OnSessionEstablish, mqtt.OnSessionEstablished, mqtt.OnPacketEncode,
		mqtt.OnSubscribe, mqtt.OnUnsubscribe, mqtt.OnPacketProcessed,
	}, method)
}

// connOf returns our connection behind a client of mochi's.
func connOf(cl *mqtt.Client) *conn { return cl.Net.Conn.(*conn) }

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
		if in.WillQos > 2 {
			return pk, errors.New("will with QoS 3") // [MQTT-3.1.2-12]
		}
		c.head.takeWill(pk)
	} else if in.WillQos != 0 || in.WillRetain {
		return pk, errors.New("flags of a will without a will") // [MQTT-3.1.2-11, -13]
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
	c := connOf(cl)
	c.mochiID = fmt.Sprintf("%s#%d", c.thing, h.b.serial.Add(1))
	cl.ID = c.mochiID
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
	case head.clientID != c.thing:
		head.refuse(notAuthorized, "client-id", fmt.Sprintf("client id %q is not the thing name %q", head.clientID, c.thing))
	case h.b.stopping.Load():
		head.refuse(shuttingDown, "stopping", "the gateway is stopping")
	}
	if head.refusal != success {
		h.b.refused(c, head.refusalWhy)
		return false
	}
	return true
}

// OnACLCheck leaves all to the gate.
func (h *hook) OnACLCheck(*mqtt.Client, string, bool) bool { return true }

// OnSessionEstablish claims the session of the thing before CONNACK goes out.
// From here on the certificates that this one replaces count no more, so none
// of them can take the session back.
func (h *hook) OnSessionEstablish(cl *mqtt.Client, _ packets.Packet) {
	c := connOf(cl)
	h.b.identities.Used(c.thing, c.peer[0])
	h.b.claim(c)
	h.b.remember(c.sess)
}

// OnSessionEstablished opens the message path.
func (h *hook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	h.b.attach(connOf(cl))
}

// OnPacketEncode completes the answers of mochi's with what only we know.
func (h *hook) OnPacketEncode(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	c := connOf(cl)
	switch pk.FixedHeader.Type {
	case packets.Connack:
		return c.connack(pk)
	case packets.Suback, packets.Unsuback:
		pk.ReasonCodes = c.reply.codes
		pk.Properties = packets.Properties{}
	}
	return pk
}

// connack says what we serve and which session this is.
func (c *conn) connack(pk packets.Packet) packets.Packet {
	switch {
	case c.head.refusal != success:
		pk.ReasonCode = byte(c.head.refusal)
		if !c.v5 {
			pk.ReasonCode = 5 // not authorized
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

// OnSubscribe enters the subscriptions. mochi gets none of them: it answers
// with our codes and keeps nothing.
func (h *hook) OnSubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	c := connOf(cl)
	c.reply = reply{codes: make([]byte, len(pk.Filters))}
	var entered []*subscription
	for i, f := range pk.Filters {
		sub := &subscription{
			sess: c.sess, filter: f.Filter, qos: f.Qos, id: uint32(f.Identifier),
			noLocal: f.NoLocal, asPublished: f.RetainAsPublished,
		}
		existed, refused := h.b.subscribe(c, sub)
		switch {
		case refused == success:
			c.reply.codes[i] = sub.qos
			entered = append(entered, sub)
			if f.RetainHandling == 0 || f.RetainHandling == 1 && !existed { // [MQTT-3.3.1-9, -10, -11]
				c.reply.fresh = append(c.reply.fresh, sub)
			}
		case c.v5:
			c.reply.codes[i] = byte(refused)
		default:
			c.reply.codes[i] = byte(unspecifiedError311)
		}
	}
	h.b.rememberSubscriptions(c.sess, entered, nil)
	pk.Filters = make(packets.Subscriptions, len(pk.Filters)) // empty filters: nothing for mochi to do
	return pk
}

// OnUnsubscribe takes the subscriptions out.
func (h *hook) OnUnsubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	c := connOf(cl)
	c.reply = reply{codes: make([]byte, len(pk.Filters))}
	var removed []string
	for i, f := range pk.Filters {
		if h.b.unsubscribe(c, f.Filter) {
			removed = append(removed, f.Filter)
		} else {
			c.reply.codes[i] = byte(noSubscription)
		}
	}
	h.b.rememberSubscriptions(c.sess, nil, removed)
	return pk
}

// OnPacketProcessed sends the retained messages once SUBACK is written.
func (h *hook) OnPacketProcessed(cl *mqtt.Client, pk packets.Packet, err error) {
	if pk.FixedHeader.Type != packets.Subscribe || err != nil {
		return
	}
	c := connOf(cl)
	to := message.DeviceEndpoint(c.thing)
	for _, sub := range c.reply.fresh {
		ask := &handle{sess: c.sess, qos: sub.qos, retained: true}
		if sub.id != 0 {
			ask.subIDs = []uint32{sub.id}
		}
		for _, m := range h.b.retained.matching(sub.filter) {
			if sub.noLocal && m.Source == to {
				continue // [MQTT-3.8.3-3]
			}
			c.port.Send(m, to, ask)
		}
	}
	c.reply = reply{}
}
