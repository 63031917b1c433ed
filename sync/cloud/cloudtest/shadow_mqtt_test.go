package cloudtest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"greengate/sync/cloud/cloudtest"
)

const lamp = "$aws/things/lamp/shadow"

// answers reads n messages, by topic without the shadow's prefix.
func (x *client) answers(prefix string, n int) (order []string, byTopic map[string][]byte) {
	x.t.Helper()
	byTopic = map[string][]byte{}
	for range n {
		p := x.hears()
		name := strings.TrimPrefix(p.Topic, prefix+"/")
		order, byTopic[name] = append(order, name), p.Payload
	}
	return order, byTopic
}

func TestShadowOverMQTT(t *testing.T) {
	for name, prefix := range map[string]string{"classic": lamp, "named": lamp + "/name/night"} {
		t.Run(name, func(t *testing.T) {
			c := start(t, cloudtest.Options{})
			x := connect(t, c, "lamp")
			x.subscribe(prefix+"/update/+", prefix+"/get/+", prefix+"/delete/+")
			x.publish(prefix+"/get", `{"clientToken":"g"}`)
			_, got := x.answers(prefix, 1)
			shadow := "lamp"
			if name == "named" {
				shadow = "night"
			}
			sameJSON(t, "get", got["get/rejected"], `{"code":404,"message":"No shadow exists with name: '`+shadow+`'","clientToken":"g"}`)

			x.publish(prefix+"/update", `{"state":{"desired":{"on":true}},"clientToken":"u"}`)
			order, got := x.answers(prefix, 3)
			if !slices.Equal(order, []string{"update/accepted", "update/delta", "update/documents"}) {
				t.Errorf("answers %v", order)
			}
			const ts = `{"timestamp":1}`
			sameJSON(t, "accepted", got["update/accepted"], `{"state":{"desired":{"on":true}},"metadata":{"desired":{"on":`+ts+`}},"version":1,"timestamp":1,"clientToken":"u"}`)
			sameJSON(t, "delta", got["update/delta"], `{"state":{"on":true},"metadata":{"on":`+ts+`},"version":1,"timestamp":1,"clientToken":"u"}`)
			sameJSON(t, "documents", got["update/documents"], `{"current":{"state":{"desired":{"on":true}},"metadata":{"desired":{"on":`+ts+`}},"version":1},"timestamp":1,"clientToken":"u"}`)

			x.publish(prefix+"/update", `{"state":{"reported":{"on":true}}}`)
			order, got = x.answers(prefix, 2) // no delta: nothing differs
			if !slices.Equal(order, []string{"update/accepted", "update/documents"}) {
				t.Errorf("answers %v", order)
			}
			if !strings.Contains(string(got["update/documents"]), `"previous":{`) {
				t.Errorf("documents %s", got["update/documents"])
			}
			x.publish(prefix+"/update", `{"state":{"reported":{"on":false}},"version":9}`)
			_, got = x.answers(prefix, 1)
			sameJSON(t, "conflict", got["update/rejected"], `{"code":409,"message":"Version conflict"}`)
			x.publish(prefix+"/delete", "")
			_, got = x.answers(prefix, 1)
			sameJSON(t, "delete", got["delete/accepted"], `{"version":2,"timestamp":1}`)
			if n := c.Status().Shadows; n != 0 {
				t.Errorf("%d shadows", n)
			}
		})
	}
}

func TestShadowFaultsOverMQTT(t *testing.T) {
	c := start(t, cloudtest.Options{Limits: cloudtest.NoRates()})
	x := connect(t, c, "lamp")
	x.subscribe(lamp + "/update/+")
	update := func() { x.publish(lamp+"/update", `{"state":{"desired":{"on":true}}}`) }
	fault := func(name, value string) {
		t.Helper()
		if err := c.SetFault(name, value); err != nil {
			t.Fatal(err)
		}
	}
	for _, code := range []int{409, 429, 500} {
		fault("shadow-code", fmt.Sprintf("%d:1", code))
		update()
		_, got := x.answers(lamp, 1)
		if want := fmt.Sprintf(`"code":%d`, code); !strings.Contains(string(got["update/rejected"]), want) {
			t.Errorf("answers %q, want %s", got, want)
		}
	}
	if n := c.Status().Shadows; n != 0 {
		t.Fatal("a rejected request was applied")
	}
	fault("shadow-lost", "1")
	update()
	x.hearsOnly(c)
	if n := c.Status().Shadows; n != 0 {
		t.Error("a lost request was applied")
	}
	fault("shadow-answer-lost", "1")
	update()
	if order, _ := x.answers(lamp, 2); !slices.Equal(order, []string{"update/delta", "update/documents"}) {
		t.Errorf("answers %v, want no accepted", order)
	}
	if n := c.Status().Shadows; n != 1 {
		t.Error("a request with a lost answer was not applied")
	}
	fault("shadow-reorder", "on")
	update()
	if order, _ := x.answers(lamp, 3); !slices.Equal(order, []string{"update/documents", "update/delta", "update/accepted"}) {
		t.Errorf("answers %v", order)
	}
}

// requests sends n get requests of the classic shadow of "w" with QoS 0 and
// returns how many of the answers have each code, 0 for accepted.
func (w *wire) requests(n int) map[string]int {
	w.t.Helper()
	topic := "$aws/things/w/shadow/get"
	for range n {
		w.send(append([]byte{0x30, byte(len(topic) + 2), 0, byte(len(topic))}, topic...))
	}
	codes := map[string]int{}
	for range n {
		first, body := w.packet()
		if first>>4 != 3 {
			w.t.Fatalf("packet %#x", first)
		}
		topic, payload, _ := strings.Cut(string(body[2:]), "{")
		if _, code, rejected := strings.Cut(payload, `"code":`); rejected {
			topic = code[:3]
		}
		codes[topic]++
	}
	return codes
}

func TestShadowQuotas(t *testing.T) {
	const accepted = "$aws/things/w/shadow/get/accepted"
	inBubble(t, cloudtest.Options{Limits: cloudtest.Limits{PublishRate: -1}}, func(t *testing.T, c *bubble) {
		if _, err := c.UpdateShadow("w", "", []byte(`{"state":{}}`)); err != nil {
			t.Fatal(err)
		}
		w, _ := c.wire(connect4)
		filter := "$aws/things/w/shadow/get/+"
		w.send(append(append([]byte{0x82, byte(len(filter) + 5), 0, 1, 0, byte(len(filter))}, filter...), 0))
		w.packet()
		if got := w.requests(30); got[accepted] != 20 || got["429"] != 10 {
			t.Errorf("30 requests at once: %v, want 20 and then 429", got)
		}
		time.Sleep(2 * time.Second)
		c.Change(func(f *cloudtest.Faults) { f.ShadowDelay = 3 * time.Second })
		if got := w.requests(15); got[accepted] != 10 || got["429"] != 5 {
			t.Errorf("15 slow requests: %v, want 10 in flight and then 429", got)
		}
	})
}
