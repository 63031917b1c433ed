package main

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"

	"greengate/configs"
	"greengate/core/message"
	"greengate/sync/cloud"
	"greengate/sync/shadows"
)

// openSync makes the reconciler, which keeps the shadows here and in the cloud equal.
func (u *uplink) openSync() (err error) {
	u.sync, err = shadows.New(shadows.Options{
		Shadows: u.g.shadows, DB: u.g.shadowDB.DB, Link: shadowLink{u.link}, Cloud: cloudName(u.g.begun.Cloud),
		Things: func() map[string]shadows.Direction { return syncedThings(u.g.current().config) },
		Log:    u.g.log,
	})
	return err
}

// cloudName names the cloud of a section by what stays the same while the account and the
// region do: the host of its endpoint. Which of AWS's two ports leads there says nothing;
// another port is that of a stand-in, and there may be several of them on a host.
func cloudName(c *cloud.Config) string {
	host := strings.ToLower(strings.TrimSuffix(c.Endpoint, "."))
	if c.Port == 8883 || c.Port == 443 {
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(c.Port))
}

// syncedThings are the things whose shadows the cloud has too: the devices with
// `shadow: sync`, and the core.
func syncedThings(c *configs.Config) map[string]shadows.Direction {
	things := map[string]shadows.Direction{c.Core: shadows.Both}
	for _, d := range c.Devices {
		if d.Shadow != "sync" {
			continue
		}
		var way shadows.Direction
		_ = way.UnmarshalText([]byte(d.Direction)) // its words are checked with the group file
		things[d.Thing] = way
	}
	return things
}

// toSync hands a message of the cloud to the reconciler, and tells whether that is
// all to be done with it: a row may send the topic to somebody besides.
func (u *uplink) toSync(p *cloud.Publish) bool {
	if !u.sync.Receive(p.Topic, p.Payload) {
		return false
	}
	return u.g.current().table.Lookup(message.Endpoint{Kind: message.Cloud}, p.Topic) == nil
}

// shadowLink is the connection as the reconciler asks it.
type shadowLink struct{ link *cloud.Link }

func (l shadowLink) Connected() bool          { return l.link.Connected() }
func (l shadowLink) Changed() <-chan struct{} { return l.link.Changed() }

func (l shadowLink) Names(ctx context.Context, thing string) ([]string, error) {
	return l.link.Names(ctx, thing)
}

func (l shadowLink) Send(ctx context.Context, topic string, payload []byte, done func(error)) error {
	err := l.link.Send(ctx, &cloud.Publish{Topic: topic, Payload: payload}, func(err error) { done(shadowError(err)) })
	return shadowError(err)
}

// shadowError says in the words of the reconciler what became of a request.
func shadowError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cloud.ErrOffline):
		return shadows.ErrOffline
	case errors.Is(err, cloud.ErrLost):
		return shadows.ErrLost
	case neverTaken(err):
		return &shadows.Never{Err: err}
	}
	return err
}
