package endpoint

import "sync"

// desk is the life of the instance and which calls are at work. Safe for
// concurrent use.
type desk struct {
	mu    sync.Mutex
	stage stage
	out   map[string]bool // ids that Next has given, and nobody has begun to answer
}

type stage uint8

const (
	starting stage = iota
	ready          // has asked for its first call
	failed         // has told that it cannot start
)

func newDesk() *desk { return &desk{out: map[string]bool{}} }

// enter goes to a stage from that of starting. first tells whether it was the
// step itself; ok whether the stage is to.
func (d *desk) enter(to stage) (first, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stage == starting {
		d.stage = to
		return true, true
	}
	return false, d.stage == to
}

func (d *desk) stageName() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return [...]string{"Started", "Ready", "InitError"}[d.stage] // AWS's names
}

// hand notes a call that the client gets. It may be one that it had before.
func (d *desk) hand(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.out[id] = true
}

// take begins the answer to a call, so that no call has two, and what cannot be
// an answer need not be read.
func (d *desk) take(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.out[id]
	delete(d.out, id)
	return known
}
