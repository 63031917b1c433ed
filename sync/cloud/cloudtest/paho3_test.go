package cloudtest_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"greengate/sync/cloud/cloudtest"
)

// MQTT 3.1.1 as paho.mqtt.golang and mosquitto speak it.

// connect3 connects with paho.mqtt.golang; lost gets the end of the connection.
func connect3(t *testing.T, c *cloudtest.Cloud, thing string, clean bool) (x mqtt.Client, lost chan error) {
	t.Helper()
	settings, err := c.ClientTLS(thing)
	if err != nil {
		t.Fatal(err)
	}
	lost = make(chan error, 1)
	o := mqtt.NewClientOptions().AddBroker("ssl://" + c.Addr()).SetClientID(thing).SetTLSConfig(settings).
		SetCleanSession(clean).SetProtocolVersion(4).SetAutoReconnect(false).SetConnectTimeout(patience).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err })
	x = mqtt.NewClient(o)
	done(t, x.Connect())
	t.Cleanup(func() { x.Disconnect(0) })
	return x, lost
}

func done(t *testing.T, token mqtt.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) {
		t.Fatal("no answer")
	}
	if err := token.Error(); err != nil {
		t.Fatal(err)
	}
}

func TestVersion311(t *testing.T) {
	c := start(t, cloudtest.Options{})
	x, lost := connect3(t, c, "core", true)
	heard := make(chan mqtt.Message, 10)
	token := x.SubscribeMultiple(map[string]byte{"a/+": 1, "b": 0}, func(_ mqtt.Client, m mqtt.Message) { heard <- m })
	done(t, token)
	done(t, x.Publish("a/1", 1, false, "hello"))
	select {
	case m := <-heard:
		if m.Topic() != "a/1" || m.Qos() != 1 {
			t.Errorf("heard %v", m)
		}
	case <-time.After(patience):
		t.Fatal("heard nothing")
	}
	x.Publish("q", 2, false, "QoS 2 ends the connection")
	select {
	case <-lost:
	case <-time.After(patience):
		t.Error("QoS 2 was survived")
	}
	violated(t, c, "qos-2")
	if n := c.Status().Accepted; n != 1 {
		t.Errorf("%d accepted, want 1", n)
	}
}

func TestBreachesCutVersion311(t *testing.T) {
	for name, breach := range map[string]func(mqtt.Client){
		"topic too deep":   func(x mqtt.Client) { x.Publish("1/2/3/4/5/6/7/8/9", 1, false, "") },
		"denied publish":   func(x mqtt.Client) { x.Publish("secret", 1, false, "") },
		"denied filter":    func(x mqtt.Client) { x.Subscribe("secret", 1, nil) },
		"reserved topic":   func(x mqtt.Client) { x.Publish("$aws/nonsense", 0, false, "") },
		"payload too long": func(x mqtt.Client) { x.Publish("t", 1, false, make([]byte, 128<<10+1)) },
		"9 filters": func(x mqtt.Client) {
			nine := map[string]byte{}
			for i := range 9 {
				nine[fmt.Sprint(i)] = 1
			}
			x.SubscribeMultiple(nine, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, cloudtest.Options{})
			c.SetPolicy("", cloudtest.Policy{DenyPublish: []string{"secret"}, DenySubscribe: []string{"secret"}})
			x, lost := connect3(t, c, "core", true)
			breach(x)
			select {
			case <-lost:
			case <-time.After(patience):
				t.Error("the connection lives")
			}
			if n := c.Status().Accepted; n != 0 {
				t.Errorf("%d accepted", n)
			}
		})
	}
}

func TestSubscriptionLimit311(t *testing.T) {
	c := start(t, cloudtest.Options{Limits: cloudtest.Limits{Subscriptions: 2}})
	x, _ := connect3(t, c, "core", true)
	token := x.Subscribe("1", 1, nil)
	done(t, token)
	done(t, x.Subscribe("2", 1, nil))
	token = x.Subscribe("3", 1, nil)
	token.WaitTimeout(patience)
	if codes := token.(*mqtt.SubscribeToken).Result(); codes["3"] != 0x80 {
		t.Errorf("SUBACK %v, want 0x80", codes)
	}
}

// The mosquitto clients are checked where they are installed.
func TestMosquitto(t *testing.T) {
	if _, err := exec.LookPath("mosquitto_pub"); err != nil {
		t.Skip("mosquitto_pub is not installed")
	}
	c := start(t, cloudtest.Options{})
	dir := t.TempDir()
	f, err := c.Files(dir, "core")
	if err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) *exec.Cmd {
		common := []string{"-h", "localhost", "-p", fmt.Sprint(c.Port()), "--cafile", f.CA, "--cert", f.Certificate, "--key", f.Key}
		return exec.CommandContext(t.Context(), name, append(common, args...)...)
	}
	for version, alpn := range map[string]string{"mqttv311": "x-amzn-mqtt-ca", "mqttv5": ""} {
		t.Run(version, func(t *testing.T) {
			extra := []string{"-V", version}
			if alpn != "" {
				extra = append(extra, "--tls-alpn", alpn)
			}
			sub := run("mosquitto_sub", append(extra, "-i", "sub-"+version, "-t", "m/#", "-q", "1", "-C", "1")...)
			var heard strings.Builder
			sub.Stdout = &heard
			if err := sub.Start(); err != nil {
				t.Fatal(err)
			}
			if err := c.Wait(within(t), func(c *cloudtest.Cloud) bool {
				for _, x := range c.Status().Clients {
					if x.ID == "sub-"+version && len(x.Filters) == 1 {
						return true
					}
				}
				return false
			}); err != nil {
				t.Fatal("mosquitto_sub did not subscribe")
			}
			pub := run("mosquitto_pub", append(extra, "-i", "pub-"+version, "-t", "m/1", "-q", "1", "-m", "hello")...)
			if text, err := pub.CombinedOutput(); err != nil {
				t.Fatalf("mosquitto_pub: %v\n%s", err, text)
			}
			if err := sub.Wait(); err != nil || heard.String() != "hello\n" {
				t.Errorf("mosquitto_sub heard %q (%v)", heard.String(), err)
			}
		})
	}
}
