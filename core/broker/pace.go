package broker

import (
	"sync/atomic"
	"time"
)

// The gateway is calm while it does fewer than calmWrites writes in calmTime. Then
// whoever has something for a client writes it himself: to wake a goroutine, and with
// it a thread and its core, costs more than to write a message. When there is more to
// do, a goroutine writes, and what comes until it runs goes out with it.
const (
	calmWrites = 64
	calmTime   = 4 * time.Millisecond
)

// pace remembers when the last writes were. It is safe for concurrent use.
type pace struct {
	next atomic.Uint32
	at   [calmWrites]atomic.Int64 // since start
}

var start = time.Now()

// calm notes a write, and tells whether the gateway is calm.
func (p *pace) calm() bool {
	now := int64(time.Since(start))
	before := p.at[p.next.Add(1)%calmWrites].Swap(now)
	return before == 0 || now-before > int64(calmTime)
}
