package endpoint

import (
	"log/slog"
	"sync"
)

// Reasons that Note is told.
const (
	reasonStranger    = "function-stranger"    // a connection of a process that is not of the instance
	reasonConnections = "function-connections" // one connection too many
	reasonSignature   = "function-signature"   // a request to the data plane that is not signed, or wrongly
	reasonToken       = "function-token"       // a local call of Greengrass V1 without the instance's token
	reasonPath        = "function-path"        // there is nothing there, or not with that method
	reasonRequestID   = "function-request-id"  // the id of no call, or of an answered one
	reasonState       = "function-state"       // not now
	reasonInvalid     = "function-invalid"     // a header or body that cannot be
	reasonTooLarge    = "function-too-large"   // more bytes than allowed
	reasonBody        = "function-body"        // the body did not come, or not in time
	reasonLate        = "function-late"        // an answer after the deadline
	reasonUnpublished = "function-ipc-publish" // a message that greengrasssdk gave up for lost
	reasonUninvoked   = "function-ipc-invoke"  // a call of another function that could not be made
	reasonResults     = "function-ipc-results" // more results of local calls than are kept
	reasonPaced       = "function-paced"       // more requests than allowed; they had to wait
	reasonFault       = "function-door-fault"  // our own
)

// refusals counts what the endpoint refuses, by Note, and tells the log of the
// first of each reason: an instance that does it once mostly does it always.
// Safe for concurrent use.
type refusals struct {
	note func(reason string)
	log  *slog.Logger

	mu   sync.Mutex
	told map[string]bool // by reason
}

func newRefusals(note func(string), log *slog.Logger) *refusals {
	return &refusals{note: note, log: log, told: map[string]bool{}}
}

// refuse takes note of a refusal; what is a sentence for a person.
func (r *refusals) refuse(reason, what string, attrs ...any) {
	r.note(reason)
	r.mu.Lock()
	first := !r.told[reason]
	r.told[reason] = true
	r.mu.Unlock()
	if first {
		r.log.Warn(what+" (told once for an instance)", append([]any{"reason", reason}, attrs...)...)
	}
}
