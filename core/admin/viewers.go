package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Bounds of the live page. What a viewer costs does not depend on the traffic.
const (
	mostViewers = 32                     // event streams at a time; more get 503
	flowEvery   = 500 * time.Millisecond // between two frames of the flow
	statusEvery = 2                      // frames of the flow for one of the status
	frameTime   = 10 * time.Second       // a viewer who takes no frame for so long is cut
	quietFrames = 30                     // after so many without anything a comment keeps the stream alive
)

// viewers are the event streams. While there is one, a goroutine makes a frame at each
// tick, once for all of them; without any there is none, and nobody watches the router.
type viewers struct {
	page *Page

	mu      sync.Mutex
	all     map[*viewer]bool // guarded by mu
	skipped uint64           // guarded by mu: frames that found no room
	stop    chan struct{}    // guarded by mu: ends the goroutine of the frames
}

// viewer is one event stream.
type viewer struct {
	frames chan []byte
	behind bool // it has skipped a frame, so it needs the whole status; guarded by viewers.mu
}

func (v *viewers) init(p *Page) { v.page, v.all = p, map[*viewer]bool{} }

func (v *viewers) figures() (now int, skipped uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.all), v.skipped
}

// serve is an event stream, until the viewer or the daemon goes.
func (v *viewers) serve(w http.ResponseWriter, r *http.Request) {
	one, err := v.enter()
	if err != nil {
		w.Header().Set("Retry-After", "10")
		v.page.refuse(w, http.StatusServiceUnavailable, "streams", err)
		return
	}
	defer v.leave(one)
	stream := http.NewResponseController(w)
	_ = stream.SetReadDeadline(time.Time{}) // nothing more is to be read; an error shows when it is written
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	if stream.Flush() != nil {
		return
	}
	for {
		select {
		case frame := <-one.frames:
			_ = stream.SetWriteDeadline(time.Now().Add(frameTime))
			if _, err := w.Write(frame); err != nil || stream.Flush() != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

var errViewers = errors.New("too many look at this page at the same time")

func (v *viewers) enter() (*viewer, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.all) >= mostViewers {
		return nil, errViewers
	}
	one := &viewer{frames: make(chan []byte, 2), behind: true}
	v.all[one] = true
	if len(v.all) == 1 {
		v.stop = make(chan struct{})
		go v.makeFrames(v.stop)
	}
	return one, nil
}

func (v *viewers) leave(one *viewer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.all, one)
	if len(v.all) == 0 {
		close(v.stop)
	}
}

// makeFrames works while there are viewers.
func (v *viewers) makeFrames(stop chan struct{}) {
	flow := newFlow()
	cancel, err := v.page.o.Watch("", flow.add)
	if err != nil { // only a bad filter is refused
		v.page.log.Error("The live page does not see the messages", "err", err)
		cancel = func() {}
	}
	defer v.page.snapshots.forget()
	defer cancel()
	tick := time.NewTicker(flowEvery)
	defer tick.Stop()
	var status sections
	for n := 0; ; n++ {
		frame := flow.frame()
		var changed []byte
		if n%statusEvery == 0 {
			changed = status.renew(v.page.snapshots.status())
		}
		if n%quietFrames == 0 && len(frame) == 0 {
			frame = []byte(": still here\n\n")
		}
		v.send(slices.Concat(frame, changed), func() []byte { return slices.Concat(frame, status.whole()) })
		select {
		case <-tick.C:
		case <-stop:
			return
		}
	}
}

// send gives each viewer the frame, or the whole status with it when he is new or has
// lost one.
func (v *viewers) send(frame []byte, whole func() []byte) {
	whole = sync.OnceValue(whole)
	v.mu.Lock()
	defer v.mu.Unlock()
	for one := range v.all {
		next := frame
		if one.behind {
			if len(one.frames) == cap(one.frames) {
				v.skipped++
				continue
			}
			next = whole()
		}
		if len(next) == 0 {
			continue
		}
		select {
		case one.frames <- next:
			one.behind = false
		default:
			one.behind = true
			v.skipped++
		}
	}
}

// event writes an event as a stream has it.
func event(name string, data []byte) []byte {
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, data)
}

// sections are the parts of the status, of which only those are sent that changed.
type sections struct{ last map[string]json.RawMessage }

// renew takes up a status, and returns the event of what has changed; nil: nothing.
func (s *sections) renew(status any) []byte {
	text, err := json.Marshal(status)
	var now map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(text, &now)
	}
	if err != nil {
		return nil // only a type without a JSON form comes here
	}
	changed := map[string]json.RawMessage{}
	for name, part := range now {
		if !bytes.Equal(part, s.last[name]) {
			changed[name] = part
		}
	}
	s.last = now
	if len(changed) == 0 {
		return nil
	}
	return eventOf("status", changed)
}

// whole is the event of the whole status.
func (s *sections) whole() []byte { return eventOf("status", s.last) }

func eventOf(name string, v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return event(name, data)
}
