package cloudtest_test

import (
	"slices"
	"testing"

	"greengate/sync/cloud/cloudtest"
)

// A policy that names what is allowed forbids all else, on each way in and out.
func TestLeastPolicy(t *testing.T) {
	c := start(t, cloudtest.Options{})
	p := cloudtest.LeastPolicy("core", "lamp")
	c.SetPolicy("core", p)
	if x, err := tryConnect(t, dial(t, c, "core"), "other"); err == nil || x.connack.ReasonCode != 0x87 {
		t.Errorf("another client id: %v and %+v, want 0x87", err, x.connack)
	}
	x := connect(t, c, "core")
	if got := x.subscribe(p.Subscribe...); string(got) != "\x01\x01\x01\x01" {
		t.Errorf("subscriptions: %x", got)
	}
	// AWS compares the text of a filter: one that is covered is another.
	if got := x.subscribe("$aws/things/lamp/shadow/get/accepted", "news"); string(got) != "\x87\x87" {
		t.Errorf("other subscriptions: %x", got)
	}
	for topic, want := range map[string]byte{
		lamp + "/update": 0, lamp + "/name/n/get": 0, "$aws/things/fan/shadow/update": 0x87, "$aws/things/fan/shadow/name/n/get": 0x87, "news": 0x87,
	} {
		if got := x.publish(topic, `{"state":{}}`); got != want {
			t.Errorf("publish to %s: %#x, want %#x", topic, got, want)
		}
	}
	order, _ := x.answers(lamp, 2)
	if slices.Sort(order); !slices.Equal(order, []string{"name/n/get/rejected", "update/accepted"}) {
		t.Errorf("answers %q", order)
	}
	// The shadow of another thing changes: a wildcard hears it, Receive does not.
	for _, thing := range []string{"fan", "lamp"} {
		if _, err := c.UpdateShadow(thing, "", []byte(`{"state":{"reported":{"a":1}}}`)); err != nil {
			t.Fatal(err)
		}
	}
	if p := x.hears(); p.Topic != lamp+"/update/accepted" {
		t.Errorf("heard %s", p.Topic)
	}
	https := newCaller(t, c, "core", c.DataAddr())
	for path, want := range map[string]int{
		"/things/lamp/shadow": 200, "/things/fan/shadow": 403,
		"/api/things/shadow/ListNamedShadowsForThing/lamp": 200, "/api/things/shadow/ListNamedShadowsForThing/fan": 403,
	} {
		if got, answer, _ := https.do("GET", path, ""); got != want {
			t.Errorf("GET %s: %d %s, want %d", path, got, answer, want)
		}
	}
}
