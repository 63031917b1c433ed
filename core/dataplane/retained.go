package dataplane

import (
	"context"
	"encoding/base64"

	"greengate/core/message"
)

// maxRetainedPage is the most messages of a page, and how many there are when
// nothing is said (AWS: ListRetainedMessages).
const maxRetainedPage = 200

// Bounds of AWS that topics and messages over MQTT do not have here.
const (
	maxPageTopics = 128 << 10 // bytes of the topics of a page
	maxTokenTopic = 8 << 10   // bytes of the topic in a token, which is to travel in a URL
)

// The answers about retained messages. The names are AWS's; times are Unix
// milliseconds.
type (
	retainedPage struct {
		RetainedTopics []retainedTopic `json:"retainedTopics"`
		NextToken      string          `json:"nextToken,omitempty"`
	}
	retainedTopic struct {
		Topic            string `json:"topic"`
		PayloadSize      int    `json:"payloadSize"`
		QoS              byte   `json:"qos"`
		LastModifiedTime int64  `json:"lastModifiedTime,omitempty"`
	}
	retainedMessage struct {
		Topic            string `json:"topic"`
		Payload          []byte `json:"payload"`
		QoS              byte   `json:"qos"`
		LastModifiedTime int64  `json:"lastModifiedTime,omitempty"`
		UserProperties   []byte `json:"userProperties,omitempty"`
	}
)

func (k Kept) modified() int64 {
	if k.Stored.IsZero() {
		return 0
	}
	return k.Stored.UnixMilli()
}

// listRetained is ListRetainedMessages.
func (c *call) listRetained(context.Context) error {
	p := c.params()
	n, given := p.number("maxResults", 1, maxRetainedPage)
	if !given {
		n = maxRetainedPage
	}
	after, err := base64.RawURLEncoding.DecodeString(p.values.Get("nextToken"))
	if err != nil {
		p.fail("nextToken is none of this service")
	}
	if p.err != nil {
		return p.err
	}
	list := c.h.o.Retained.List(c.from, string(after), int(n)+1)
	page := retainedPage{RetainedTopics: []retainedTopic{}}
	for i, bytes := 0, 0; i < len(list); i++ {
		k := list[i]
		if bytes += len(k.Topic); i > 0 && (i == int(n) || bytes > maxPageTopics) {
			page.NextToken = token(list[i-1].Topic)
			break
		}
		page.RetainedTopics = append(page.RetainedTopics, retainedTopic{k.Topic, len(k.Payload), min(k.QoS, 1), k.modified()})
	}
	return c.show(encode(page))
}

// token says that the next page begins after a topic. One that is too long for that is
// cut, and all that begin like it are passed over.
func token(topic string) string {
	if len(topic) > maxTokenTopic {
		topic = topic[:maxTokenTopic] + "\xff" // comes after all UTF-8
	}
	return base64.RawURLEncoding.EncodeToString([]byte(topic))
}

// getRetained is GetRetainedMessage.
func (c *call) getRetained(context.Context) error {
	if err := message.CheckTopic(c.arg); err != nil {
		return invalid("%v", err)
	}
	var answer retainedMessage
	err := c.h.o.Retained.Get(c.from, c.arg, func(k Kept) error {
		answer = retainedMessage{Topic: k.Topic, Payload: k.Payload, QoS: min(k.QoS, 1), LastModifiedTime: k.modified()}
		if p := k.Properties; p != nil && len(p.User) > 0 {
			answer.UserProperties = userText(p.User)
		}
		if limit := c.h.o.Limits.Publish; len(k.Payload) > limit || len(answer.UserProperties) > maxText {
			// AWS has no word for it: nothing larger is published there.
			e := invalid("the message is larger than %d bytes, or its user properties than %d; subscribe to it over MQTT", limit, maxText)
			e.reason = reasonTooLarge
			return e
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.show(encode(answer))
}
