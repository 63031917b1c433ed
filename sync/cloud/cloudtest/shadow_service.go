package cloudtest

import (
	"time"
)

// shadowRequest serves a request over MQTT. It expects Cloud.mu to be held.
func (c *Cloud) shadowRequest(t shadowTopic, payload []byte) {
	if c.faults.ShadowLost.take() {
		return
	}
	token, badToken := tokenOf(payload, c.limits.ShadowToken)
	rejected := c.throttle(t.thing)
	if rejected == nil {
		rejected = badToken
	}
	var answer shadowAnswer
	if rejected == nil {
		answer, rejected = c.operate(t, payload)
	}
	lost := c.faults.ShadowAnswerLost.take()
	c.later(t.thing, func() {
		if rejected != nil {
			if !lost {
				c.publishShadow(t.prefix()+"/"+t.operation+"/rejected", c.rejection(rejected), token)
			}
			return
		}
		c.announce(t, answer, token, !lost)
	})
}

// operate applies one request.
func (b *broker) operate(t shadowTopic, payload []byte) (shadowAnswer, *ShadowError) {
	if rejected := t.check(); rejected != nil {
		return shadowAnswer{}, rejected
	}
	switch t.operation {
	case "update":
		return b.updateShadow(t.shadowKey, payload)
	case "delete":
		return b.deleteShadow(t.shadowKey)
	}
	return b.getShadow(t.shadowKey)
}

// throttle counts a request of a thing against its quotas and the faults.
func (b *broker) throttle(thing string) *ShadowError {
	if f := &b.faults; f.ShadowCode != 0 && f.ShadowCount.take() {
		return reject(f.ShadowCode, "%s", shadowMessages[f.ShadowCode])
	}
	rate := b.shadows.rates[thing]
	if rate == nil {
		rate = &bucket{}
		b.shadows.rates[thing] = rate
	}
	if over(b.shadows.inFlight[thing]+1, b.limits.ShadowInFlight) {
		_ = b.violate("", "shadow-in-flight", "more than 10 requests of "+thing+" in flight")
		return reject(429, "%s", shadowMessages[429])
	}
	if rate.take(time.Now(), b.limits.ShadowRate) > 0 {
		_ = b.violate("", "shadow-rate", "too many requests a second of "+thing)
		return reject(429, "%s", shadowMessages[429])
	}
	return nil
}

// shadowMessages are the texts of rejections that a fault makes.
var shadowMessages = map[int]string{
	400: "Payload contains invalid json",
	401: "Unauthorized",
	403: "Forbidden",
	404: "Thing not found",
	409: "Version conflict",
	413: "The payload exceeds the maximum size allowed",
	415: "Unsupported documented encoding; supported encoding is UTF-8",
	429: "Too many requests",
	500: "Internal service failure",
	503: "Service unavailable",
}

// later does the answering of a request after Faults.ShadowDelay; until then it
// is in flight.
func (c *Cloud) later(thing string, answer func()) {
	delay := c.faults.ShadowDelay
	if delay <= 0 {
		answer()
		return
	}
	c.shadows.inFlight[thing]++
	time.AfterFunc(delay, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.shadows.inFlight[thing]--; c.shadows.inFlight[thing] == 0 {
			delete(c.shadows.inFlight, thing)
		}
		answer()
	})
}

// announce publishes what an accepted request says to whom: see aws-iot.md 1.1.
func (b *broker) announce(t shadowTopic, answer shadowAnswer, token *string, accepted bool) {
	messages := []struct {
		suffix string
		body   object
	}{
		{"/accepted", answer.accepted}, {"/delta", answer.delta}, {"/documents", answer.documents},
	}
	if b.faults.ShadowReorder {
		messages[0], messages[2] = messages[2], messages[0]
	}
	for _, m := range messages {
		if m.body != nil && (accepted || m.suffix != "/accepted") {
			b.publishShadow(t.prefix()+"/"+t.operation+m.suffix, m.body, token)
		}
	}
}

func (b *broker) publishShadow(topic string, body object, token *string) {
	if token != nil {
		body["clientToken"] = *token
	}
	b.route(&message{topic: topic, payload: encodeJSON(body), qos: 1})
}

func (b *broker) rejection(e *ShadowError) object {
	body := object{"code": e.Code, "message": e.Message}
	if b.o.Readings.ErrorTimestamp {
		body["timestamp"] = b.now().Unix()
	}
	return body
}

// GetShadow reads a shadow as the account's owner does in the console: without
// quotas and faults. name "" is the classic shadow. The answer is that of the
// HTTPS API; an error is a *ShadowError.
func (c *Cloud) GetShadow(thing, name string) ([]byte, error) {
	return c.console(thing, name, "get", nil)
}

// UpdateShadow updates a shadow, like GetShadow; subscribers are told.
func (c *Cloud) UpdateShadow(thing, name string, document []byte) ([]byte, error) {
	return c.console(thing, name, "update", document)
}

// DeleteShadow deletes a shadow, like GetShadow; subscribers are told.
func (c *Cloud) DeleteShadow(thing, name string) ([]byte, error) {
	return c.console(thing, name, "delete", nil)
}

// ListShadows returns the names of a thing's named shadows, sorted.
func (c *Cloud) ListShadows(thing string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.listShadows(thing)
}

func (c *Cloud) console(thing, name, operation string, payload []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := shadowTopic{shadowKey{thing, name}, operation}
	token, rejected := tokenOf(payload, c.limits.ShadowToken)
	if rejected != nil {
		return nil, rejected
	}
	answer, rejected := c.operate(t, payload)
	if rejected != nil {
		return nil, rejected
	}
	if operation != "get" {
		c.announce(t, answer, token, true)
	}
	if token != nil {
		answer.accepted["clientToken"] = *token
	}
	return encodeJSON(answer.accepted), nil
}
