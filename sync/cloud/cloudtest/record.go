package cloudtest

import (
	"context"
	"slices"
	"time"
)

// Received is one publish that the cloud took in.
type Received struct {
	Order   int       // from 1, of all clients together
	At      time.Time // of the cloud's clock
	Client  string    // client id; "" over HTTPS and from Cloud.Publish
	Thing   string    // whose certificate it was
	Topic   string    // without the Basic Ingest prefix
	Rule    string    // of Basic Ingest; "" otherwise
	Payload []byte
	QoS     byte
	Retain  bool
	Dup     bool // the DUP flag, as the client set it
	HTTPS   bool
	// Properties are those of MQTT 5; nil when there were none.
	Properties *Properties
}

// Properties are the MQTT 5 properties of a publish that reach a subscriber.
type Properties struct {
	PayloadFormat   *byte
	MessageExpiry   *uint32 // seconds
	ContentType     string
	ResponseTopic   string
	CorrelationData []byte
	User            [][2]string
}

// Violation is a breach of a limit or of the protocol by a client.
type Violation struct {
	At     time.Time
	Client string
	Rule   string // which limit: a stable token such as publish-rate
	Detail string
}

// Received returns the publishes taken in so far, in order. The payloads are
// shared and may not be changed.
func (c *Cloud) Received() []Received {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.received)
}

// Violations returns the breaches so far, in order; the first 10,000 are kept.
func (c *Cloud) Violations() []Violation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.violations)
}

// Wait waits until met is true of the cloud, looking each time something has
// changed (a connection, a publish, a shadow). It returns ctx's error when that
// ends first.
func (c *Cloud) Wait(ctx context.Context, met func(*Cloud) bool) error {
	for {
		changed := c.Changed()
		if met(c) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// WaitReceived waits until n publishes have been taken in.
func (c *Cloud) WaitReceived(ctx context.Context, n int) error {
	return c.Wait(ctx, func(c *Cloud) bool { return c.Status().Accepted >= n })
}

// WaitConnected waits until a client with this id is connected and has its
// CONNACK on the way.
func (c *Cloud) WaitConnected(ctx context.Context, client string) error {
	return c.Wait(ctx, func(c *Cloud) bool { return c.connected(client) })
}

// Changed returns a channel that is closed at the next change.
func (c *Cloud) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return c.changed
}
