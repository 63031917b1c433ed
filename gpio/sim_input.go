package gpio

import (
	"sync"
	"time"
)

func (s *sim) input(name, pull string, want edgeSet) (input, error) {
	q := newEdgeQueue(want)
	l, err := s.claim(name, "greengate", func(l *simLine) { l.out, l.level, l.edges = false, pull == "up", q })
	if err != nil {
		return nil, err
	}
	return &simInput{l, q}, nil
}

// simInput is a line of the simulated board as an input.
type simInput struct {
	line  *simLine
	edges *edgeQueue
}

func (i *simInput) High() (bool, error) {
	i.line.mu.Lock()
	defer i.line.mu.Unlock()
	return i.line.high(), i.line.fault
}

func (i *simInput) Edges(into []edge, timeout time.Duration) (int, error) {
	i.line.mu.Lock()
	lost, fault := i.line.lost, i.line.fault
	i.line.mu.Unlock()
	if fault != nil {
		return 0, fault
	}
	n := i.edges.wait(into, timeout, lost)
	if n > 0 {
		return n, nil
	}
	_, fault = i.High()
	return 0, fault
}

func (i *simInput) Close() { i.line.Close() }

// edgeQueue is the edges of a line that nobody has fetched yet. As the kernel's
// it numbers them, and when it is full the oldest goes.
type edgeQueue struct {
	want edgeSet
	came chan struct{} // full when there may be edges

	mu    sync.Mutex
	list  []numbered
	last  uint32 // the number of the last that was put in
	taken uint32 // the number of the last that was fetched
}

type numbered struct {
	at     time.Time
	rising bool
	number uint32
}

func newEdgeQueue(want edgeSet) *edgeQueue {
	return &edgeQueue{want: want, came: make(chan struct{}, 1)}
}

// put adds an edge, unless it is none of those that are asked for.
func (q *edgeQueue) put(at time.Time, rising bool) {
	if !q.want.has(rising) {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.list) == queueSize {
		q.list = append(q.list[:0], q.list[1:]...)
	}
	q.last++
	q.list = append(q.list, numbered{at, rising, q.last})
	wake(q.came)
}

// wait fetches edges, and waits for the first of them, until the time is over or
// the line is lost.
func (q *edgeQueue) wait(into []edge, timeout time.Duration, lost <-chan struct{}) (n int) {
	t := time.NewTimer(timeout)
	defer t.Stop()
	for {
		if n := q.fetch(into); n > 0 {
			return n
		}
		select {
		case <-q.came: // or they came before, and have been fetched
		case <-t.C:
			return 0
		case <-lost:
			return 0
		}
	}
}

// fetch takes the oldest edges out.
func (q *edgeQueue) fetch(into []edge) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(into), len(q.list))
	for i, e := range q.list[:n] {
		into[i] = edge{e.at, e.rising, e.number - q.taken - 1}
		q.taken = e.number
	}
	q.list = append(q.list[:0], q.list[n:]...)
	return n
}
