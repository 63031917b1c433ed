package cloud

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

// lookAgain is how often a connection looks whether the machine still has its address.
const lookAgain = 10 * time.Second

// watch pings and finds a dead link: nothing was read for 1.5 keep-alives, no
// PUBACK came for too long, or the machine has lost the address of the connection:
// then nothing can come, and the kernel tells nobody.
func (c *conn) watch() error {
	var pinged int64
	own := addressOf(c.raw)
	for {
		if own.IsValid() && lost(own) {
			return fmt.Errorf("the address %s is gone: the machine is in another network now, or in none", own)
		}
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
		if own.IsValid() {
			next = min(next, lookAgain)
		}
		if !sleep(next, c.dead) {
			return nil
		}
	}
}

// addressOf is our address of a connection; none, when an interface need not have it.
func addressOf(conn net.Conn) netip.Addr {
	tcp, ok := conn.LocalAddr().(*net.TCPAddr)
	if !ok || tcp.IP.IsLoopback() {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}

// lost tells that no interface has an address any more. While that cannot be found out
// it is not lost.
func lost(own netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	return err == nil && !slices.ContainsFunc(all, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr().Unmap().WithZone("") == own
	})
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
