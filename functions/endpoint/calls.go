package endpoint

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// What Calls may answer. Anything else is a fault of ours, and 500 to the client.
var (
	// ErrClosed ends an instance: there is no next call.
	ErrClosed = errors.New("the instance is to end")
	// ErrUnknown is for the id of no call, or of one that has been answered.
	ErrUnknown = errors.New("there is no such call")
	// ErrLate is for the answer of a call whose time is over. The client is not
	// told: it can do nothing about it.
	ErrLate = errors.New("the time of the call is over")
	// ErrBusy is for a client that asks for its next call before it has answered
	// the last.
	ErrBusy = errors.New("the last call is not answered")
)

// Invocation is one call of the function. It must not be changed.
type Invocation struct {
	ID       string    // AWS's request id
	Payload  []byte    // the event
	Deadline time.Time // when its time is over
	Function string    // name; "": that of the Options
	Subject  string    // the topic that it came on; "": none
	Trace    string    // X-Ray's trace header; "": none
}

// Failure is how a call, or the start of an instance, went wrong.
type Failure struct {
	Type    string   // such as Runtime.ImportModuleError; never empty, at most 16 KiB, as the others
	Message string   // may be empty
	Trace   []string // at most 100 lines; may be empty
	Raw     []byte   // the document of the client as it came, at most MaxPayload; JSON if the client keeps to the API
}

// Calls is what an instance works off. It is called from several goroutines.
type Calls interface {
	// Next waits for a call. The context ends when the client goes or the
	// endpoint closes. Errors: ErrClosed, after which the client is left waiting
	// until its process is ended, and ErrBusy.
	Next(ctx context.Context) (*Invocation, error)
	// Respond is the answer to a call; body is at most MaxPayload long, and
	// Calls' own from then on. It calls taken, which tells the client, when the
	// answer counts and before it goes on its way. Errors, without that: ErrUnknown,
	// ErrLate.
	Respond(id string, body []byte, taken func()) error
	// Fail is a call that went wrong. Errors: ErrUnknown, ErrLate.
	Fail(id string, f Failure) error
	// InitFailed is told at most once, and never after Ready.
	InitFailed(f Failure)
	// Ready is told once, before the first Next: when the client asks for a call,
	// or says that it is initialized.
	Ready()
}

// Home is what a function can reach, under its own identity. What is nil is not
// there, and the function is told so.
type Home struct {
	// Data serves a request of the AWS IoT data plane whose signature was good.
	Data func(w http.ResponseWriter, r *http.Request)
	// Publish sends a message through the gate: greengrasssdk's publish. What no
	// row allows is no error: Greengrass V1 drops it, and the gate has counted it.
	Publish func(ctx context.Context, topic string, payload []byte) error
	// Shadow does get, update or delete with the classic shadow of a thing and
	// returns the document. A rejection is a *ShadowError.
	Shadow func(ctx context.Context, op, thing string, payload []byte) ([]byte, error)
	// Invoke calls another function; async returns when it is queued.
	// A *FunctionError is what the other function made of it.
	Invoke func(ctx context.Context, function string, payload []byte, async bool) ([]byte, error)
}

// ShadowError is a rejection of the shadow service.
type ShadowError struct {
	Code    int // as in the rejected document: 404, 409, ...
	Message string
}

// Error returns the message.
func (e *ShadowError) Error() string { return e.Message }

// FunctionError is the failure of a function that was invoked by another.
type FunctionError struct {
	Unhandled bool   // it ran out of time or memory, or ended; else its handler failed
	Payload   []byte // the document of the error, JSON
}

// Error returns the document.
func (e *FunctionError) Error() string { return string(e.Payload) }
