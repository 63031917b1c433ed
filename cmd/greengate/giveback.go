package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"syscall"
	"time"
)

// giveBack returns memory to the system when the gateway has come to rest: after the
// start, a reload, a thousand devices that have connected at once. The collector alone
// would keep what that took for as long as nothing happens.
type giveBack struct {
	spent   func() time.Duration // CPU time of this process since its start
	heap    func() (made, live uint64)
	collect func()     // all garbage, and return what is free
	mapped  func() int // bytes of the program that are mapped
	unmap   func()

	// At the last look, and at the last collection.
	last            time.Duration
	made, collected uint64
}

const (
	restEvery = 3 * time.Second // between two looks
	// Below atRest of CPU time and quiet bytes of garbage between two looks the gateway
	// is at rest: what giving back costs is then taken from nobody.
	atRest = restEvery / 20
	quiet  = 512 << 10
	// So much garbage makes a collection worth while, of ten milliseconds or so: this
	// many bytes, and an eighth of what is in use. worthUnmapping is the size of the
	// program in memory, in bytes.
	worthCollecting = 1 << 20
	worthUnmapping  = 4 << 20
)

func newGiveBack() *giveBack {
	return &giveBack{
		spent: cpuTime, heap: heapFigures, collect: debug.FreeOSMemory,
		mapped: func() int { return filePages("/proc/self/statm") },
		unmap:  func() { dropFilePages("/proc/self/smaps") },
	}
}

// Run looks from time to time until ctx is cancelled.
func (g *giveBack) Run(ctx context.Context) error {
	tick := time.NewTicker(restEvery)
	defer tick.Stop()
	g.last = g.spent()
	g.made, _ = g.heap()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			g.look()
		}
	}
}

// look gives back what is worth it, when the gateway was at rest since the last look.
func (g *giveBack) look() {
	now := g.spent()
	made, live := g.heap()
	rest := now-g.last < atRest && made-g.made < quiet
	g.last, g.made = now, made
	if !rest {
		return
	}
	if made-g.collected >= max(worthCollecting, live/8) {
		g.collect()
		g.collected = made
		g.last = g.spent() // that was no work
	}
	if g.mapped() > worthUnmapping {
		g.unmap()
	}
}

// cpuTime is the CPU time that this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// heapFigures tells how much heap this process has allocated since its start, and how
// much of it the last collection found in use, in bytes.
func heapFigures() (made, live uint64) {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64(), s[1].Value.Uint64()
}
