package broker

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"greengate/core/router"
)

// refusals keeps the log from being flooded: each kind of refusal of an address, or of a
// thing, is told once in a while. It keeps nothing of what a stranger has written.
type refusals struct {
	mu   sync.Mutex
	seen map[telling]time.Time
}

// telling is one kind of refusal.
type telling struct {
	who  string // an address or a thing
	what string
	why  router.Reason
}

const (
	toldAgain = 10 * time.Minute
	maxSeen   = 1000
)

// first tells whether the log has not heard of that in a while.
func (r *refusals) first(k telling) bool {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if last, ok := r.seen[k]; ok && now.Sub(last) < toldAgain {
		return false
	}
	if r.seen == nil || len(r.seen) >= maxSeen {
		r.seen = map[telling]time.Time{}
	}
	r.seen[k] = now
	return true
}

// turnedAway counts a connection that does not get in, and tells it once in a while.
func (b *Broker) turnedAway(what string, why router.Reason, addr net.Addr, err error, more ...any) {
	b.router.Note(router.Refused, why)
	host, text := hostOf(addr), ""
	if !b.refusals.first(telling{host, what, why}) {
		return
	}
	if err != nil {
		text = clip(strings.ReplaceAll(err.Error(), addr.String(), host))
	}
	b.log.Warn(what+" (told once in ten minutes, counted always)", append([]any{"addr", host, "err", text}, more...)...)
}

// refuses counts what a client that is in is refused, and tells it once in a while.
// Subject is the topic or filter, which the line has as key.
func (c *conn) refuses(what string, why router.Reason, key string, subject []byte) {
	c.b.router.Note(router.Refused, why)
	if c.b.refusals.first(telling{c.thing, what, why}) {
		c.b.log.Warn(what+" (told once in ten minutes, counted always)", "thing", c.thing, "reason", string(why), key, clip(string(subject)))
	}
}

// maxTold bounds what a client wrote, in a line of the log, in bytes.
const maxTold = 256

// clip shortens such a text.
func clip(s string) string {
	if len(s) <= maxTold {
		return s
	}
	end := maxTold
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%s... (%d bytes)", s[:end], len(s))
}
