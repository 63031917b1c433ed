package main

import (
	"testing"

	"greengate/core/message"
	"greengate/core/router"
)

// What `watch --json --payload` tells of a message is all of its payload, or nothing.
func TestWholeEvent(t *testing.T) {
	text, bytes := message.Message{Payload: []byte("21 °C")}, message.Message{Payload: []byte{0xff, 0}}
	for name, c := range map[string]struct {
		m      message.Message
		text   string // "-": none
		base64 string
	}{
		"text":               {m: text, text: "21 °C"},
		"bytes":              {m: bytes, text: "-", base64: "/wA="},
		"nothing":            {text: ""},
		"the head of text":   {m: text.Head(), text: "-"},
		"that of bytes":      {m: bytes.Head(), text: "-"},
		"that of no payload": {m: new(message.Message).Head(), text: ""},
	} {
		told := wholeEvent(router.Event{Bytes: c.m.Size(), Message: &c.m})
		got := "-"
		if told.Payload != nil {
			got = *told.Payload
		}
		if got != c.text || told.Base64 != c.base64 || told.Bytes != c.m.Size() {
			t.Errorf("%s: told are %q and %q of %d bytes", name, got, told.Base64, told.Bytes)
		}
	}
}
