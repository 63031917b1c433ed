package main_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"syscall"
	"testing"
)

// The clients from npm, each by the script of its name in testdata/clients. All
// do the same: they subscribe to in/#, send back on out/THING what they hear,
// and leave when they have sent back "quit".

// node starts a script as the thing.
func (s *site) node(script, host, port, thing, variant string) *lineReader {
	s.t.Helper()
	return launch(s.t, "node", filepath.Join("testdata", "clients", script), host, port, thing, s.folder(thing), variant)
}

// echoes lets a client that has just been started do its work to the end.
func (g *gateway) echoes(client *lineReader, thing string, qos byte) {
	g.t.Helper()
	other := g.connect("other")
	other.subscribe("out/#")
	if got, want := client.until("ready "), fmt.Sprint(qos); got != want {
		g.t.Errorf("%s subscribed with QoS %s, want %s", client.name, got, want)
	}
	for n := range 3 {
		text := fmt.Sprintf("Grüße %d", n)
		if code := other.publish("in/"+thing, text); code != 0 {
			g.t.Fatalf("publish to %s: %#x", thing, code)
		}
		if got, want := client.until("heard "), "in/"+thing+" "+text; got != want {
			g.t.Errorf("%s heard %q, want %q", client.name, got, want)
		}
		other.hears("out/"+thing, text)
	}
	if code := other.publish("in/forbidden", "x"); code != notAuthorized {
		g.t.Errorf("publish without a row: %#x", code)
	}
	other.publish("in/"+thing, "quit")
	other.hears("out/"+thing, "quit")
	client.until("bye")
	client.end()
	g.counts(ledger{Accepted: 9, Delivered: 8, Refused: 1})
}

// echoSite has one thing that echoes and another that talks to it.
func echoSite(t *testing.T) *site {
	s := newSite(t, "echo", "other")
	s.rows(
		row{From: "other", Topic: "in/${to}", To: "echo"},
		row{From: "echo", Topic: "out/${from}", To: "other"},
	)
	return s
}

func TestNodeClients(t *testing.T) {
	for _, c := range []struct {
		name, script, variant string
		qos                   byte
	}{
		{"MQTT.js 3.1.1", "mqttjs.js", "4", 2},
		{"MQTT.js 5", "mqttjs.js", "5", 2},
		{"aws-iot-device-sdk", "sdk-v1.js", "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := echoSite(t)
			g := s.start()
			host, port := s.hostPort()
			g.echoes(s.node(c.script, host, port, "echo", c.variant), "echo", c.qos)
		})
	}
}

// sdkSite serves discovery on port 443, since version 2 of the SDK knows no
// other. It has a loopback address of its own, so several of them, and other
// programs of this machine, can have that port at once.
func sdkSite(t *testing.T) *site {
	t.Helper()
	s := echoSite(t)
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	at443 := net.JoinHostPort(host, "443")
	l, err := net.Listen("tcp", at443)
	if errors.Is(err, syscall.EACCES) {
		t.Skip("the SDK asks for discovery on port 443 only, which this user may not listen on (run as root, or set net.ipv4.ip_unprivileged_port_start)")
	} else if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	s.listenAt(freeAddress(t, host), at443)
	return s
}

func TestDeviceSDKv2(t *testing.T) {
	for _, variant := range []string{"mqtt311", "mqtt5"} {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			s := sdkSite(t)
			g := s.start()
			client := s.sdk("echo", variant)
			var group, arn, at string
			var ways int
			if _, err := fmt.Sscan(client.until("discovered "), &group, &arn, &ways, &at); err != nil {
				t.Fatal(err)
			}
			if group != "e2e" || ways != 1 || at != s.broker {
				t.Errorf("discovered group %s with %d addresses, the first %s; want e2e and one, %s", group, ways, at, s.broker)
			}
			g.echoes(client, "echo", 1)
		})
	}
}

// sdk starts version 2 of the SDK as the thing.
func (s *site) sdk(thing, variant string) *lineReader {
	s.t.Helper()
	host, port, _ := net.SplitHostPort(s.discovery)
	return s.node("sdk-v2.js", host, port, thing, variant)
}

// TestDeviceSDKv2Refused: an answer that the SDK cannot parse would abort node.
func TestDeviceSDKv2Refused(t *testing.T) {
	t.Parallel()
	s := sdkSite(t)
	g := s.start()
	g.greengate("device", "remove", "echo", "--rows")
	client := s.sdk("echo", "")
	if got := client.until("refused "); got != "401" {
		t.Errorf("the SDK reports %s, want 401", got)
	}
	client.end()
}
