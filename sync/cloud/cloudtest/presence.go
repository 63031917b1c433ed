package cloudtest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net"
	"strings"
)

// The lifecycle events of aws-iot.md 2.4. Clients whose id holds a wildcard get
// none: such a topic cannot be published to.

func (c *Cloud) presenceHere(cn *conn) {
	c.log.Info("A client connected", "client", cn.session.id, "thing", cn.thing, "version", cn.version)
	event := c.event(cn, "connected")
	event["ipAddress"] = addressOf(cn.net.RemoteAddr())
	c.tell("$aws/events/presence/connected/", cn.session.id, event)
}

func (c *Cloud) presenceGone(cn *conn, reason string, clean bool) {
	c.log.Info("A client disconnected", "client", cn.session.id, "reason", reason)
	event := c.event(cn, "disconnected")
	event["clientInitiatedDisconnect"] = clean
	event["disconnectReason"] = reason
	c.tell("$aws/events/presence/disconnected/", cn.session.id, event)
}

// subscriptionEvent is subscribed or unsubscribed.
func (c *Cloud) subscriptionEvent(cn *conn, kind string, filters []string) {
	if len(filters) == 0 {
		return
	}
	event := c.event(cn, kind)
	event["topics"] = filters
	c.tell("$aws/events/subscriptions/"+kind+"/", cn.session.id, event)
}

func (c *Cloud) event(cn *conn, kind string) map[string]any {
	fingerprint := sha256.Sum256(cn.net.ConnectionState().PeerCertificates[0].Raw)
	return map[string]any{
		"clientId":            cn.session.id,
		"timestamp":           c.now().UnixMilli(),
		"eventType":           kind,
		"sessionIdentifier":   cn.identifier,
		"principalIdentifier": hex.EncodeToString(fingerprint[:]),
		"versionNumber":       c.connects[cn.session.id].connects,
	}
}

func (c *Cloud) tell(prefix, client string, event map[string]any) {
	if strings.ContainsAny(client, "+#") {
		return
	}
	payload, err := json.Marshal(event)
	if err != nil {
		c.log.Error("Writing an event failed", "err", err)
		return
	}
	c.route(&message{topic: prefix + client, payload: payload, qos: 1})
}

func addressOf(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return host
}

// newID is a random name, as AWS gives connections and requests.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}
