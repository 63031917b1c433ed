package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"sync"

	"greengate/testvm/mqtt"
	"greengate/testvm/streams"
)

// publish sends the messages of a stream until all are acknowledged. When the
// connection ends, it goes on on the next one after the last that was
// acknowledged.
func (w *writer) publish(ctx context.Context, stream int) error {
	for acknowledged := 0; acknowledged < w.numbers; {
		c, _, err := w.dial(ctx, streams.All[stream].Thing, true)
		if err != nil {
			return err
		}
		acknowledged, err = w.publishOn(c, stream, acknowledged)
		_ = c.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// publishOn sends the messages after the number acknowledged, until the
// connection ends or all are acknowledged; it returns the last one that was. The
// error is that of a gateway that answers wrongly.
func (w *writer) publishOn(c *mqtt.Client, stream, acknowledged int) (int, error) {
	s := streams.All[stream]
	if s.Store == streams.Shadow && c.Subscribe(s.Topic+"/accepted") != nil {
		return acknowledged, nil // it ended
	}
	for sent := acknowledged; acknowledged < w.numbers; {
		for ; sent < min(acknowledged+streams.Window, w.numbers); sent++ {
			if c.Publish(s.Topic, s.Payload(sent+1), uint16(sent+1), s.Store == streams.Kept) != nil {
				return acknowledged, nil
			}
		}
		n, err := answered(c, s)
		if err != nil {
			return acknowledged, nil
		}
		if n != acknowledged+1 {
			return acknowledged, fmt.Errorf("%s: %d was acknowledged after %d", s.Topic, n, acknowledged)
		}
		acknowledged = n
		if err := w.board.Write(streams.Note{Stream: stream, Event: streams.Acknowledged, N: n}); err != nil {
			return acknowledged, err
		}
		w.acknowledged.Add(1)
	}
	return acknowledged, nil
}

// answered waits until the gateway has answered for a message: by PUBACK, or, for
// a shadow, by saying that the update is accepted.
func answered(c *mqtt.Client, s streams.Stream) (n int, err error) {
	for {
		p, err := c.Read()
		switch {
		case err != nil:
			return 0, err
		case p.Kind == mqtt.Puback && s.Store != streams.Shadow:
			return int(p.ID), nil
		case p.Kind == mqtt.Publish && path.Base(p.Topic) == "accepted":
			return streams.Number(p.Payload), c.Ack(p.ID)
		}
	}
}

// subscribe begins the session of the reader, which outlives its connections, and
// the gateway.
func (w *writer) subscribe(ctx context.Context) error {
	c, _, err := w.dial(ctx, streams.Reader, false)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Subscribe(streams.Filter); err != nil {
		return err
	}
	for i, s := range streams.All {
		if s.Store == streams.Session {
			if err := w.board.Write(streams.Note{Stream: i, Event: streams.Subscribed}); err != nil {
				return err
			}
		}
	}
	return nil
}

// visits are the times at which the reader is there. One goroutine calls come and
// leave.
type visits struct {
	w     *writer
	fail  context.CancelCauseFunc
	stop  context.CancelFunc
	ended sync.WaitGroup
}

// come lets the reader take its messages, over restarts of the gateway, until leave.
func (v *visits) come(ctx context.Context) {
	ctx, v.stop = context.WithCancel(ctx)
	v.ended.Go(func() {
		for ctx.Err() == nil {
			if err := v.take(ctx); err != nil && ctx.Err() == nil {
				v.fail(err)
			}
		}
	})
}

func (v *visits) leave() {
	if v.stop != nil {
		v.stop()
		v.ended.Wait()
	}
}

// take takes messages until the connection or ctx ends.
func (v *visits) take(ctx context.Context) error {
	c, present, err := v.w.dial(ctx, streams.Reader, false)
	if err != nil {
		return err
	}
	defer c.Close()
	if !present {
		return errors.New("the reader's session is gone")
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	for {
		p, err := c.Read()
		if err != nil || p.Kind != mqtt.Publish {
			return nil
		}
		if err := v.w.take(p.Topic, p.Payload); err != nil {
			return err
		}
		if c.Ack(p.ID) != nil {
			return nil
		}
	}
}
