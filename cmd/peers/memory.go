package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
)

// The figures of the memory scenario, in MiB, and of one connection in KiB.
const (
	memoryIdle     = "idle"
	memoryBefore   = "before"
	memoryThousand = "thousand"
	memoryCrowd    = "crowd"
	memoryEach     = "each"
)

func memoryScenario() scenario {
	return scenario{
		letter: "D", name: "resident memory", kinds: brokers,
		measure: (*bench).memory,
		rows: []row{
			{"idle, a small group, MiB", memoryIdle, []goal{atMost(14, "")}},
			{"idle, a group of 5,000 devices, MiB", memoryBefore, nil},
			{"1,000 idle TLS connections, MiB", memoryThousand, nil},
			{"5,000 idle TLS connections, MiB", memoryCrowd, []goal{atMost(250, "")}},
			{"of it for each connection, KiB", memoryEach, []goal{atMost(48, "")}},
		},
	}
}

// memory is the memory of a server that idles, and of one to which more and more
// devices connect.
func (b *bench) memory(ctx context.Context, k kind) (sample, error) {
	s, err := b.programs.start(ctx, k, home)
	if err != nil {
		return nil, err
	}
	figures, err := measured(s, func() (sample, error) {
		idle, err := b.restingMemory(ctx, s)
		return sample{memoryIdle: idle}, err
	})
	if err != nil {
		return nil, err
	}
	if s, err = b.programs.start(ctx, k, town); err != nil {
		return nil, err
	}
	return measured(s, func() (sample, error) {
		var conns connections
		defer conns.close()
		connected := 0
		for _, stage := range []struct {
			devices int
			figure  string
		}{{0, memoryBefore}, {1_000, memoryThousand}, {crowd, memoryCrowd}} {
			if err := conns.open(ctx, s, b.programs.site.crowd[connected:stage.devices]); err != nil {
				return nil, err
			}
			connected = stage.devices
			if figures[stage.figure], err = b.restingMemory(ctx, s); err != nil {
				return nil, err
			}
		}
		if err := conns.alive(); err != nil {
			return nil, s.failed(err)
		}
		figures[memoryEach] = (figures[memoryCrowd] - figures[memoryBefore]) * 1024 / crowd
		return figures, nil
	})
}

// restingMemory is the memory of s, in MiB, when it has had time to give back what
// the handshakes needed.
func (b *bench) restingMemory(ctx context.Context, s *server) (float64, error) {
	sleep(ctx, b.settled)
	bytes, err := s.resident()
	return float64(bytes) / (1 << 20), errors.Join(err, ctx.Err())
}

// connections are those of many devices, each from an address of its own.
type connections struct {
	mu  sync.Mutex
	all []*client
}

// atOnce is how many connect at the same time when there is no hurry.
const atOnce = 8

func (c *connections) open(ctx context.Context, s *server, devices []*device) error {
	return each(devices, atOnce, func(d *device) error {
		conn, err := d.dial(ctx, s.address, 64)
		if err != nil {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all = append(c.all, conn)
		return nil
	})
}

// alive is an error when a connection was cut by the server.
func (c *connections) alive() error {
	for _, conn := range c.all {
		if _, err := conn.Write([]byte{pingreq, 0}); err != nil {
			return fmt.Errorf("a connection that idles was cut: %w", err)
		}
		if first, _, err := conn.next(); err != nil || first != pingresp {
			return fmt.Errorf("a connection that idles was cut: answer to PINGREQ %#x, %v", first, err)
		}
	}
	return nil
}

func (c *connections) close() {
	for _, conn := range c.all {
		_ = conn.NetConn().Close()
	}
}

// each does the same for all devices, for so many of them at once, and returns
// the first error.
func each(devices []*device, width int, do func(*device) error) error {
	var wait sync.WaitGroup
	var first error
	var once sync.Once
	places := make(chan struct{}, width)
	for _, d := range devices {
		places <- struct{}{}
		wait.Go(func() {
			if err := do(d); err != nil {
				once.Do(func() { first = err })
			}
			<-places
		})
	}
	wait.Wait()
	return first
}

// raiseFileLimit lets this process, and the servers that it starts, hold as many
// connections as there are devices.
func raiseFileLimit() error {
	const need = crowd + 500
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	if l.Max < need {
		return fmt.Errorf("the limit of open files is %d: %d are needed (type: ulimit -n %d, as root)", l.Max, need, need)
	}
	l.Cur = l.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	return nil
}
