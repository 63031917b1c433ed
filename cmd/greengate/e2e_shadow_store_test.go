package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/eclipse/paho.golang/paho"
)

// What was accepted is kept, in order, however the gateway ends.

// document is what these tests read of an answer of the shadow service.
type document struct {
	State struct {
		Desired, Reported map[string]any
	}
	Current     struct{ Version int64 } // of documents
	Version     int64
	Code        int
	Message     string
	ClientToken string
}

// shadowAnswer is the next message below the classic shadow of the device.
func (d *device) shadowAnswer() (topic string, doc document) {
	d.t.Helper()
	p := d.next()
	topic, found := strings.CutPrefix(p.Topic, shadowTopic(d.thing, "", ""))
	if err := json.Unmarshal(p.Payload, &doc); err != nil || !found {
		d.t.Fatalf("%s heard %s: %s", d.thing, p.Topic, p.Payload)
	}
	return topic, doc
}

// shadow is what the service answers to a get of the device.
func (d *device) shadow() document {
	d.t.Helper()
	d.publish(shadowTopic(d.thing, "", "get"), "")
	topic, doc := d.shadowAnswer()
	if topic != "get/accepted" {
		d.t.Fatalf("%s: %+v", topic, doc)
	}
	return doc
}

// number is the reported n of a document.
func number(doc document) float64 {
	n, _ := doc.State.Reported["n"].(float64)
	return n
}

// send publishes without waiting for the acknowledgement.
func (d *device) send(topic, payload string, qos byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := d.PublishWithOptions(ctx, &paho.Publish{Topic: topic, Payload: []byte(payload), QoS: qos},
		paho.PublishOptions{Method: paho.PublishMethod_AsyncSend})
	return err
}

// TestShadowSurvivesKill kills the gateway with updates on their way, again and
// again: what was accepted is there afterwards, and versions go on from it.
func TestShadowSurvivesKill(t *testing.T) {
	t.Parallel()
	s := newSite(t, "light")
	var accepted document // the newest that the light has heard of
	for round := range 8 {
		g := s.start()
		light := s.connect("light")
		light.subscribe(shadowTopic("light", "", "get/+"))
		if round > 0 {
			// What was on its way at the end may be there or not, but nothing of what
			// was accepted is missing.
			got := light.shadow()
			if got.Version < accepted.Version || number(got) < number(accepted) {
				t.Fatalf("after the kill the shadow is %+v; accepted was %+v", got, accepted)
			}
			accepted.Version = got.Version
		}
		light.subscribe(shadowTopic("light", "", "update/accepted"))
		var dying atomic.Bool
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for n := 0; ; n++ {
				err := light.send(shadowTopic("light", "", "update"), fmt.Sprintf(`{"state":{"reported":{"n":%d}}}`, round*1_000_000+n), 1)
				if err != nil {
					if !dying.Load() {
						t.Errorf("update %d: %v", n, err)
					}
					return
				}
			}
		}()
		for range 100 {
			_, next := light.shadowAnswer()
			if next.Version != accepted.Version+1 {
				t.Fatalf("version %d follows %d", next.Version, accepted.Version)
			}
			accepted = next
		}
		dying.Store(true)
		g.die()
		light.cutOff()
		<-sent
		for len(light.heard) > 0 { // told before the end, so it counts
			_, accepted = light.shadowAnswer()
		}
	}
	g := s.start()
	light := s.connect("light")
	light.subscribe(shadowTopic("light", "", "get/+"))
	light.subscribe(shadowTopic("light", "", "update/accepted"))
	before := light.shadow()
	light.publish(shadowTopic("light", "", "update"), `{"state":{"reported":{"last":true}}}`)
	if _, next := light.shadowAnswer(); next.Version != before.Version+1 || before.Version < accepted.Version {
		t.Errorf("accepted version %d, found %d, then %d", accepted.Version, before.Version, next.Version)
	}
	if st := g.status().Shadows; st.Count != 1 || len(st.List) != 1 || st.List[0].Version != before.Version+1 {
		t.Errorf("status shows %+v", st)
	}
}

// TestShadowUpdatesKeepTheirOrder: many updates of one thing that do not wait
// for each other.
func TestShadowUpdatesKeepTheirOrder(t *testing.T) {
	for qos := range byte(2) {
		t.Run(fmt.Sprintf("QoS %d", qos), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "light")
			g := s.start()
			light := s.connect("light")
			light.subscribe(shadowTopic("light", "", "update/+"))
			// Fewer than the service lets wait for one thing.
			const n = 200
			for i := range n {
				if err := light.send(shadowTopic("light", "", "update"), fmt.Sprintf(`{"state":{"desired":{"n":%d}},"clientToken":"%d"}`, i, i), qos); err != nil {
					t.Fatal(err)
				}
			}
			for i := range n {
				for _, want := range []string{"update/delta", "update/documents", "update/accepted"} {
					topic, doc := light.shadowAnswer()
					if token := fmt.Sprint(i); topic != want || max(doc.Version, doc.Current.Version) != int64(i)+1 || doc.ClientToken != token {
						t.Fatalf("update %d: %s of version %d with token %s, want %s", i, topic, doc.Version, doc.ClientToken, want)
					}
				}
			}
			g.counts(ledger{Accepted: 4 * n, Delivered: 4 * n})
		})
	}
}

// TestShadowFlood sends more than the service lets wait: each request is
// answered once, some with the advice to come back later, which changed nothing.
func TestShadowFlood(t *testing.T) {
	t.Parallel()
	s := newSite(t, "light")
	g := s.start()
	light := s.connect("light")
	light.subscribe(shadowTopic("light", "", "update/accepted"))
	light.subscribe(shadowTopic("light", "", "update/rejected"))
	light.subscribe(shadowTopic("light", "", "get/accepted"))
	const n = 3000
	for i := range n {
		if err := light.send(shadowTopic("light", "", "update"), fmt.Sprintf(`{"state":{"reported":{"k%d":%d}},"clientToken":"%d"}`, i%10, i, i), 0); err != nil {
			t.Fatal(err)
		}
	}
	answered, version := map[string]int{}, int64(0)
	for range n {
		topic, doc := light.shadowAnswer()
		answered[doc.ClientToken]++
		switch {
		case topic == "update/accepted" && doc.Version == version+1:
			version++
		case topic == "update/rejected" && doc.Code == 429:
		default:
			t.Fatalf("%s: %+v after version %d", topic, doc, version)
		}
	}
	if len(answered) != n {
		t.Errorf("%d of %d requests were answered", len(answered), n)
	}
	if got := light.shadow(); got.Version != version {
		t.Errorf("%d updates were accepted, and the version is %d", version, got.Version)
	}
	t.Logf("%d accepted, %d told to come back later", version, n-version)
	if l := g.status().Ledger; !l.balanced() {
		t.Errorf("the ledger does not balance: %+v", l)
	}
}

// TestShadowTakesNoNonsense sends what no document is: AWS's answer comes, and
// nothing has changed.
func TestShadowTakesNoNonsense(t *testing.T) {
	t.Parallel()
	s := newSite(t, "light")
	s.start()
	light := s.connect("light")
	light.subscribe(shadowTopic("light", "", "update/rejected"))
	light.subscribe(shadowTopic("light", "", "get/accepted"))
	light.publish(shadowTopic("light", "", "update"), `{"state":{"desired":{"colour":"red"}}}`)
	before := light.shadow()
	for _, c := range []struct {
		what, payload string
		code          int
	}{
		{"a megabyte", `{"state":{"desired":{"x":"` + strings.Repeat("x", 1<<20) + `"}}}`, 413},
		{"more than a state may have", `{"state":{"desired":{"x":"` + strings.Repeat("x", 9<<10) + `"}}}`, 413},
		{"1,000 levels", `{"state":{"desired":` + strings.Repeat(`{"x":`, 1000) + `1` + strings.Repeat(`}`, 1000) + `}}`, 400},
		{"1,000 arrays", `{"state":{"desired":{"x":` + strings.Repeat(`[`, 1000) + strings.Repeat(`]`, 1000) + `}}}`, 400},
		{"not UTF-8", "{\"state\":{\"desired\":{\"x\":\"\xff\"}}}", 415},
		{"half a document", `{"state":{"desired":{"x":1}`, 400},
		{"no state", `{"desired":{"x":1}}`, 400},
		{"a list", `[{"state":{}}]`, 400},
		{"null in a list", `{"state":{"desired":{"x":[1,null]}}}`, 400},
		{"a version of the future", `{"state":{"desired":{"x":1}},"version":2}`, 409},
		{"a version of the past", `{"state":{"desired":{"x":1}},"version":0}`, 409},
		{"a version that is none", `{"state":{"desired":{"x":1}},"version":"1"}`, 400},
		{"a long token", `{"state":{"desired":{"x":1}},"clientToken":"` + strings.Repeat("t", 65) + `"}`, 400},
	} {
		light.publish(shadowTopic("light", "", "update"), c.payload)
		if topic, doc := light.shadowAnswer(); topic != "update/rejected" || doc.Code != c.code {
			t.Errorf("%s: %s with %d %s, want %d", c.what, topic, doc.Code, doc.Message, c.code)
		}
	}
	if after := light.shadow(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the shadow was %+v and is %+v", before, after)
	}
}
