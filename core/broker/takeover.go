package broker

import "time"

// The order of what a client sends, when its new connection takes over the former one.

// maxHandling is how long a client waits for the end of its former connection, which has
// one packet to handle at most.
const maxHandling = 5 * time.Second

// await waits until the connection before handles nothing any more, lest its last packet
// come after what this one sends.
func (c *conn) await() {
	if c.before == nil {
		return
	}
	late := time.NewTimer(maxHandling)
	defer late.Stop()
	select {
	case <-c.before:
	case <-late.C:
		c.b.log.Warn("the former connection of a device is still busy: what it has sent last may come late", "thing", c.thing)
	}
}

// succeed has the connection take nothing more in, since another one has its place, and
// returns what is closed when it handles nothing any more.
func (c *conn) succeed() (over <-chan struct{}) {
	c.succeeded.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over == nil {
		c.over = make(chan struct{})
		if c.silent {
			close(c.over)
		}
	}
	return c.over
}

// silence notes that the connection handles nothing any more.
func (c *conn) silence() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.silent = true
	if c.over != nil {
		close(c.over)
	}
}
