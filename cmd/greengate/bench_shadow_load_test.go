package main_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The load of the shadow service: devices that each keep some updates of their
// own shadow under way, and count what is accepted.
const (
	shadowDevices = 50
	shadowWindow  = 10 // updates under way, for each device
)

// kilobyte is the first update of a document of 1 KiB: what a heating controller
// might keep. Those that follow change two leaves of it.
func kilobyte() []byte {
	var state strings.Builder
	for i, section := range []string{"desired", "reported"} {
		if i > 0 {
			state.WriteByte(',')
		}
		fmt.Fprintf(&state, `"%s":{"mode":"auto","firmware":"v1.14.2-rc3","tags":["a","b","c"]`, section)
		for zone := range 9 {
			fmt.Fprintf(&state, `,"zone%d":{"target":%d.5,"valve":"open","on":true}`, zone, 18+zone%4)
		}
		state.WriteByte('}')
	}
	return []byte(`{"state":{` + state.String() + `}}`)
}

// appendPatch appends the update of that number.
func appendPatch(b []byte, n uint64) []byte {
	return fmt.Appendf(b, `{"state":{"reported":{"zone%d":{"target":%d.%d},"mode":"m%d"}},"clientToken":"58de9848-e4db-e2ac-9622-%012d"}`,
		n%9, 18+n%5, n%10, n%100, n)
}

// updater is one device of the load.
type updater struct {
	*loadClient
	topic   string // of its updates
	stopped *atomic.Bool

	accepted    atomic.Uint64
	sent, acked uint64
	version     uint64 // of the last document that was accepted
	payload     []byte // scratch
}

// newUpdater connects a device and makes its document.
func newUpdater(s *server, site *benchSite, thing string, stopped *atomic.Bool) (*updater, error) {
	c, err := site.dial(s, thing)
	if err != nil {
		return nil, err
	}
	u := &updater{loadClient: c, topic: "$aws/things/" + thing + "/shadow/update", stopped: stopped}
	for _, answer := range []string{"/accepted", "/rejected"} {
		if err := u.subscribe(u.topic+answer, 1); err != nil {
			return u, err
		}
	}
	return u, u.SetDeadline(time.Now().Add(warmUp + measured + patience))
}

// run updates the shadow until stopped, and then waits for what is under way.
// Nothing may be rejected, missing or out of order.
func (u *updater) run() error {
	out := u.append(nil, kilobyte())
	for {
		if _, err := u.Write(out); err != nil {
			return fmt.Errorf("publish on %s: %w", u.topic, err)
		}
		out = out[:0]
		for again := true; again; again = u.r.Buffered() > 0 { // one answer for all that has come
			var err error
			if out, err = u.take(out); err != nil {
				return fmt.Errorf("%s, %d of %d accepted: %w", u.topic, u.accepted.Load(), u.sent, err)
			}
		}
		accepted := u.accepted.Load()
		if u.stopped.Load() {
			if accepted == u.sent && u.acked == u.sent {
				return nil
			}
			continue
		}
		for accepted > 0 && u.sent-accepted < shadowWindow {
			u.payload = appendPatch(u.payload[:0], u.sent)
			out = u.append(out, u.payload)
		}
	}
}

// append appends the PUBLISH of an update.
func (u *updater) append(b, payload []byte) []byte {
	u.sent++
	return appendPublish(b, u.topic, 1, uint16(u.sent%65535+1), payload)
}

// take reads a packet, and appends its acknowledgement to out.
func (u *updater) take(out []byte) ([]byte, error) {
	first, length, err := u.head()
	if err != nil {
		return out, err
	}
	body, err := u.r.Peek(length)
	if err != nil {
		return out, err
	}
	switch first & 0xf0 {
	case puback:
		u.acked++
	case publish:
		topic := 2 + int(binary.BigEndian.Uint16(body))
		out = append(out, puback, 2, body[topic], body[topic+1])
		if !bytes.HasSuffix(body[:topic], []byte("/accepted")) {
			return out, fmt.Errorf("%s: %s", body[2:topic], body[topic+2:])
		}
		if err := u.follows(body[topic+2:]); err != nil {
			return out, err
		}
		u.accepted.Add(1)
	}
	_, err = u.r.Discard(length)
	return out, err
}

// follows reads the version of an accepted document, which is one more than
// that of the one before.
func (u *updater) follows(accepted []byte) error {
	_, rest, _ := bytes.Cut(accepted, []byte(`"version":`))
	end := bytes.IndexAny(rest, ",}")
	version, err := strconv.ParseUint(string(rest[:max(0, end)]), 10, 64)
	if err != nil {
		return fmt.Errorf("read the version of %s: %w", accepted, err)
	}
	if u.version != 0 && version != u.version+1 {
		return fmt.Errorf("version %d follows %d", version, u.version)
	}
	u.version = version
	return nil
}

// runUpdates has all devices of the load update their shadows: how many updates
// a second were accepted.
func runUpdates(s *server, site *benchSite) (traffic, error) {
	var stopped atomic.Bool
	all := make([]*updater, shadowDevices)
	defer func() {
		for _, u := range all {
			if u != nil {
				_ = u.NetConn().Close()
			}
		}
	}()
	for i := range all {
		var err error
		if all[i], err = newUpdater(s, site, machine(i), &stopped); err != nil {
			return traffic{}, err
		}
	}
	var running sync.WaitGroup
	errs := make([]error, len(all))
	for i, u := range all {
		running.Go(func() { errs[i] = u.run() })
	}
	<-time.After(warmUp)
	t, err := measure(s, func() (n uint64) {
		for _, u := range all {
			n += u.accepted.Load()
		}
		return n
	})
	stopped.Store(true)
	running.Wait()
	return t, errors.Join(append(errs, err)...)
}
