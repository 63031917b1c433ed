package functions

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"greengate/functions/endpoint"
)

// instance is one process of a function, and the calls that it works off: it is the
// endpoint.Calls of its door.
type instance struct {
	f       *function
	c       *Config // with which it was started
	version int     // of that
	name    string  // NAME/N
	begun   time.Time
	quit    chan struct{} // closed when it is to end
	started chan struct{} // closed when process says what became of its start
	process process       // nil: it did not start
	replies sync.Mutex    // held while an answer is on its way that the function knows to be taken

	// Guarded by f.mu.
	waiter    chan *call  // of the request that waits for a call; nil: none waits
	call      *call       // that it has
	ready     bool        // it has asked for a call
	closing   bool        // quit is closed
	why       string      // it was asked to end; empty: it ends by itself
	fault     string      // how its start failed, in its own words
	idleSince time.Time   // when it asked
	freeSince time.Time   // when it had answered
	timer     *time.Timer // for the time that a call may take
	armed     bool
}

var _ endpoint.Calls = (*instance)(nil)

// Why instances are asked to end.
const (
	whyIdle    = "idle"
	whyReload  = "reload"
	whyStop    = "stop"
	whyTimeout = "timeout"
	whyInit    = "init"
	whySilent  = "silent"
	whyDoor    = "endpoint"
	whyScratch = "scratch"
)

// Ready is told once, before the first Next.
func (in *instance) Ready() {
	f := in.f
	f.mu.Lock()
	defer f.unlock()
	if !in.ready {
		in.ready = true
		if in.c.Pinned || f.failures > 0 {
			f.log.Info("The function runs", "instance", in.name, "after", time.Since(in.begun))
		}
		in.freeSince = time.Now()
		f.starting--
	}
}

// InitFailed notes how the start failed, and ends the instance if it does not.
func (in *instance) InitFailed(failure endpoint.Failure) {
	f := in.f
	f.mu.Lock()
	defer f.unlock()
	in.fault = Failure{Type: failure.Type, Message: failure.Message}.text()
	// Its runtime ends by itself when it has read our answer; a second later it is ended.
	time.AfterFunc(time.Second, func() {
		f.mu.Lock()
		defer f.unlock()
		in.end(whyInit)
	})
}

// Next waits for a call.
func (in *instance) Next(ctx context.Context) (*endpoint.Invocation, error) {
	f := in.f
	in.replies.Lock() // so that no answer overtakes one before it, whatever connection this is
	f.mu.Lock()
	in.replies.Unlock()
	switch {
	case in.closing:
		f.unlock()
		return nil, endpoint.ErrClosed
	case in.call != nil:
		f.unlock()
		return nil, endpoint.ErrBusy
	case in.version != f.version || f.phase != working:
		in.end(whyReload)
		f.unlock()
		return nil, endpoint.ErrClosed
	}
	if in.waiter != nil { // its client gave up on an older request, which we do not know yet
		close(in.waiter)
		f.forget(in)
	}
	now := time.Now()
	if c := f.take(now); c != nil {
		in.assign(c, now)
		f.unlock()
		return in.invocation(c), nil
	}
	wait := make(chan *call, 1)
	in.waiter = wait
	in.idleSince = now
	f.idle = append(f.idle, in)
	if !f.c.Pinned {
		f.wakeBy(now.Add(f.c.Idle))
	}
	f.unlock()
	select {
	case c := <-wait:
		if c == nil {
			return nil, endpoint.ErrBusy
		}
		return in.invocation(c), nil
	case <-in.quit:
		return nil, in.leave(wait, endpoint.ErrClosed)
	case <-ctx.Done():
		return nil, in.leave(wait, ctx.Err())
	}
}

// leave gives up waiting. A call that came at the last moment goes back to its place: it
// has not left this process.
func (in *instance) leave(wait chan *call, err error) error {
	f := in.f
	f.mu.Lock()
	defer f.unlock()
	if in.waiter == wait {
		f.forget(in)
		return err
	}
	select {
	case c := <-wait:
		if c != nil && in.call == c {
			in.call = nil
			f.running--
			c.tries--
			f.waiting.pushFront(c)
			f.dispatch(time.Now())
		}
	default:
	}
	return err
}

// assign gives the instance a call. The timer of an earlier call, if it still runs, looks
// for itself what it has to do: most calls touch no timer. The caller holds f.mu.
func (in *instance) assign(c *call, now time.Time) {
	in.call, c.by = c, in.name
	in.f.running++
	c.tries++
	c.started, c.deadline = now, now.Add(in.c.Timeout)
	switch {
	case in.armed:
	case in.timer == nil:
		in.timer = time.AfterFunc(in.c.Timeout, in.late)
	default:
		in.timer.Reset(in.c.Timeout)
	}
	in.armed = true
}

func (in *instance) invocation(c *call) *endpoint.Invocation {
	payload := c.payload
	if len(payload) == 0 && in.c.Encoding != EncodingBinary {
		payload = emptyEvent
	}
	return &endpoint.Invocation{ID: c.id, Payload: payload, Deadline: c.deadline, Subject: c.subject}
}

var emptyEvent = []byte("{}")

// late ends an instance whose call takes too long. No call: the timer is not armed.
func (in *instance) late() {
	f := in.f
	f.mu.Lock()
	defer f.unlock()
	in.armed = false
	c := in.call
	if c == nil || c.answered {
		return
	}
	if left := time.Until(c.deadline); left > 0 {
		in.armed = true
		in.timer.Reset(left)
		return
	}
	f.stats.timeouts++
	in.end(whyTimeout)
	f.failed(in, c, ReasonTimeout, Failure{
		Type: "Sandbox.Timedout", Message: fmt.Sprintf("Task timed out after %.2f seconds", in.c.Timeout.Seconds()),
	})
}

// end has the instance end. The caller holds f.mu.
func (in *instance) end(why string) {
	if in.closing {
		return
	}
	in.closing, in.why = true, why
	in.f.forget(in)
	close(in.quit)
}

// current is the call that an instance answers. The caller holds f.mu.
func (in *instance) current(id string) (*call, error) {
	c := in.call
	if c == nil || c.id != id || c.answered {
		if in.why == whyTimeout {
			return nil, endpoint.ErrLate
		}
		return nil, endpoint.ErrUnknown
	}
	return c, nil
}

// Respond takes the answer to a call. The function works on meanwhile, but has no next
// call before all is done with this one.
func (in *instance) Respond(id string, body []byte, taken func()) error {
	f := in.f
	f.mu.Lock()
	c, err := in.current(id)
	if err != nil {
		f.unlock()
		return err
	}
	c.answered = true // and stays with the instance until all is done with the answer
	took := time.Since(c.started)
	f.stats.answered(took)
	f.failures = 0
	f.answers.Add(1)
	replyTo := f.c.ReplyTo
	f.mu.Unlock()
	defer f.answers.Done()
	in.replies.Lock()
	defer in.replies.Unlock()
	taken()
	f.m.store.at(pointAnswered)

	if replyTo != "" && c.result == nil {
		f.reply(replyTo, body)
	}
	if c.result != nil {
		c.result <- outcome{payload: body, instance: in.name, started: c.started, duration: took}
	}
	f.mu.Lock()
	defer f.unlock()
	in.release(c)
	f.close(c, end{verdict: Done})
	return nil
}

// Fail takes the report that a call failed.
func (in *instance) Fail(id string, failure endpoint.Failure) error {
	f := in.f
	f.mu.Lock()
	defer f.unlock()
	c, err := in.current(id)
	if err != nil {
		return err
	}
	f.failures = 0 // it works, though it does not like this call
	f.failed(in, c, ReasonError, Failure{Type: failure.Type, Message: failure.Message, Trace: failure.Trace})
	return nil
}

// release takes a call from the instance, which ends if that is what it was kept for.
// The caller holds f.mu.
func (in *instance) release(c *call) {
	if in.call != c {
		return // its process has ended meanwhile
	}
	in.call = nil
	in.freeSince = time.Now()
	f := in.f
	f.running--
	switch {
	case f.phase == stopping:
		in.end(whyStop)
	case f.phase == leaving || in.version != f.version:
		in.end(whyReload)
	}
}

// between tells whether it has answered a call and not asked for the next. The caller
// holds f.mu.
func (in *instance) between() bool {
	return in.ready && in.call == nil && in.waiter == nil && !in.closing
}

// gone notes that the instance has ended. The caller holds f.mu.
func (in *instance) gone() {
	f := in.f
	if in.timer != nil {
		in.timer.Stop()
	}
	if !in.ready {
		f.starting--
	}
	f.forget(in)
	if i := slices.Index(f.instances, in); i >= 0 {
		f.instances = slices.Delete(f.instances, i, i+1)
	}
}
