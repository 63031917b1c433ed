package main_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Raw documents through mosquitto's clients: the bytes on the wire, which the
// SDKs would read in any order.

// seconds are the times of a document: whole seconds since 1970.
var seconds = regexp.MustCompile(`"timestamp":\d{10}([,}])`)

// timeless writes T for every time of a document.
func timeless(document string) string {
	return seconds.ReplaceAllString(document, `"timestamp":T$1`)
}

// shadowTopic is that of the classic shadow, or of the one with that name.
func shadowTopic(thing, name, rest string) string {
	if name == "" {
		return "$aws/things/" + thing + "/shadow/" + rest
	}
	return "$aws/things/" + thing + "/shadow/name/" + name + "/" + rest
}

// answers fails the test unless mosquitto_sub hears these next: topics below
// the shadow, and documents.
func (r *lineReader) answers(thing, name string, qos int, answers ...[2]string) {
	r.t.Helper()
	for _, a := range answers {
		want := fmt.Sprintf("%s %d 0 %s", shadowTopic(thing, name, a[0]), qos, a[1])
		if got := timeless(r.until("heard ")); got != want {
			r.t.Fatalf("heard %s\nwant  %s", got, want)
		}
	}
}

func TestMosquittoShadows(t *testing.T) {
	for _, version := range []string{"mqttv311", "mqttv5"} {
		for _, name := range []string{"", "config"} {
			for qos := range 2 {
				t.Run(fmt.Sprintf("%s %q QoS %d", version, name, qos), func(t *testing.T) {
					t.Parallel()
					mosquittoShadow(t, version, name, qos)
				})
			}
		}
	}
}

// mosquittoShadow has the light listen to its own shadow, for which there is no
// row, and a panel change it, for which there is one.
func mosquittoShadow(t *testing.T, version, name string, qos int) {
	s := newSite(t, "light", "panel")
	s.rows(row{From: "panel", Shadow: "light", May: []string{"get", "update", "delete"}})
	g := s.start()
	light := s.listen(version, "light", shadowTopic("light", name, "#"), "-q", fmt.Sprint(qos))
	request := func(operation string, args ...string) {
		t.Helper()
		s.mosquitto("mosquitto_pub", version, "panel", append([]string{
			"-q", fmt.Sprint(qos), "-t", shadowTopic("light", name, operation)}, args...)...).end()
	}
	told := func(answers ...[2]string) {
		t.Helper()
		light.answers("light", name, qos, answers...)
	}
	// The captured answer has these bytes and no time (aws-iot.md 1.3).
	missing := `{"code":404,"message":"No shadow exists with name: 'light'"}`
	if name != "" {
		missing = strings.Replace(missing, "light", "light~"+name, 1)
	}

	request("get", "-n")
	told([2]string{"get/rejected", missing})
	request("update", "-m", `{"state": {"desired": {"colour": "red", "lamps": [1, null]}}, "clientToken": "one"}`)
	told([2]string{"update/rejected", `{"code":400,"message":"State contains an invalid node","timestamp":T,"clientToken":"one"}`})

	request("update", "-m", `{"state": {"desired": {"colour": "red", "level": 1.50}}, "clientToken": "two"}`)
	told(
		[2]string{"update/delta", `{"state":{"colour":"red","level":1.50},"metadata":{"colour":{"timestamp":T},"level":{"timestamp":T}},"version":1,"timestamp":T,"clientToken":"two"}`},
		[2]string{"update/documents", `{"current":{"state":{"desired":{"colour":"red","level":1.50}},"metadata":{"desired":{"colour":{"timestamp":T},"level":{"timestamp":T}}},"version":1},"timestamp":T,"clientToken":"two"}`},
		[2]string{"update/accepted", `{"state":{"desired":{"colour":"red","level":1.50}},"metadata":{"desired":{"colour":{"timestamp":T},"level":{"timestamp":T}}},"version":1,"timestamp":T,"clientToken":"two"}`},
	)
	request("update", "-m", `{"state":{"desired":{"level":null},"reported":{"colour":"red","gone":null}},"version":1}`)
	told(
		[2]string{"update/documents", `{"previous":{"state":{"desired":{"colour":"red","level":1.50}},"metadata":{"desired":{"colour":{"timestamp":T},"level":{"timestamp":T}}},"version":1},` +
			`"current":{"state":{"desired":{"colour":"red"},"reported":{"colour":"red"}},"metadata":{"desired":{"colour":{"timestamp":T}},"reported":{"colour":{"timestamp":T}}},"version":2},"timestamp":T}`},
		[2]string{"update/accepted", `{"state":{"desired":{"level":null},"reported":{"colour":"red","gone":null}},"metadata":{"desired":{"level":{"timestamp":T}},"reported":{"colour":{"timestamp":T},"gone":{"timestamp":T}}},"version":2,"timestamp":T}`},
	)
	request("update", "-m", `{"state":{"desired":{"colour":"blue"}},"version":1,"clientToken":"three"}`)
	told([2]string{"update/rejected", `{"code":409,"message":"Version conflict","clientToken":"three"}`})
	request("update", "-m", `no JSON`)
	told([2]string{"update/rejected", `{"code":400,"message":"Invalid JSON","timestamp":T}`})
	request("update", "-n")
	told([2]string{"update/rejected", `{"code":400,"message":"Invalid JSON","timestamp":T}`})
	request("get", "-m", `{"clientToken":"four"}`)
	told([2]string{"get/accepted", `{"state":{"desired":{"colour":"red"},"reported":{"colour":"red"}},"metadata":{"desired":{"colour":{"timestamp":T}},"reported":{"colour":{"timestamp":T}}},"version":2,"timestamp":T,"clientToken":"four"}`})
	request("delete", "-n")
	told([2]string{"delete/accepted", `{"version":2,"timestamp":T}`})
	request("delete", "-n")
	told([2]string{"delete/rejected", missing})

	// To the service 10 requests; to the light 10 answers, a delta, and documents
	// twice.
	g.counts(ledger{Accepted: 23, Delivered: 23})
}

// TestMosquittoRequestsOfItsOwnShadow: a device that asks and hears the answer
// on one connection, as most do.
func TestMosquittoRequestsOfItsOwnShadow(t *testing.T) {
	for _, version := range []string{"mqttv311", "mqttv5"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "light")
			s.start()
			ask := func(operation, answer, payload string) string {
				t.Helper()
				return timeless(s.mosquitto("mosquitto_rr", version, "light", "-q", "1", "-t", shadowTopic("light", "", operation),
					"-e", shadowTopic("light", "", operation+"/"+answer), "-m", payload).until(""))
			}
			for _, c := range [][4]string{
				{"get", "rejected", ``, `{"code":404,"message":"No shadow exists with name: 'light'"}`},
				{"update", "accepted", `{"state":{"reported":{"on":true}}}`,
					`{"state":{"reported":{"on":true}},"metadata":{"reported":{"on":{"timestamp":T}}},"version":1,"timestamp":T}`},
				{"get", "accepted", `{}`, `{"state":{"reported":{"on":true}},"metadata":{"reported":{"on":{"timestamp":T}}},"version":1,"timestamp":T}`},
				{"delete", "accepted", `{"clientToken":"x"}`, `{"version":1,"timestamp":T,"clientToken":"x"}`},
			} {
				if got := ask(c[0], c[1], c[2]); got != c[3] {
					t.Errorf("%s %s\nanswered %s\nwant     %s", c[0], c[2], got, c[3])
				}
			}
		})
	}
}

// TestShadowOfAnotherThing: without a row a device can neither change, nor read,
// nor overhear what is another's.
func TestShadowOfAnotherThing(t *testing.T) {
	t.Parallel()
	s := newSite(t, "light", "stranger")
	g := s.start()
	light, stranger := s.connect("light"), s.connect("stranger")
	light.subscribe(shadowTopic("light", "", "#"))
	for _, filter := range []string{shadowTopic("light", "", "#"), "$aws/things/+/shadow/update/documents", "#"} {
		stranger.subscribe(filter)
	}
	for _, name := range []string{"", "config"} {
		for _, operation := range []string{"get", "update", "delete"} {
			if code := stranger.publish(shadowTopic("light", name, operation), `{"state":{"desired":{"colour":"red"}}}`); code != notAuthorized {
				t.Errorf("%s of shadow %q of another thing: %#x, want %#x", operation, name, code, notAuthorized)
			}
		}
	}
	// The answers of the service are nobody else's to send.
	if code := light.publish(shadowTopic("light", "", "update/accepted"), "{}"); code != notAuthorized {
		t.Errorf("a device publishes an answer of the service: %#x, want %#x", code, notAuthorized)
	}
	light.publish(shadowTopic("light", "", "get"), "")
	light.hears(shadowTopic("light", "", "get/rejected"), `{"code":404,"message":"No shadow exists with name: 'light'"}`)
	g.counts(ledger{Accepted: 9, Delivered: 2, Refused: 7})

	// Its own comes through the widest of its filters but #, which is not for $.
	stranger.publish(shadowTopic("stranger", "", "update"), `{"state":{"desired":{"colour":"red"}},"clientToken":"own"}`)
	if p := stranger.next(); p.Topic != shadowTopic("stranger", "", "update/documents") || !strings.Contains(string(p.Payload), `"clientToken":"own"`) {
		t.Errorf("the stranger heard %s: %s", p.Topic, p.Payload)
	}
}

// TestShadowNone: a thing that has no shadow, by its entry in the file.
func TestShadowNone(t *testing.T) {
	t.Parallel()
	s := newSite(t, "panel")
	s.set([]map[string]any{{"thing": "panel"}, {"thing": "valve", "shadow": "none"}}, "devices")
	s.greengate("device", "add", "valve", "--out", filepath.Join(s.dir, "devices", "valve"))
	s.rows(row{From: "panel", Shadow: "valve"})
	s.start()
	panel, valve := s.connect("panel"), s.connect("valve")
	panel.subscribe(shadowTopic("valve", "", "#"))
	if code := valve.publish(shadowTopic("valve", "", "update"), `{"state":{}}`); code != notAuthorized {
		t.Errorf("a thing without a shadow updates it: %#x, want %#x", code, notAuthorized)
	}
	panel.publish(shadowTopic("valve", "", "update"), `{"state":{},"clientToken":"t"}`)
	panel.hears(shadowTopic("valve", "", "update/rejected"), `{"code":404,"message":"Thing not found","clientToken":"t"}`)
}
