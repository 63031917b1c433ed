package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// victim is the device whose name the intruder uses.
const victim = "sensor"

// intruder tries what it has no right to, over and over: first as a stranger
// whose certificate says that it is the sensor but is signed by nobody the
// group knows, then as a device of the group that no row of the table names.
// Whatever it gets through with, it says in capitals.
func intruder(ctx context.Context, d *device) error {
	b, err := d.find(ctx)
	if err != nil {
		return err
	}
	forged, err := forge(victim)
	if err != nil {
		return err
	}
	stranger := *d
	stranger.thing, stranger.cert = victim, forged
	for {
		stranger.tryDiscovery(ctx)
		stranger.tryConnect(ctx, b)
		if err := d.tryMessages(ctx, b); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			say("%v", err)
		}
		if err := pause(ctx, 5*time.Second); err != nil {
			return err
		}
	}
}

// tryDiscovery asks for the group with a certificate that the group did not
// issue: 401.
func (d *device) tryDiscovery(ctx context.Context) {
	_, err := d.discover(ctx)
	var no *refused
	switch {
	case err == nil:
		say("discovery with a forged certificate: IT ANSWERED")
	case errors.As(err, &no):
		say("discovery with a forged certificate of %q: refused, %d", d.thing, no.status)
	case ctx.Err() == nil:
		say("%v", err)
	}
}

// tryConnect connects with that certificate: CONNACK 0x87.
func (d *device) tryConnect(ctx context.Context, b *broker) {
	client, code, err := d.dial(ctx, b, func(*paho.Publish) {})
	switch {
	case err == nil:
		say("MQTT with a forged certificate: IT IS CONNECTED")
		_ = client.Disconnect(&paho.Disconnect{})
	case code != 0:
		say("MQTT with a forged certificate of %q: refused, CONNACK 0x%02X", d.thing, code)
	case ctx.Err() == nil:
		say("%v", err)
	}
}

// tryMessages connects as the device of the group that it is, subscribes to
// everything and publishes false readings: all of it is answered, none of it
// gets through (PUBACK 0x87, and silence).
func (d *device) tryMessages(ctx context.Context, b *broker) error {
	var heard atomic.Int64
	client, _, err := d.dial(ctx, b, func(*paho.Publish) { heard.Add(1) })
	if err != nil {
		return err
	}
	defer func() { _ = client.Disconnect(&paho.Disconnect{}) }()
	if _, err := client.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: "#"}}}); err != nil {
		return fmt.Errorf("subscribe to #: %w", err)
	}
	answer, err := client.Publish(ctx, &paho.Publish{Topic: temperatureTopic, QoS: 1, Payload: []byte("99.9")})
	switch {
	case answer != nil && answer.ReasonCode == 0x87:
		say("published 99.9 as %q, which no row names: refused, PUBACK 0x87", d.thing)
	case err == nil:
		say("published 99.9 as %q, which no row names: IT WAS TAKEN", d.thing)
	default:
		return fmt.Errorf("publish: %w", err)
	}
	if err := pause(ctx, 5*time.Second); err != nil {
		return err
	}
	if n := heard.Load(); n > 0 {
		say("listened to # for 5 s: HEARD %d MESSAGES", n)
	} else {
		say("listened to # for 5 s: heard nothing")
	}
	return nil
}

// dial makes one MQTT 5 connection, without trying again. code is that of a
// CONNACK which refuses.
func (d *device) dial(ctx context.Context, b *broker, heard func(*paho.Publish)) (client *paho.Client, code byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	dialer := tls.Dialer{Config: b.tls(d.cert)}
	conn, err := dialer.DialContext(ctx, "tcp", b.address())
	if err != nil {
		return nil, 0, fmt.Errorf("connect: %w", err)
	}
	client = paho.NewClient(paho.ClientConfig{
		Conn: packets.NewThreadSafeConn(conn), ClientID: d.thing,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			heard(p.Packet)
			return true, nil
		}},
	})
	connack, err := client.Connect(ctx, &paho.Connect{ClientID: d.thing, CleanStart: true, KeepAlive: 20})
	if err != nil {
		if connack != nil {
			code = connack.ReasonCode
		}
		_ = conn.Close()
		return nil, code, fmt.Errorf("connect: %w", err)
	}
	return client, 0, nil
}

// forge makes a certificate for name that is signed by itself.
func forge(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("forge a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
