package cloudtest

import (
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"time"
)

// weather is what all lines suffer now. It is set from Faults and has a mutex
// of its own, since lines look at it for each chunk of bytes.
type weather struct {
	mu        sync.Mutex // protects all below
	blackhole bool
	stall     bool
	latency   time.Duration
	bandwidth int
	lines     map[*line]bool
	changed   chan struct{} // closed at each change
}

func newWeather() *weather {
	return &weather{lines: map[*line]bool{}, changed: make(chan struct{})}
}

func (w *weather) set(f *Faults) {
	w.mu.Lock()
	var gone []*line
	if w.blackhole && !f.Blackhole {
		for l := range w.lines {
			gone = append(gone, l) // their bytes were swallowed
		}
	}
	w.blackhole, w.stall, w.latency, w.bandwidth = f.Blackhole, f.Stall, f.Latency, f.Bandwidth
	close(w.changed)
	w.changed = make(chan struct{})
	w.mu.Unlock()
	for _, l := range gone {
		l.reset()
	}
}

// end lets the connections end: those that hear nothing at once, others within
// a second. It is called once, when nothing new begins.
func (w *weather) end() {
	w.mu.Lock()
	grace := time.Second
	if w.blackhole || w.stall {
		grace = 0
	}
	w.mu.Unlock()
	time.AfterFunc(grace, func() {
		w.mu.Lock()
		left := slices.Collect(maps.Keys(w.lines))
		w.mu.Unlock()
		for _, l := range left {
			l.reset()
		}
	})
}

func (w *weather) now() (blackhole, stall bool, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.blackhole, w.stall, w.changed
}

// due is when n bytes arrive that follow bytes that arrive at last.
func (w *weather) due(n int, last time.Time) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.latency == 0 && w.bandwidth == 0 {
		// Behind what is still on its way: bytes do not overtake each other.
		return last
	}
	now := time.Now()
	due := now.Add(w.latency)
	if w.bandwidth > 0 {
		start := now
		if before := last.Add(-w.latency); before.After(now) {
			start = before
		}
		due = start.Add(w.latency + time.Duration(float64(n)/float64(w.bandwidth)*float64(time.Second)))
	}
	if due.Before(last) {
		return last
	}
	return due
}

// line is the network between one client and the cloud: it carries the bytes of
// the accepted connection to a connection in memory, which TLS is spoken on, as
// well or badly as the weather is. Two goroutines carry, one each way.
type line struct {
	raw     net.Conn
	near    *memoryConn // the carriers' end
	weather *weather
	done    chan struct{} // closed when raw is
	upDone  chan struct{} // closed when nothing more is read from raw
	once    sync.Once
}

// newLine begins to carry; conn is the cloud's end.
func newLine(raw net.Conn, w *weather, wg *sync.WaitGroup) (l *line, conn net.Conn) {
	near, far := newMemoryPair(raw.RemoteAddr(), raw.LocalAddr())
	near.delay, far.delay = w.due, w.due
	l = &line{raw: raw, near: near, weather: w, done: make(chan struct{}), upDone: make(chan struct{})}
	w.mu.Lock()
	w.lines[l] = true
	w.mu.Unlock()
	wg.Go(l.up)
	wg.Go(l.down)
	return l, far
}

// up carries from the client to the cloud.
func (l *line) up() {
	defer close(l.upDone)
	buffer := make([]byte, 32<<10)
	for {
		n, err := l.raw.Read(buffer)
		if !l.passable() {
			if err != nil {
				// The client's FIN or RST is swallowed too: the cloud learns
				// of it when the plug is in again.
				return
			}
			continue
		}
		if n > 0 {
			if _, failed := l.near.Write(buffer[:n]); failed != nil {
				// The cloud reads no more. Go on reading, so that a FIN of ours
				// is not turned into an RST by bytes that nobody took.
				continue
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				l.near.out.end(io.EOF, false)
			} else {
				l.near.reset()
			}
			return
		}
	}
}

// down carries from the cloud to the client.
func (l *line) down() {
	buffer := make([]byte, 32<<10)
	for {
		n, err := l.near.Read(buffer)
		if !l.passable() {
			if err != nil {
				return // no FIN of the cloud gets through either
			}
			continue
		}
		if n > 0 {
			if _, failed := l.raw.Write(buffer[:n]); failed != nil {
				l.reset()
				return
			}
		}
		if err != nil {
			l.finish()
			return
		}
	}
}

// passable tells whether bytes get through now. It waits while the line stalls.
func (l *line) passable() bool {
	for {
		blackhole, stall, changed := l.weather.now()
		if blackhole {
			return false
		}
		if !stall {
			return true
		}
		select {
		case <-changed:
		case <-l.done:
			return true
		}
	}
}

// finish closes with a FIN. The client's last bytes are read until it closes
// too, but not for long: unread ones would make the FIN an RST.
func (l *line) finish() {
	if t, ok := l.raw.(interface{ CloseWrite() error }); ok && t.CloseWrite() == nil {
		_ = l.raw.SetReadDeadline(time.Now().Add(time.Second))
		<-l.upDone
	}
	l.close(false)
}

// reset closes with an RST and tells the cloud's end.
func (l *line) reset() {
	l.close(true)
	l.near.reset()
}

func (l *line) close(rst bool) {
	l.once.Do(func() {
		close(l.done)
		l.weather.mu.Lock()
		delete(l.weather.lines, l)
		l.weather.mu.Unlock()
		if rst {
			hardClose(l.raw)
		} else {
			_ = l.raw.Close()
		}
	})
}

// hardClose closes with an RST.
func hardClose(c net.Conn) {
	switch c := c.(type) {
	case *net.TCPConn:
		_ = c.SetLinger(0)
	case *memoryConn:
		c.reset()
		return
	}
	_ = c.Close()
}
