package dataplane

import (
	"context"
	"encoding/base64"
	"net/http"

	"greengate/core/message"
)

// maxRetainedPage is the most messages of a page, and how many there are when
// nothing is said (AWS: ListRetainedMessages).
const maxRetainedPage = 200

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
	if len(list) > int(n) {
		list = list[:n]
		page.NextToken = base64.RawURLEncoding.EncodeToString([]byte(list[n-1].Topic))
	}
	for _, k := range list {
		page.RetainedTopics = append(page.RetainedTopics, retainedTopic{k.Topic, len(k.Payload), min(k.QoS, 1), k.modified()})
	}
	c.write(http.StatusOK, page)
	return nil
}

// getRetained is GetRetainedMessage.
func (c *call) getRetained(context.Context) error {
	if err := message.CheckTopic(c.arg); err != nil {
		return invalid("%v", err)
	}
	k, err := c.h.o.Retained.Get(c.from, c.arg)
	if err != nil {
		return err
	}
	answer := retainedMessage{Topic: k.Topic, Payload: k.Payload, QoS: min(k.QoS, 1), LastModifiedTime: k.modified()}
	if p := k.Properties; p != nil && len(p.User) > 0 {
		answer.UserProperties = userText(p.User)
	}
	c.write(http.StatusOK, answer)
	return nil
}
