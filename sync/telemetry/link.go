package telemetry

import (
	"context"
	"errors"
	"time"

	"greengate/core/message"
)

// Link is the connection to the cloud as the uploader sees it.
type Link interface {
	// Send hands one publish to the link. It blocks while the window or the rate
	// is exhausted. An error says that the message was not sent: ErrOffline, *Never,
	// or the error of ctx, after whose end nothing is sent. Otherwise done is called
	// exactly once, from any goroutine: with nil when the cloud has acknowledged the
	// message, with *Never when it refused it for good, with ErrLost when the
	// connection ended before, and with any other error when the cloud refused it
	// for now. When a connection ends, the done of all that it carried are called
	// before the next one carries anything: else order could not be kept.
	Send(ctx context.Context, p *Publish, done func(error)) error
	Connected() bool
	// Changed returns a channel that is closed at the next change of Connected.
	Changed() <-chan struct{}
	// Check says why the cloud could never take a message of that topic and number
	// of payload bytes; nil when it could.
	Check(topic string, payload int) error
}

// Publish is a message for the link, which must not change it.
type Publish struct {
	Topic      string
	Payload    []byte
	QoS        byte // 1
	Retain     bool
	Expiry     time.Duration // how long it still has some worth; 0: for ever
	Properties *message.Properties
}

var (
	// ErrOffline: there is no connection.
	ErrOffline = errors.New("not connected to the cloud")
	// ErrLost: the connection ended before the acknowledgement.
	ErrLost = errors.New("the connection ended before the cloud acknowledged")
)

// Never says that the cloud will not take a message, however often it is sent.
type Never struct{ Err error }

func (e *Never) Error() string { return e.Err.Error() }
func (e *Never) Unwrap() error { return e.Err }
