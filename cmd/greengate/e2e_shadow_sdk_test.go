package main_test

import (
	"strings"
	"testing"
)

// The shadow clients of Amazon's own SDKs, each on its thing's own shadows, for
// which nobody wrote a row. What they print is what they were told, without the
// times.

// session starts a script as the thing light, which has a shadow of its own and
// no row.
func (g *gateway) session(script, variant string) *lineReader {
	g.t.Helper()
	host, port := g.hostPort()
	return g.node(script, host, port, "light", variant)
}

// says fails the test unless the next lines are these.
func (r *lineReader) says(lines ...string) {
	r.t.Helper()
	for _, want := range lines {
		if got := r.until(""); got != want {
			r.t.Fatalf("%s\nprinted %s\nwant    %s", r.name, got, want)
		}
	}
}

// saysInAnyOrder is says for lines whose order the client does not keep.
func (r *lineReader) saysInAnyOrder(lines ...string) {
	r.t.Helper()
	left := append([]string{}, lines...)
	for range lines {
		got := r.until("")
		i := 0
		for i < len(left) && left[i] != got {
			i++
		}
		if i == len(left) {
			r.t.Fatalf("%s\nprinted %s\nwant one of\n%s", r.name, got, strings.Join(left, "\n"))
		}
		left = append(left[:i], left[i+1:]...)
	}
}

func TestThingShadowV1(t *testing.T) {
	for _, qos := range []string{"0", "1"} {
		t.Run("QoS "+qos, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "light", "panel")
			s.rows(row{From: "panel", Shadow: "light", May: []string{"update"}})
			g := s.start()
			client := g.session("shadow-v1.js", qos)
			client.says("registered")
			client.says(
				`rejected light {"code":404,"message":"No shadow exists with name: 'light'"}`,
				`delta light {"state":{"colour":"red"},"metadata":{"colour":{}},"version":1}`,
				`accepted light {"state":{"desired":{"colour":"red"}},"metadata":{"desired":{"colour":{}}},"version":1}`,
				`accepted light {"state":{"reported":{"colour":"red","lamps":[1,2]}},"metadata":{"reported":{"colour":{},"lamps":[{},{}]}},"version":2}`,
				`rejected light {"code":400,"message":"State contains an invalid node"}`,
				`waiting`,
			)
			panel := s.connect("panel")
			if code := panel.publish("$aws/things/light/shadow/update", `{"state":{"desired":{"colour":"blue"}},"clientToken":"panel"}`); code != 0 {
				t.Fatalf("the panel's update: %#x", code)
			}
			client.says(
				`delta light {"state":{"colour":"blue"},"metadata":{"colour":{}},"version":3}`,
				`foreign light update {"state":{"desired":{"colour":"blue"}},"metadata":{"desired":{"colour":{}}},"version":3}`,
				`delta light {"state":{"colour":"blue"},"metadata":{"colour":{}},"version":4}`,
				`accepted light {"state":{"reported":{"colour":null}},"metadata":{"reported":{"colour":{}}},"version":4}`,
				`accepted light {"state":{"desired":{"colour":"blue"},"reported":{"lamps":[1,2]},"delta":{"colour":"blue"}},`+
					`"metadata":{"desired":{"colour":{}},"reported":{"lamps":[{},{}]}},"version":4}`,
				`accepted light {"version":4}`,
				`rejected light {"code":404,"message":"No shadow exists with name: 'light'"}`,
				`bye`,
			)
			client.end()
			if st := g.status(); st.Shadows.Count != 0 || len(st.Shadows.List) != 0 {
				t.Errorf("the shadow was deleted, and status shows %+v", st.Shadows)
			}
		})
	}
}

func TestShadowClientV2(t *testing.T) {
	for _, variant := range []string{"mqtt311", "mqtt5"} {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "light")
			g := s.start()
			client := g.session("shadow-v2.js", variant)
			session := func(name string) {
				t.Helper()
				client.says(`Get Rejected {"code":404,"message":"No shadow exists with name: '` + name + `'","clientToken":"token-0"}`)
				// This client keeps the order of each subscription only.
				client.saysInAnyOrder(
					`delta {"state":{"colour":"red"},"metadata":{"colour":{}},"version":1,"clientToken":"token-1"}`,
					`documents {"current":{"state":{"desired":{"colour":"red"}},"metadata":{"desired":{"colour":{}}},"version":1},"clientToken":"token-1"}`,
					`Update Accepted {"state":{"desired":{"colour":"red"}},"metadata":{"desired":{"colour":{}}},"version":1,"clientToken":"token-1"}`,
					`documents {"previous":{"state":{"desired":{"colour":"red"}},"metadata":{"desired":{"colour":{}}},"version":1},`+
						`"current":{"state":{"desired":{"colour":"red"},"reported":{"colour":"red"}},"metadata":{"desired":{"colour":{}},"reported":{"colour":{}}},"version":2},"clientToken":"token-2"}`,
					`Update Accepted {"state":{"reported":{"colour":"red"}},"metadata":{"reported":{"colour":{}}},"version":2,"clientToken":"token-2"}`,
					`Update Rejected {"code":409,"message":"Version conflict","clientToken":"token-3"}`,
					`Get Accepted {"state":{"desired":{"colour":"red"},"reported":{"colour":"red"}},"metadata":{"desired":{"colour":{}},"reported":{"colour":{}}},"version":2,"clientToken":"token-4"}`,
					`Delete Accepted {"version":2,"clientToken":"token-5"}`,
				)
			}
			session("light")
			client.says("named")
			session("light~config")
			client.says("bye")
			client.end()
		})
	}
}

func TestShadowClientV2RequestResponse(t *testing.T) {
	for _, variant := range []string{"mqtt311", "mqtt5"} {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "light")
			g := s.start()
			client := g.session("shadow-v2-rr.js", variant)
			session := func(name string) {
				t.Helper()
				client.says(
					`get rejected {"code":404,"message":"No shadow exists with name: '` + name + `'"}`,
				)
				// A promise and a stream come by different ways.
				client.saysInAnyOrder(
					`delta {"state":{"colour":"red"},"metadata":{"colour":{}},"version":1}`,
					`documents {"current":{"state":{"desired":{"colour":"red"}},"metadata":{"desired":{"colour":{}}},"version":1}}`,
					`update accepted {"state":{"desired":{"colour":"red"}},"metadata":{"desired":{"colour":{}}},"version":1}`,
					`documents {"previous":{"state":{"desired":{"colour":"red"}},"metadata":{"desired":{"colour":{}}},"version":1},`+
						`"current":{"state":{"desired":{"colour":"red"},"reported":{"colour":"red"}},"metadata":{"desired":{"colour":{}},"reported":{"colour":{}}},"version":2}}`,
					`update accepted {"state":{"reported":{"colour":"red"}},"metadata":{"reported":{"colour":{}}},"version":2}`,
					`update rejected {"code":409,"message":"Version conflict"}`,
					`get accepted {"state":{"desired":{"colour":"red"},"reported":{"colour":"red"}},"metadata":{"desired":{"colour":{}},"reported":{"colour":{}}},"version":2}`,
				)
				client.says(
					`versions 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22`,
					`delete accepted {"version":22}`,
					`get rejected {"code":404,"message":"No shadow exists with name: '`+name+`'"}`,
				)
			}
			session("light")
			client.says("named")
			session("light~config")
			client.says("bye")
			client.end()
		})
	}
}
