package router

import "sync/atomic"

// Receipt tells a publisher when its message is safe: complete when every
// durable target has it on disk.
type Receipt struct {
	// open counts the targets that hold it, and the port while it hands the
	// message to them: so it is not complete before the last of them has it.
	open atomic.Int32
	then atomic.Pointer[func()]
}

// Done gives the receipt of one target. It may be called from any goroutine,
// once for each Hold.
func (r *Receipt) Done() {
	if r.open.Add(-1) == 0 {
		r.fire()
	}
}

// Complete tells whether nobody holds the receipt any more. Once that is so it
// stays so.
func (r *Receipt) Complete() bool { return r.open.Load() == 0 }

// Then has f called once, when the receipt is complete: at once if it is, or
// from the goroutine that completes it.
func (r *Receipt) Then(f func()) {
	r.then.Store(&f)
	if r.Complete() {
		r.fire()
	}
}

func (r *Receipt) fire() {
	if f := r.then.Swap(nil); f != nil {
		(*f)()
	}
}
