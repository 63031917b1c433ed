package functions

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"
)

// failed takes a call from an instance that did not answer it, and has it tried again or
// gives it up. The caller holds f.mu.
func (f *function) failed(in *instance, c *call, reason string, failure Failure) {
	f.stats.failed(failure)
	again := c.result == nil && c.tries <= f.c.Retries && f.phase != leaving
	if f.phase == stopping && c.durable {
		again = true // the next start makes it
	}
	in.release(c)
	if !again {
		if c.result == nil {
			f.log.Warn("A call failed as often as it is tried", "topic", c.subject, "id", c.id, "tries", c.tries, "reason", reason, "err", failure.text())
		}
		f.close(c, f.giveUp(c, reason, failure))
		f.dispatch(time.Now())
		return
	}
	f.stats.retries++
	pause := grow(f.m.o.Bounds.FirstRetry, f.m.o.Bounds.LastRetry, c.tries)
	c.due = time.Now().Add(pause)
	f.later.pushBack(c)
	f.log.Debug("A call failed and is tried again", "topic", c.subject, "id", c.id, "tries", c.tries, "reason", reason, "after", pause, "err", failure.text())
	f.wake()
}

// longestText is how many bytes of a failure the log, the status and the quarantine keep.
const longestText = 1000

// text is the failure in one line, which a function cannot make long, nor steer a terminal
// with.
func (failure Failure) text() string {
	text := failure.Type + ": " + failure.Message
	if failure.Message == "" || failure.Type == "" {
		text = failure.Type + failure.Message
	}
	if len(text) > longestText {
		text = strings.ToValidUTF8(text[:longestText], "") + " [...]"
	}
	return clean([]byte(text))
}

// grow is the n-th of pauses that double from first to last, n from 1, within a quarter,
// so that what failed together does not come back together.
func grow(first, last time.Duration, n int) time.Duration {
	pause := last
	if n <= 32 && first<<(n-1) < last && first<<(n-1) > 0 {
		pause = first << (n - 1)
	}
	return pause*3/4 + rand.N(pause/4+1)
}

// revive puts calls that are due again in front of those that wait. The caller holds f.mu.
func (f *function) revive(now time.Time) {
	for c := f.later.last; c != nil; { // from the last: the first comes to the front
		before := c.prev
		if !now.Before(c.due) {
			c.remove()
			f.waiting.pushFront(c)
		}
		c = before
	}
}

// replyTime is what publishing an answer may take.
const replyTime = 10 * time.Second

// reply publishes an answer. A function that has nothing to say answers null.
func (f *function) reply(topic string, body []byte) {
	if len(body) == 0 || string(body) == "null" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), replyTime)
	defer cancel()
	if err := f.m.o.Reply(ctx, f.name, topic, body); err != nil {
		f.mu.Lock()
		f.stats.replyErrors++
		f.mu.Unlock()
		f.log.Warn("The answer of a function could not be published", "topic", topic, "err", err)
	}
}
