package telemetry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"greengate/core/message"
	"greengate/core/sqlite"
	"greengate/sync/telemetry"
)

// doomed, in the environment, has this test program spool until it reaches a failpoint,
// and kill itself there. Its value is a doom in JSON.
const doomed = "GREENGATE_SPOOL_DOOMED"

// doom is what a victim does, and where it dies.
type doom struct {
	File  string
	Load  load
	Point string
	Hits  int64 // it dies at the last of them
	From  [doomedDevices]int
}

const (
	doomedDevices   = 3
	doomedUnsettled = 64 // what may come twice for one death
)

// load is what the messages meet on their way.
type load string

const (
	loadFlow   load = "flow"   // they go up; some can never be sent; the table changes all the time
	loadCalm   load = "calm"   // likewise, and so slowly that the cloud keeps up with them
	loadAgain  load = "again"  // likewise, and somebody puts back what is in quarantine
	loadFull   load = "full"   // the link is down and the spool full: the oldest are given up
	loadExpire load = "expire" // the link is down, and all live only a moment
)

// poison reports whether the cloud can never take that number.
func (l load) poison(n int) bool { return l.flows() && n%20 == 19 }

// flows reports whether the link is up.
func (l load) flows() bool { return l == loadFlow || l == loadCalm || l == loadAgain }

func (l load) payload(n int) []byte {
	text := strconv.Itoa(n)
	if l == loadFull {
		text += strings.Repeat(" ", 4000)
	}
	return []byte(text)
}

// number reads a payload.
func number(payload []byte) (int, error) { return strconv.Atoi(strings.TrimSpace(string(payload))) }

// route is how the table treats the n-th message of a device.
func (l load) route(device, n int) telemetry.Route {
	r := telemetry.Route{Key: fmt.Sprint("row", device), Priority: telemetry.Priority(device)}
	switch l {
	case loadFlow, loadCalm, loadAgain:
		r.Priority = telemetry.Priority((device + n/40) % 3)
	case loadExpire:
		r.TTL = time.Millisecond
	}
	return r
}

func (l load) options() telemetry.Options {
	o := telemetry.Options{MaxSize: 64 << 20, Bounds: telemetry.Bounds{Unsettled: doomedUnsettled}}
	if l == loadFull {
		o.MaxSize = 1 << 20
	}
	return o
}

func (l load) check(_ string, payload []byte) error {
	if n, err := number(payload); err != nil || l.poison(n) {
		return errors.New("poison")
	}
	return nil
}

// spoolUntilFailpoint spools numbers of the devices, and says what the gateway would
// have told: what is stored, what the cloud has, and what was settled.
func spoolUntilFailpoint(text string) error {
	var d doom
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return err
	}
	var out told
	db, err := sqlite.Open(sqlite.Options{File: d.File, Migrations: telemetry.Migrations()})
	if err != nil {
		return err
	}
	o := d.Load.options()
	l := newLink(nil)
	l.rtt = time.Millisecond
	l.fate = func(p *telemetry.Publish, _ int) fate {
		n, _ := number(p.Payload)
		if d.Load.poison(n) {
			return fate{refuse: &telemetry.Never{Err: errors.New("poison")}}
		}
		out.say("cloud %s %d", property(p, "gg-source"), n)
		return fate{}
	}
	o.DB, o.Link = db, l
	o.Settled = func(s telemetry.Settlement) { out.say("settled %s %d", s.Verdict, s.N) }
	s, err := telemetry.New(o)
	if err != nil {
		return err
	}
	var hits atomic.Int64
	s.OnFailpoint(func(name string) {
		if name != d.Point || hits.Add(1) != d.Hits {
			return
		}
		out.say("at %s", name)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal ends it before anything goes on from here
	})
	if d.Load.flows() {
		l.connect()
	}
	if d.Load == loadAgain {
		go func() { panic(d.putBack(s)) }()
	}
	for device, next := range d.From {
		go func() { panic(d.publish(s, &out, device, next)) }()
	}
	go func() { _ = db.Run(context.Background()) }()
	return s.Run(context.Background())
}

// putBack puts back all that is in quarantine, over and over.
func (d *doom) putBack(s *telemetry.Spool) error {
	for {
		_, err := s.Requeue(context.Background(), func(r telemetry.Record) (telemetry.Route, bool) {
			n, err := number(r.Payload)
			return d.Load.route(int(r.Source[1]-'0'), n), err == nil
		})
		if err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

// publish is a device that publishes as fast as its receive maximum allows.
func (d *doom) publish(s *telemetry.Spool, out *told, device, next int) error {
	name := fmt.Sprint("d", device)
	window := make(chan struct{}, 30)
	for n := next; ; n++ {
		window <- struct{}{}
		m := message.Message{Source: message.DeviceEndpoint(name), Topic: "t", Payload: d.Load.payload(n)}
		err := s.Put(&m, d.Load.route(device, n), func(error) {
			out.say("stored %s %d", name, n)
			<-window
		})
		if err != nil {
			return err
		}
		if d.Load == loadCalm {
			time.Sleep(time.Millisecond)
		}
		if d.Load == loadExpire && n > 200 {
			window <- struct{}{} // enough: wait for the sweep
			for range cap(window) {
				window <- struct{}{}
			}
		}
	}
}
