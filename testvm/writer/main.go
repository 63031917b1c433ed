// Command writer runs in the virtual machine of the power-cut test. It starts the real
// greengate on the disk whose writes are logged, plays its devices and its cloud,
// and notes on the same disk, past the file system, which messages the gateway
// has acknowledged and which have been taken from it. In between the gateway is
// killed and restarted, so that power is cut in a recovery too.
//
// It is a program of the tests; nobody imports it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"greengate/testvm/mqtt"
	"greengate/testvm/streams"
)

func main() {
	w := writer{taken: make([]int, len(streams.All))}
	flag.StringVar(&w.greengate, "greengate", "/greengate", "the `program` under test")
	flag.StringVar(&w.site, "site", "/site", "the `folder` with group.yaml, pki, devices and cloud")
	flag.StringVar(&w.broker, "broker", "127.0.0.1:8883", "the `address` at which the gateway listens")
	flag.StringVar(&w.cloud, "cloud", "127.0.0.1:8884", "the `address` at which the gateway looks for the cloud")
	flag.IntVar(&w.numbers, "numbers", 300, "how many messages of each stream")
	device := flag.String("disk", "/dev/vda", "the `device` for the notes")
	flag.Parse()
	if err := w.run(*device); err != nil {
		fmt.Fprintln(os.Stderr, "writer:", err)
		os.Exit(1)
	}
}

// writer is one run.
type writer struct {
	greengate, site, broker, cloud string
	numbers                        int

	board        *streams.Board
	acknowledged atomic.Int64 // of all streams

	mu    sync.Mutex // protects taken
	taken []int      // the last number of each stream
}

func (w *writer) run(device string) (err error) {
	if w.board, err = streams.OpenBoard(device); err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(context.Background())
	defer fail(nil)
	sky, err := w.openSky(ctx, fail)
	if err != nil {
		return err
	}
	g := &gateway{program: w.greengate, config: filepath.Join(w.site, "group.yaml")}
	if err := g.start(); err != nil {
		return err
	}
	defer g.kill()
	if err := w.subscribe(ctx); err != nil {
		return err
	}
	var publishers sync.WaitGroup
	for i := range streams.All {
		publishers.Go(func() {
			if err := w.publish(ctx, i); err != nil {
				fail(err)
			}
		})
	}
	err = w.play(ctx, g, sky, &visits{w: w, fail: fail})
	publishers.Wait()
	if err := errors.Join(err, context.Cause(ctx)); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Printf("writer: %d messages acknowledged, taken of each stream: %v\n", w.acknowledged.Load(), w.taken)
	return g.stop()
}

// play changes the circumstances as the messages go on, until all are acknowledged.
func (w *writer) play(ctx context.Context, g *gateway, sky *sky, reader *visits) error {
	defer reader.leave()
	for _, step := range []struct {
		percent int64
		do      func() error
	}{
		{10, func() error { reader.come(ctx); return nil }},
		{20, func() error { reader.leave(); sky.close(); return nil }},
		{55, func() error { g.kill(); return g.start() }},
		{65, func() error { g.kill(); sky.clear(); reader.come(ctx); return g.start() }},
		{75, func() error { g.kill(); return g.start() }},
		{85, func() error { reader.leave(); sky.close(); return errors.Join(g.stop(), g.start()) }},
		{100, func() error { return nil }},
	} {
		for 100*w.acknowledged.Load() < step.percent*int64(w.numbers*len(streams.All)) {
			if err := pause(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
		if err := step.do(); err != nil {
			return err
		}
	}
	return nil
}

// take notes that a receiver has a message, before it says so to the gateway. The
// receiver must have had all messages before it.
func (w *writer) take(topic string, payload []byte) error {
	i, ok := streams.Of(topic)
	n := streams.Number(payload)
	if !ok || n == 0 {
		return fmt.Errorf("a message that nobody sent: %s %s", topic, payload)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if n > w.taken[i]+1 {
		return fmt.Errorf("%s: number %d came after %d", topic, n, w.taken[i])
	}
	if n <= w.taken[i] {
		return nil
	}
	w.taken[i] = n
	return w.board.Write(streams.Note{Stream: i, Event: streams.Taken, N: n})
}

// dial connects a thing to the gateway, which may just be starting.
func (w *writer) dial(ctx context.Context, thing string, clean bool) (c *mqtt.Client, present bool, err error) {
	config, err := mqtt.Credential(filepath.Join(w.site, "devices"), thing)
	if err != nil {
		return nil, false, err
	}
	for deadline := time.Now().Add(4 * time.Minute); ; { // on a busy machine a start takes its time
		if c, present, err = mqtt.Dial(w.broker, config, thing, clean); err == nil || time.Now().After(deadline) {
			return c, present, err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return nil, false, err
		}
	}
}

// pause waits for d, or returns why ctx ended before.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
