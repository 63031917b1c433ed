package main_test

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"greengate/sync/cloud/cloudtest"
)

// The shadows of a site and those of the stand-in for AWS IoT Core.

// wants updates the desired section of a shadow in the cloud.
func (s *cloudSite) wants(thing, desired string) {
	s.t.Helper()
	if _, err := s.cloud.UpdateShadow(thing, "", []byte(`{"state":{"desired":`+desired+`}}`)); err != nil {
		s.t.Fatal(err)
	}
}

// reports updates a section of the device's own shadow here, as the device does.
func (d *device) state(section, value string) {
	d.t.Helper()
	if code := d.publish("$aws/things/"+d.thing+"/shadow/update", `{"state":{"`+section+`":`+value+`}}`); code >= 0x80 {
		d.t.Fatalf("update the shadow of %s: %#x", d.thing, code)
	}
}

// stateOf is the state of a document, without the delta.
func stateOf(t *testing.T, document []byte) map[string]any {
	t.Helper()
	var d struct{ State map[string]any }
	if err := json.Unmarshal(document, &d); err != nil {
		t.Fatalf("%v in %s", err, document)
	}
	delete(d.State, "delta")
	return d.State
}

// equal waits until both sides of a shadow have that state; "" is no shadow.
func (s *cloudSite) equal(thing, state string) {
	s.t.Helper()
	var want map[string]any
	if state != "" {
		want = stateOf(s.t, []byte(`{"state":`+state+`}`))
	}
	eventually(s.t, thing+" is "+state+" on both sides", func() bool {
		var here, there map[string]any
		if out, _, code := s.command("shadow", "get", thing, "--json"); code == 0 {
			here = stateOf(s.t, []byte(out))
		}
		if document, err := s.cloud.GetShadow(thing, ""); err == nil {
			there = stateOf(s.t, document)
		}
		return reflect.DeepEqual(here, want) && reflect.DeepEqual(there, want)
	})
}

// A change on either side reaches the other, and its device; what both changed while
// they did not see each other converges by the rules, through the death of the gateway,
// and the journal tells who won.
func TestShadowsConverge(t *testing.T) {
	t.Parallel()
	s := newCloudSite(t, "lamp")
	g := s.start()
	lamp := s.connect("lamp")
	lamp.subscribe("$aws/things/lamp/shadow/update/delta")
	eventually(t, "the cloud is there", func() bool { return g.status().Cloud.Connected })

	lamp.state("reported", `{"power":"off"}`)
	s.equal("lamp", `{"reported":{"power":"off"}}`)
	s.wants("lamp", `{"power":"on"}`)
	if p := lamp.next(); !strings.Contains(string(p.Payload), `"state":{"power":"on"}`) {
		t.Errorf("the lamp hears %s", p.Payload)
	}
	lamp.state("reported", `{"power":"on"}`)
	s.equal("lamp", `{"desired":{"power":"on"},"reported":{"power":"on"}}`)
	eventually(t, "the answer is on disk", func() bool { return strings.Contains(s.greengate("status"), " in step with the cloud") })
	s.says("status", `^  synced with the cloud: .*in step; 0 conflicts so far$`, `^  lamp +version [0-9]+ +no delta +since .* in step with the cloud$`)

	s.cloud.Change(func(f *cloudtest.Faults) { f.Refuse = true })
	s.cloud.Cut("e2e_Core", true)
	eventually(t, "the cloud is gone", func() bool { return !g.status().Cloud.Connected })
	lamp.state("desired", `{"power":"dim","colour":"red"}`)
	lamp.state("reported", `{"power":"dim"}`)
	s.wants("lamp", `{"power":"off","fade":3}`)
	s.says("shadow diff lamp", `^desired.colour +"red" +\(none\)$`, `^desired.power +"dim" +"on"$`)
	g.die()
	g = s.start()
	s.says("status", ` ahead`)
	s.cloud.Heal()
	s.equal("lamp", `{"desired":{"power":"off","colour":"red","fade":3},"reported":{"power":"dim"}}`)
	s.says("shadow history lamp", `device lamp \([0-9a-f]{12}\.\.\.\) +desired.*power "on" -> "dim"`,
		`cloud .*desired.power "dim" -> "off"$`, `conflict: desired.power was "on"; here "dim", in the cloud "off"; the cloud's stands$`)
	if w := s.cloud.Violations(); len(w) > 0 {
		t.Errorf("the gateway broke limits of the cloud: %v", w)
	}

	// A deletion, and a revert.
	if _, err := s.cloud.DeleteShadow("lamp", ""); err != nil {
		t.Fatal(err)
	}
	s.equal("lamp", "")
	s.greengate("shadow", "update", "lamp", `{"state":{"desired":{"power":"a"}}}`)
	s.greengate("shadow", "update", "lamp", `{"state":{"desired":{"power":"b"}}}`)
	s.equal("lamp", `{"desired":{"power":"b"}}`)
	var now struct{ Version int64 }
	if err := json.Unmarshal([]byte(s.greengate("shadow", "get", "lamp", "--json")), &now); err != nil {
		t.Fatal(err)
	}
	s.greengate("shadow", "revert", "lamp", strconv.FormatInt(now.Version-1, 10))
	s.equal("lamp", `{"desired":{"power":"a"}}`)

	// A deletion that the cloud has not heard of is not out of sight.
	s.cloud.Change(func(f *cloudtest.Faults) { f.Refuse = true })
	s.cloud.Cut("e2e_Core", true)
	eventually(t, "the cloud is gone again", func() bool { return !g.status().Cloud.Connected })
	s.greengate("shadow", "delete", "lamp")
	eventually(t, "the deletion waits", func() bool {
		return strings.Contains(s.greengate("status"), "\n  synced with the cloud: 1 ahead of the cloud")
	})
	s.says("status", `^  lamp +none here +ahead$`)
	s.cloud.Heal()
	s.equal("lamp", "")
	g.balanced()
}
