package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"

	"greengate/sync/cloud/cloudtest"
	"greengate/testvm/streams"
)

// sky is the cloud in the machine.
type sky struct{ cloud *cloudtest.Cloud }

// openSky serves the stand-in for the cloud until ctx ends.
func (w *writer) openSky(ctx context.Context, fail context.CancelCauseFunc) (*sky, error) {
	ca, err := cloudtest.OpenAuthority(filepath.Join(w.site, "cloud"))
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", w.cloud)
	if err != nil {
		return nil, fmt.Errorf("listen as the cloud: %w", err)
	}
	c, err := cloudtest.New(cloudtest.Options{
		Listener: l, NoData: true, CA: ca, Limits: cloudtest.NoRates(), Forget: true,
		// It is called before the PUBACK, after which the gateway may delete the message.
		OnReceive: func(r cloudtest.Received) {
			if streams.Synced(r.Topic) {
				return
			}
			if err := w.take(r.Topic, r.Payload); err != nil {
				fail(fmt.Errorf("in the cloud: %w", err))
			}
		},
	})
	if err != nil {
		return nil, err
	}
	go func() {
		if err := c.Run(ctx); err != nil {
			fail(err)
		}
	}()
	return &sky{c}, nil
}

func (s *sky) clear() { s.cloud.Heal() }

// close cuts the gateway off and refuses it from now on.
func (s *sky) close() {
	s.cloud.Change(func(f *cloudtest.Faults) { f.Refuse = true })
	s.cloud.Cut("", true)
}
