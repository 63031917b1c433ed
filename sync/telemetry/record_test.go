package telemetry

import (
	"bytes"
	"testing"
)

// What is written is read, and no bit of it flips unseen but in prev, which may be any
// upper bound.
func TestRow(t *testing.T) {
	want := head{route: 70000, mono: 1 << 60, wall: 1764000000000000000, ttl: 259200000, flags: flagRetain | flagSynced}
	r := newRow("function:f", "a/b", []byte(`{"x":1}`), []byte("payload"), want)
	r.setPrev(12345678901)
	front, body := r.bytes[:r.body], r.bytes[r.body:]
	it := newItem(9, 1, front, body)
	if it.damaged || it.seq != 9 || it.prev != 12345678901 || it.routeID != want.route || it.mono != want.mono || it.wall != want.wall ||
		it.ttl != want.ttl || it.flags != want.flags || it.source != "function:f" || it.topic != "a/b" ||
		string(it.properties) != `{"x":1}` || string(it.payload) != "payload" {
		t.Errorf("read %+v", it)
	}
	if h, sound := parseHead(front, len(body)); !sound || h.size(len(body)) != it.size() {
		t.Errorf("the head counts %d, the message %d", h.size(len(body)), it.size())
	}
	for bit := range 8 * len(r.bytes) {
		if at := bit / 8; at >= prevAt && at < summedAt {
			continue
		}
		flipped := bytes.Clone(r.bytes)
		flipped[bit/8] ^= 1 << (bit % 8)
		it := newItem(9, 1, flipped[:len(front)], flipped[len(front):])
		h, _ := parseHead(flipped[:len(front)], len(body))
		if !it.damaged || it.size() != h.size(len(body)) {
			t.Errorf("bit %d flipped: %+v", bit, it)
		}
	}
	for n := range len(front) {
		if it := newItem(9, 1, front[:n], body); !it.damaged {
			t.Errorf("a head of %d bytes is taken for sound", n)
		}
	}
	if it := newItem(9, 1, front, nil); !it.damaged {
		t.Error("a message without a body is taken for sound")
	}
}
