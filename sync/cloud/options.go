package cloud

import (
	"cmp"
	"context"
	"crypto"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"time"

	"greengate/core/message"
)

// DefaultKeepAlive lets a dead link be noticed after 90 s, at the cost of 2
// packets a minute on an idle one.
const DefaultKeepAlive = time.Minute

// The versions of MQTT, as CONNECT writes them.
const (
	MQTT311 = 4
	MQTT5   = 5
)

// Options are what a Link is made of. Those marked optional may be zero.
type Options struct {
	Endpoint    string // host name of the account's data endpoint; also the SNI
	Port        int    // 443: ALPN x-amzn-mqtt-ca. Any other: none
	Core        string // thing name of the gateway: its client id
	Certificate string // PEM file
	Key         string // PEM file; not read when there is a Signer
	CA          string // PEM file; optional: the roots of the operating system
	Version     int    // optional: MQTT5; or MQTT311
	Proxy       string // optional: http:// or socks5:// URL
	KeepAlive   time.Duration
	Rate        Rate // a part that is zero is not shaped

	// Signer returns the private key that belongs to the public one of the
	// certificate, for one handshake: a key that is in no file. It is asked at each
	// attempt, and neither it nor the key may take much longer than ctx. Optional.
	Signer func(ctx context.Context, public crypto.PublicKey) (crypto.Signer, error)

	// Subscriptions says what to subscribe to; asked at every connection and
	// at Refresh. Optional.
	Subscriptions func() []Subscription
	// Receive is handed each message of the cloud, in order, on the goroutine
	// that reads: the link reads on when it returns. p is Receive's to keep.
	// ack, to be called once and by any goroutine, says that what the message
	// led to is safe; only then, and in order, does its PUBACK leave. At 100
	// without ack the cloud stops sending. What cannot be made safe is never
	// acknowledged: see Redeliver. Optional.
	Receive func(p *Publish, ack func())

	// Clock judges the time; optional: the machine's clock is believed. See
	// Clock.
	Clock func() Clock
	// Dial makes the TCP connection, to the endpoint or the proxy; optional:
	// that of package net.
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	Limits Limits // optional: AWS's
	Timing Timing // optional
	Log    *slog.Logger
}

// Clock is what is known of the time. A Pi has no clock of its own; that it
// believes in 1970 must not make the cloud's certificate invalid for ever. While
// the clock is not believed, the certificate and its issuers need only be valid
// at some moment not before the floor, all at the same; when it is, at the later of
// Now and Floor.
type Clock struct {
	Now      time.Time
	Floor    time.Time // it cannot be earlier; zero: not known
	Believed bool
}

// Subscription is a topic filter and the highest QoS wanted, 0 or 1.
type Subscription struct {
	Filter string
	QoS    byte
}

// Publish is one message, up or down.
type Publish struct {
	Topic   string
	Payload []byte
	QoS     byte // of one received: 0 or 1. What is sent has always 1
	Retain  bool
	// Expiry is how long the message still has some worth; 0: for ever. It is
	// sent in whole seconds, rounded up, 7 days at most (AWS); MQTT 3.1.1 has
	// no word for it.
	Expiry time.Duration
	// Properties may be nil; MQTT 3.1.1 has none.
	Properties *message.Properties
}

// Limits are AWS IoT Core's, from "AWS IoT Core endpoints and quotas". A field
// that is zero has AWS's value.
type Limits struct {
	Payload          int           // bytes: 128 KiB
	Topic            int           // bytes of UTF-8: 256, without `$aws/rules/RULE/`
	Slashes          int           // in a topic: 7, without those of `$aws/rules/RULE/`
	Subscriptions    int           // of a connection: 50
	FiltersPerPacket int           // 8
	Unacked          int           // publishes without PUBACK: 100
	UnackedBytes     int           // of them: 1 MiB. Not AWS's: a slow link must not carry minutes of backlog in its buffers
	ConnectEvery     time.Duration // between two CONNECTs of a client id: 1 s
	SessionExpiry    time.Duration // 1 h; negative: start clean every time
	ShadowRequests   int           // of a thing in flight: 9, as AWS refuses more than 10
	ShadowRate       int           // requests a second of a thing: 20
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Payload:          cmp.Or(l.Payload, 128<<10),
		Topic:            cmp.Or(l.Topic, 256),
		Slashes:          cmp.Or(l.Slashes, 7),
		Subscriptions:    cmp.Or(l.Subscriptions, 50),
		FiltersPerPacket: cmp.Or(l.FiltersPerPacket, 8),
		Unacked:          cmp.Or(l.Unacked, 100),
		UnackedBytes:     cmp.Or(l.UnackedBytes, 1<<20),
		ConnectEvery:     cmp.Or(l.ConnectEvery, time.Second),
		SessionExpiry:    cmp.Or(l.SessionExpiry, time.Hour),
		ShadowRequests:   cmp.Or(l.ShadowRequests, 9),
		ShadowRate:       cmp.Or(l.ShadowRate, 20),
	}
}

// Timing says how long the link waits for what. A field that is zero has the
// default.
type Timing struct {
	Dial      time.Duration // name, TCP and proxy: 30 s
	Handshake time.Duration // TLS: 30 s, as a Pi Zero with an RSA key takes its time
	Answer    time.Duration // CONNACK, SUBACK: 20 s
	Ack       time.Duration // a PUBACK while nothing moves: 60 s
	Linger    time.Duration // for PUBACKs at the end of Run: 1 s
	Stable    time.Duration // after which a connection was a success: 1 min
	Redeliver time.Duration // from Redeliver to the new connection: 1 min

	Retry Backoff // 1 s to 2 min
	Quota Backoff // after the cloud had enough of us: 10 s to 10 min
	Taken Backoff // after 0x8E: 2 min to 30 min; Base is waited in any case, and half of Max is what "stable" means after it
}

// Backoff is the first and the last ceiling of a wait.
type Backoff struct{ Base, Max time.Duration }

func (b Backoff) or(d Backoff) Backoff {
	return Backoff{cmp.Or(b.Base, d.Base), cmp.Or(b.Max, d.Max)}
}

func (t Timing) withDefaults() Timing {
	return Timing{
		Dial:      cmp.Or(t.Dial, 30*time.Second),
		Handshake: cmp.Or(t.Handshake, 30*time.Second),
		Answer:    cmp.Or(t.Answer, 20*time.Second),
		Ack:       cmp.Or(t.Ack, time.Minute),
		Linger:    cmp.Or(t.Linger, time.Second),
		Stable:    cmp.Or(t.Stable, time.Minute),
		Redeliver: cmp.Or(t.Redeliver, time.Minute),
		Retry:     t.Retry.or(Backoff{time.Second, 2 * time.Minute}),
		Quota:     t.Quota.or(Backoff{10 * time.Second, 10 * time.Minute}),
		Taken:     t.Taken.or(Backoff{2 * time.Minute, 30 * time.Minute}),
	}
}

// complete fills in what is optional and says what is wrong with the rest.
func (o *Options) complete() error {
	o.Limits, o.Timing = o.Limits.withDefaults(), o.Timing.withDefaults()
	o.Version = cmp.Or(o.Version, MQTT5)
	o.KeepAlive = cmp.Or(o.KeepAlive, DefaultKeepAlive)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler)).With("component", "cloud")
	if o.Subscriptions == nil {
		o.Subscriptions = func() []Subscription { return nil }
	}
	if o.Receive == nil {
		o.Receive = func(_ *Publish, ack func()) { ack() }
	}
	if o.Clock == nil {
		o.Clock = func() Clock { return Clock{Now: time.Now(), Believed: true} }
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	switch {
	case o.Endpoint == "":
		return fmt.Errorf("the endpoint is missing")
	case o.Port < 1 || o.Port > 65535:
		return fmt.Errorf("%d is no port", o.Port)
	case o.Version != MQTT5 && o.Version != MQTT311:
		return fmt.Errorf("MQTT version %d is not spoken here (5, or 4 for 3.1.1)", o.Version)
	// A test may have a shorter one; AWS itself takes 30 s to 1200 s.
	case o.KeepAlive < time.Second || o.KeepAlive > 1200*time.Second:
		return fmt.Errorf("a keep-alive of %v is out of range (30s to 1200s)", o.KeepAlive)
	}
	if err := message.CheckThing(o.Core); err != nil {
		return fmt.Errorf("the core is no client id: %w", err)
	}
	return CheckProxy(o.Proxy)
}

// CheckProxy says what is wrong with the URL of a proxy; empty is right.
func CheckProxy(proxy string) error {
	if proxy == "" {
		return nil
	}
	u, err := url.Parse(proxy)
	switch {
	case err != nil: // without err: it would show the password
		return fmt.Errorf("the proxy is no URL (write http://host:port or socks5://host:port)")
	case u.Scheme != "http" && u.Scheme != "socks5" && u.Scheme != "socks5h":
		return fmt.Errorf("a proxy of the kind %q is not known (write http://host:port or socks5://host:port)", u.Scheme)
	case u.Hostname() == "" || u.Path != "" && u.Path != "/":
		return fmt.Errorf("the proxy is not a host and a port (write %s://host:port)", u.Scheme)
	}
	return nil
}
