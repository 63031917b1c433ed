package cloud

import (
	"fmt"
	"time"
)

// watch pings and finds a dead link: nothing was read for 1.5 keep-alives, or
// no PUBACK came for too long.
func (c *conn) watch() error {
	var pinged int64
	for {
		now := c.link.now()
		read, wrote, keep := c.read.Load(), c.wrote.Load(), int64(c.keepAlive)
		if c.busy.Load() {
			read = now
		}
		if now-read >= keep*3/2 {
			return fmt.Errorf("nothing came for %v, 1.5 keep-alives: the link is dead", c.keepAlive*3/2)
		}
		// Silence in either direction is a reason to ask; one question will do.
		ask := max(wrote, pinged) + keep
		if pinged <= read {
			ask = min(ask, read+keep)
		}
		if now >= ask {
			pinged = now
			c.write(c.d.ping())
			continue
		}
		next := time.Duration(min(ask, read+keep*3/2) - now)
		patience := c.link.o.Timing.Ack
		if at, ok := c.flight.stalls(patience); ok {
			left := time.Until(at)
			if left <= 0 {
				return fmt.Errorf("no PUBACK came for %v though the link is alive", patience)
			}
			next = min(next, left)
		} else {
			next = min(next, patience)
		}
		if !sleep(next, c.dead) {
			return nil
		}
	}
}

// sleep waits for d, and reports false when stop was closed first.
func sleep(d time.Duration, stop <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-stop:
		return false
	}
}
