package cloudtest_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"

	"greengate/sync/cloud/cloudtest"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// start makes a cloud for a test. In a synctest bubble it must be over a pipe.
func start(t *testing.T, o cloudtest.Options) *cloudtest.Cloud {
	t.Helper()
	return cloudtest.Start(t, o)
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// dial makes a TLS connection as a thing.
func dial(t *testing.T, c *cloudtest.Cloud, thing string) net.Conn {
	t.Helper()
	settings, err := c.ClientTLS(thing)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", c.Addr(), settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// client is paho.golang, an MQTT 5 client of others.
type client struct {
	*paho.Client
	t       *testing.T
	connack *paho.Connack
	heard   chan *paho.Publish

	said  chan byte  // the code of the server's DISCONNECT
	ended chan error // why the connection broke
}

type connectOption func(*paho.Connect)

// connect connects as a thing, with its name as client id.
func connect(t *testing.T, c *cloudtest.Cloud, thing string, options ...connectOption) *client {
	t.Helper()
	x, err := tryConnect(t, dial(t, c, thing), thing, options...)
	if err != nil {
		t.Fatalf("connect %s: %v", thing, err)
	}
	return x
}

func tryConnect(t *testing.T, conn net.Conn, id string, options ...connectOption) (*client, error) {
	x := &client{t: t, heard: make(chan *paho.Publish, 1000), said: make(chan byte, 1), ended: make(chan error, 1)}
	x.Client = paho.NewClient(paho.ClientConfig{
		Conn: packets.NewThreadSafeConn(conn),
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			x.heard <- p.Packet
			return true, nil
		}},
		OnServerDisconnect: func(d *paho.Disconnect) { x.said <- d.ReasonCode },
		OnClientError:      func(err error) { x.ended <- err },
	})
	cp := &paho.Connect{ClientID: id, CleanStart: true, KeepAlive: 60}
	for _, o := range options {
		o(cp)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var err error
	x.connack, err = x.Client.Connect(ctx, cp)
	return x, err
}

// endsWith waits for the server's DISCONNECT with this code; 0 is an end
// without one. paho may tell of both a DISCONNECT and the broken connection.
func (x *client) endsWith(code byte) {
	x.t.Helper()
	if code == 0 {
		select {
		case got := <-x.said:
			x.t.Errorf("disconnected with %#x, want no DISCONNECT", got)
		case <-x.ended:
		case <-time.After(patience):
			x.t.Fatal("the connection lives")
		}
		return
	}
	select {
	case got := <-x.said:
		if got != code {
			x.t.Errorf("disconnected with %#x, want %#x", got, code)
		}
	case <-time.After(patience):
		x.t.Fatalf("no DISCONNECT, want one with %#x", code)
	}
}

// publish publishes with QoS 1 and returns the PUBACK's code.
func (x *client) publish(topic, payload string) byte {
	x.t.Helper()
	r, err := x.Publish(within(x.t), &paho.Publish{Topic: topic, Payload: []byte(payload), QoS: 1})
	if r == nil {
		x.t.Fatalf("publish %s: %v", topic, err)
	}
	return r.ReasonCode
}

// subscribe subscribes with QoS 1 and returns the codes.
func (x *client) subscribe(filters ...string) []byte {
	x.t.Helper()
	var s paho.Subscribe
	for _, f := range filters {
		s.Subscriptions = append(s.Subscriptions, paho.SubscribeOptions{Topic: f, QoS: 1})
	}
	a, err := x.Subscribe(within(x.t), &s)
	if a == nil {
		x.t.Fatalf("subscribe to %q: %v", filters, err)
	}
	return a.Reasons
}

// hears waits for the next message and returns it.
func (x *client) hears() *paho.Publish {
	x.t.Helper()
	select {
	case p := <-x.heard:
		return p
	case <-time.After(patience):
		x.t.Fatal("heard nothing")
		return nil
	}
}

// hearsOnly checks that this is all that comes before a message that a sentinel
// topic brings.
func (x *client) hearsOnly(c *cloudtest.Cloud, want ...string) {
	x.t.Helper()
	const sentinel = "sentinel/of/the/test"
	x.subscribe(sentinel)
	if err := c.Publish(sentinel, nil, 1, false); err != nil {
		x.t.Fatal(err)
	}
	var got []string
	for p := x.hears(); p.Topic != sentinel; p = x.hears() {
		got = append(got, p.Topic+" "+string(p.Payload))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		x.t.Errorf("heard %q, want %q", got, want)
	}
}

// violated waits until the cloud has seen a breach of this rule.
func violated(t *testing.T, c *cloudtest.Cloud, rule string) {
	t.Helper()
	err := c.Wait(within(t), func(c *cloudtest.Cloud) bool {
		for _, v := range c.Violations() {
			if v.Rule == rule {
				return true
			}
		}
		return false
	})
	if err != nil {
		t.Errorf("no violation of %s, only %+v", rule, c.Violations())
	}
}

// wire is a client that sends what it is told, byte by byte.
type wire struct {
	net.Conn
	t *testing.T
}

// connect4 and connect5 are CONNECTs of the client id "w".
var (
	connect4 = []byte("\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01w")
	connect5 = []byte("\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01w")
)

// wireClient connects and reads the CONNACK.
func wireClient(t *testing.T, c *cloudtest.Cloud, connect []byte) *wire {
	t.Helper()
	w := &wire{dial(t, c, "w"), t}
	w.send(connect)
	if first, _ := w.packet(); first != 0x20 {
		t.Fatalf("no CONNACK but %#x", first)
	}
	return w
}

func (w *wire) send(b []byte) {
	w.t.Helper()
	if _, err := w.Write(b); err != nil {
		w.t.Fatal(err)
	}
}

// packet reads one packet; first is 0 at the end of the connection.
func (w *wire) packet() (first byte, body []byte) {
	w.t.Helper()
	_ = w.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 1)
	read := func() bool {
		_, err := io.ReadFull(w, b)
		if e, ok := err.(net.Error); ok && e.Timeout() {
			w.t.Fatal("the connection lives, and nothing comes")
		}
		return err == nil
	}
	if !read() {
		return 0, nil
	}
	first = b[0]
	length := 0
	for shift := 0; ; shift += 7 {
		if !read() {
			return 0, nil
		}
		length |= int(b[0]&0x7F) << shift
		if b[0]&0x80 == 0 {
			break
		}
	}
	body = make([]byte, length)
	if _, err := io.ReadFull(w, body); err != nil {
		w.t.Fatal(err)
	}
	return first, body
}

func pahoPublish(topic, payload string) *paho.Publish {
	return &paho.Publish{Topic: topic, Payload: []byte(payload), QoS: 1}
}
