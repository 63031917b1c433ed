package router

import "sync/atomic"

// Receipt tells a publisher when its message is safe: complete when every
// durable target has it on disk.
type Receipt struct {
	// open counts the targets that hold it, and the port while it hands the
	// message to them: so it is not complete before the last of them has it.
	open atomic.Int32
	then atomic.Pointer[func()]

	failed atomic.Bool
}

// Done gives the receipt of one target. It may be called from any goroutine,
// once for each Hold.
func (r *Receipt) Done() {
	if r.open.Add(-1) == 0 {
		r.fire()
	}
}

// Fail gives the receipt of a target that could not take the message and that
// nobody may believe to have it: the publish must not be acknowledged.
func (r *Receipt) Fail() {
	r.failed.Store(true)
	r.Done()
}

// Failed tells whether a target has failed; ask once the receipt is complete.
func (r *Receipt) Failed() bool { return r.failed.Load() }

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
