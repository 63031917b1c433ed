package message_test

import (
	"reflect"
	"testing"
	"time"
	"unsafe"

	"greengate/core/message"
)

// inBuffer makes a message whose payload and properties lie in buffers, and returns
// what overwrites them.
func inBuffer() (m *message.Message, reuse func()) {
	payload, more := []byte("on"), []byte("text/plain,reply/to,name,value")
	text := func(b []byte) string { return unsafe.String(&b[0], len(b)) }
	correlation := []byte{1, 2, 3}
	m = &message.Message{
		Source: message.DeviceEndpoint("switch"), Topic: "home/lamp", Payload: payload, QoS: 1, Retain: true,
		Expires: time.Unix(100, 0),
		Properties: &message.Properties{
			PayloadIsUTF8: true, ContentType: text(more[:10]), ResponseTopic: text(more[11:19]), CorrelationData: correlation,
			User: []message.UserProperty{{Name: text(more[20:24]), Value: text(more[25:])}, {Name: text(more[20:24])}},
		},
	}
	return m, func() {
		for _, b := range [][]byte{payload, more, correlation} {
			for i := range b {
				b[i] = '!'
			}
		}
		m.Properties.User[1].Name = "changed"
	}
}

// A kept message does not change when its sender uses its buffers again.
func TestKeepOutlivesBuffers(t *testing.T) {
	m, reuse := inBuffer()
	k := m.Keep()
	reuse()
	if string(m.Payload) != "!!" || m.Properties.ContentType != "!!!!!!!!!!" {
		t.Fatal("the message does not lie in the buffers, so this tests nothing")
	}
	got := *k
	want := message.Properties{
		PayloadIsUTF8: true, ContentType: "text/plain", ResponseTopic: "reply/to", CorrelationData: []byte{1, 2, 3},
		User: []message.UserProperty{{Name: "name", Value: "value"}, {Name: "name"}}, // twice, in the order sent [MQTT-3.3.2-18]
	}
	if got.Topic != "home/lamp" || string(got.Payload) != "on" || !reflect.DeepEqual(*got.Properties, want) {
		t.Errorf("kept %+v with %+v", got, *got.Properties)
	}
	if got.Source != message.DeviceEndpoint("switch") || got.QoS != 1 || !got.Retain || !got.Expires.Equal(time.Unix(100, 0)) {
		t.Errorf("kept %+v", got)
	}
}

// All who keep a message share one copy, and a copy is its own.
func TestKeepShares(t *testing.T) {
	m, _ := inBuffer()
	k := m.Keep()
	if m.Keep() != k || k.Keep() != k {
		t.Error("keeping it twice makes two copies")
	}
	if k == m {
		t.Error("the copy is the message")
	}
	other := message.Message{Topic: "another"}
	if *m = other; m.Keep() == k || m.Keep().Topic != "another" {
		t.Error("a new message in the same place gets the copy of the old one")
	}
}

func TestKeepNothing(t *testing.T) {
	buffer := make([]byte, 1<<10)
	m := message.Message{Topic: "t", Payload: buffer[:0]}
	k := m.Keep()
	if len(k.Payload) != 0 || k.Properties != nil {
		t.Errorf("kept %+v", k)
	}
	if unsafe.SliceData(k.Payload) == unsafe.SliceData(buffer) {
		t.Error("a message without payload holds on to its sender's buffer")
	}
}

// A message that is kept is copied once, however many keep it.
func TestKeepAllocates(t *testing.T) {
	m := message.Message{Topic: "t", Payload: []byte("payload")}
	m.Keep()
	if n := testing.AllocsPerRun(100, func() { m.Keep() }); n != 0 {
		t.Errorf("%g allocations for a message that is kept", n)
	}
}

func TestExpired(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name    string
		expires time.Time
		want    bool
	}{
		{"never", time.Time{}, false},
		{"later", now.Add(time.Nanosecond), false},
		{"now [MQTT-3.3.2-5]", now, true},
		{"before", now.Add(-time.Nanosecond), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := message.Message{Expires: c.expires}
			if got := m.Expired(now); got != c.want {
				t.Errorf("expired: %t", got)
			}
		})
	}
	m := message.Message{Expires: now}
	if m.Keep(); !m.Keep().Expired(now) {
		t.Error("a kept message has lost its end")
	}
}

// A head tells all of a message but what it says, and how much that was.
func TestHead(t *testing.T) {
	m, reuse := inBuffer()
	h := m.Head()
	reuse()
	if h.Payload != nil || h.Properties != nil {
		t.Errorf("the head has %q and %+v", h.Payload, h.Properties)
	}
	if h.Source != m.Source || h.Topic != m.Topic || h.QoS != m.QoS || h.Retain != m.Retain || !h.Expires.Equal(m.Expires) {
		t.Errorf("head %+v of %+v", h, m)
	}
	for _, some := range []message.Message{*m, h, h.Head()} {
		if n := some.Size(); n != len("on") {
			t.Errorf("%d bytes, want 2", n)
		}
	}
}
