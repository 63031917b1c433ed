package main_test

import (
	"fmt"
	"path/filepath"
	"testing"
)

// Mosquitto's own clients, MQTT 3.1.1 and 5.

// mosquitto starts mosquitto_pub or mosquitto_sub as the thing.
func (s *site) mosquitto(program, version, thing string, args ...string) *lineReader {
	s.t.Helper()
	folder := s.folder(thing)
	host, port := s.hostPort()
	// Without stdbuf the lines of a program whose output is a pipe come late.
	return launch(s.t, "stdbuf", append([]string{
		"-oL", program, "-V", version, "-h", host, "-p", port, "-i", thing,
		"--cafile", filepath.Join(folder, "root-ca.pem"),
		"--cert", filepath.Join(folder, thing+".cert.pem"), "--key", filepath.Join(folder, thing+".private.key"),
	}, args...)...)
}

// listen starts mosquitto_sub and waits until it is subscribed. Its lines are
// `heard TOPIC QOS RETAINED PAYLOAD`.
func (s *site) listen(version, thing, filter string, args ...string) *lineReader {
	s.t.Helper()
	sub := s.mosquitto("mosquitto_sub", version, thing, append([]string{"-d", "-F", "heard %t %q %r %p", "-t", filter}, args...)...)
	sub.until("Subscribed ")
	return sub
}

func TestMosquittoClients(t *testing.T) {
	for _, version := range []string{"mqttv311", "mqttv5"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "sensor", "display", "stranger")
			s.rows(row{From: "sensor", Topic: "room/#", To: "display"})
			g := s.start()
			display := s.listen(version, "display", "#", "-q", "2")
			stranger := s.listen(version, "stranger", "#", "-q", "2")
			publish := func(topic, payload string, args ...string) {
				t.Helper()
				s.mosquitto("mosquitto_pub", version, "sensor", append([]string{"-t", topic, "-m", payload}, args...)...).end()
			}
			for qos := range 3 {
				// mosquitto_pub of Debian 12 takes the refusal of a QoS 2 publish in
				// MQTT 5 for the end of it; that it is one is another test's matter.
				publish("secret/x", "no", "-q", fmt.Sprint(min(qos, 1)))
				publish("room/t", fmt.Sprintf("hello %d", qos), "-q", fmt.Sprint(qos))
				if got, want := display.until("heard "), fmt.Sprintf("room/t %d 0 hello %d", qos, qos); got != want {
					t.Errorf("heard %q, want %q", got, want)
				}
			}
			g.counts(ledger{Accepted: 6, Delivered: 3, Refused: 3})

			publish("room/mode", "eco", "-q", "1", "-r")
			if got, want := display.until("heard "), "room/mode 1 0 eco"; got != want {
				t.Errorf("heard %q, want %q", got, want)
			}
			s.add("late")
			s.rows(row{From: "sensor", Topic: "room/#", To: []string{"display", "late"}})
			g.reload()
			late := s.listen(version, "late", "room/+", "-q", "1")
			if got, want := late.until("heard "), "room/mode 1 1 eco"; got != want {
				t.Errorf("a new subscriber heard %q, want the retained %q", got, want)
			}
			for len(stranger.lines) > 0 {
				if line := <-stranger.lines; len(line) > 5 && line[:5] == "heard" {
					t.Errorf("the stranger %s", line)
				}
			}
		})
	}
}

func TestMosquittoWill(t *testing.T) {
	for _, version := range []string{"mqttv311", "mqttv5"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "sensor", "display")
			s.rows(row{From: "sensor", Topic: "wills/+", To: "display"})
			g := s.start()
			display := s.listen(version, "display", "#")
			for _, topic := range []string{"secret/sensor", "wills/sensor"} {
				sensor := s.mosquitto("mosquitto_sub", version, "sensor", "-d", "-t", "x",
					"--will-topic", topic, "--will-payload", "gone "+topic, "--will-qos", "1")
				sensor.until("Subscribed ")
				eventually(t, "the sensor is connected", func() bool { return g.connected("sensor") })
				sensor.kill()
				eventually(t, "the sensor is gone", func() bool { return !g.connected("sensor") })
			}
			if got, want := display.until("heard "), "wills/sensor 0 0 gone wills/sensor"; got != want {
				t.Errorf("heard %q, want %q", got, want)
			}
			g.counts(ledger{Accepted: 2, Delivered: 1, Refused: 1})
		})
	}
}

// TestMosquittoKeepsItsSession is the persistent session of MQTT 3.1.1.
func TestMosquittoKeepsItsSession(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor", "display")
	s.rows(row{From: "sensor", Topic: "room/#", To: "display"})
	g := s.start()
	display := s.listen("mqttv311", "display", "room/#", "-q", "1", "-c")
	display.kill()
	eventually(t, "the display is gone", func() bool { return !g.connected("display") })
	for n := range 5 {
		s.mosquitto("mosquitto_pub", "mqttv311", "sensor", "-q", "1", "-t", "room/n", "-m", fmt.Sprint(n)).end()
	}
	if l := g.status().Ledger; l.Waiting != 5 || !l.balanced() {
		t.Errorf("5 messages for an absent session, and the ledger is %+v", l)
	}
	// It is not told to leave after five (-C 5): then it would, with SUBACK unread,
	// and the reset of the connection could overtake its acknowledgements.
	display = s.mosquitto("mosquitto_sub", "mqttv311", "display", "-F", "heard %t %q %r %p", "-t", "room/#", "-q", "1", "-c")
	for n := range 5 {
		if got, want := display.until("heard "), fmt.Sprintf("room/n 1 0 %d", n); got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
	g.counts(ledger{Accepted: 5, Delivered: 5})
}

// TestP256Keys: the other kind of keys that a site can have.
func TestP256Keys(t *testing.T) {
	t.Parallel()
	s := newSiteWith(t, []string{"--key", "p-256"}, "sensor", "display")
	s.rows(row{From: "sensor", Topic: "room/#", To: "display"})
	s.start()
	if code, body := s.discover(s.identity("display"), "display"); code != 200 {
		t.Errorf("discovery: %d %s", code, body)
	}
	display := s.listen("mqttv311", "display", "room/#")
	s.mosquitto("mosquitto_pub", "mqttv5", "sensor", "-q", "1", "-t", "room/x", "-m", "hello").end()
	if got, want := display.until("heard "), "room/x 0 0 hello"; got != want {
		t.Errorf("heard %q, want %q", got, want)
	}
}
