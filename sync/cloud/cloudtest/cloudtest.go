// Package cloudtest is the cloud in a box: a strict stand-in for AWS IoT Core,
// for tests and for cmd/iotsim.
//
// It speaks MQTT 3.1.1 and 5 over mutual TLS and the HTTPS data plane, keeps
// classic and named shadows, has AWS's limits and answers a breach as AWS does.
// Faults can be switched on and off while it runs (Faults), each accepted
// publish is recorded (Received), and each breach of a limit (Violations). It
// shares no code with the gateway: the codec, the topic rules and the shadow
// service are its own, so that one misreading cannot hide on both sides. Where
// AWS's documentation is silent, the comment at the line says what was chosen.
//
// Most tests call Start, then Files or ClientTLS for a thing's credential, and
// then Change for faults. What is stored lives in memory and ends with the
// Cloud; Save and Load hand shadows and retained messages to the next one.
//
// Anybody's tests and cmd/iotsim may import it; it imports nothing of ours. All
// methods of a Cloud may be called from any goroutine. One mutex guards the
// broker, the shadows and the record; each connection has a goroutine that
// reads and one that writes. It takes the time from package time only, so with
// a Pipe as listener it runs inside a testing/synctest bubble.
package cloudtest

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Options says what cloud to make. The zero value is AWS as it is, on a free
// port of 127.0.0.1, with a new CA.
type Options struct {
	// Name is the endpoint's host name, which the server certificate carries
	// and SNI must ask for; "" is "localhost". 127.0.0.1 and ::1 are in the
	// certificate too, for clients that check addresses.
	Name string
	// Listener takes MQTT, and the data plane by ALPN `x-amzn-http-ca`; nil
	// listens on a free port of 127.0.0.1. The Cloud closes it.
	Listener net.Listener
	// DataListener takes the HTTPS data plane (8443); nil as above. NoData
	// does without one.
	DataListener net.Listener
	NoData       bool
	// CA signs the certificates; nil makes a new one.
	CA *Authority
	// RequireSNI refuses a client that sends no server name, as AWS does for
	// custom domains. A wrong name is refused always.
	RequireSNI bool
	// RequireALPN refuses MQTT without ALPN `x-amzn-mqtt-ca`, as port 443 does.
	RequireALPN bool
	// Limits are AWS's where 0, and off where negative; see Limits.
	Limits Limits
	// Readings choose among the readings of AWS's documentation.
	Readings Readings
	// OnReceive is called for each accepted publish, in order, under the lock
	// of the Cloud: it must be quick and may not call back.
	OnReceive func(Received)
	// OnKept is called, like OnReceive, for each change of what Save returns.
	OnKept func()
	// Forget keeps no record of publishes (for a million of them); OnReceive
	// and the counters of Status still see each.
	Forget bool
	Log    *slog.Logger // nil is silent
}

// Cloud is the stand-in. New makes it, Run serves it.
type Cloud struct {
	o       Options
	ca      *Authority
	mqtt    net.Listener
	data    net.Listener // nil without
	weather *weather
	server  atomic.Pointer[tls.Certificate] // that the endpoint shows

	mu sync.Mutex // protects all below
	*broker
}

// New makes a cloud and its listeners, so that Addr is known and clients may
// queue up; nothing is served before Run.
func New(o Options) (*Cloud, error) {
	if o.Name == "" {
		o.Name = "localhost"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Cloud{o: o, ca: o.CA, mqtt: o.Listener, data: o.DataListener, weather: newWeather()}
	var err error
	if c.ca == nil {
		if c.ca, err = NewAuthority(); err != nil {
			return nil, err
		}
	}
	c.broker = newBroker(&c.o, o.Log.With("component", "cloudtest"))
	if c.mqtt == nil {
		if c.mqtt, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, fmt.Errorf("listen for MQTT: %w", err)
		}
	}
	if c.data == nil && !o.NoData {
		if c.data, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			c.mqtt.Close()
			return nil, fmt.Errorf("listen for the data plane: %w", err)
		}
	}
	return c, nil
}

// TB is what Start needs of a *testing.T or *testing.B.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Start makes a cloud and serves it until the test ends.
func Start(tb TB, o Options) *Cloud {
	tb.Helper()
	c, err := New(o)
	if err != nil {
		tb.Fatalf("start the cloud: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Run ends with nil at the cancel; a listener that breaks before that
		// shows itself in the test's clients.
		_ = c.Run(ctx)
	}()
	tb.Cleanup(func() {
		cancel()
		<-done
	})
	return c
}

// Addr is where MQTT is served, host:port.
func (c *Cloud) Addr() string { return c.mqtt.Addr().String() }

// Port is the port of Addr; 0 when the listener is no TCP one.
func (c *Cloud) Port() int {
	if a, ok := c.mqtt.Addr().(*net.TCPAddr); ok {
		return a.Port
	}
	return 0
}

// DataAddr is where the HTTPS data plane is served, host:port; "" without.
func (c *Cloud) DataAddr() string {
	if c.data == nil {
		return ""
	}
	return c.data.Addr().String()
}

// Name is the endpoint's host name, for the `endpoint` of a group file and SNI.
func (c *Cloud) Name() string { return c.o.Name }

// Now is the time in the cloud: that of the machine, moved by
// Faults.ClockOffset.
func (c *Cloud) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}
