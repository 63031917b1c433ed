package dataplane

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"greengate/core/message"
)

// Shadows are the shadows as one source may use them. An error that is no
// *Error is a fault of ours.
type Shadows interface {
	// Get returns the whole document. The name is "" for the classic shadow.
	Get(ctx context.Context, from message.Endpoint, thing, name string) ([]byte, error)
	// Update applies a request and returns the accepted document when it is on disk.
	Update(ctx context.Context, from message.Endpoint, thing, name string, request []byte) ([]byte, error)
	// Delete returns the accepted document when the deletion is on disk.
	Delete(ctx context.Context, from message.Endpoint, thing, name string) ([]byte, error)
	// List returns a page of the names of named shadows, as a JSON document. A
	// size of 0 is the service's own choice; token is that of the page before.
	List(ctx context.Context, from message.Endpoint, thing string, size int, token string) ([]byte, error)
}

// Retained are the retained messages as one source may read them.
type Retained interface {
	// List returns, in the order of their topics, up to n of those messages
	// after that topic which from may read.
	List(from message.Endpoint, after string, n int) []Kept
	// Get hands the message of a topic to use. Unless that fails it counts as
	// delivered. The error is that of use, or an *Error: Forbidden, or NotFound.
	Get(from message.Endpoint, topic string, use func(Kept) error) error
}

// Kept is one retained message. It must not be changed.
type Kept struct {
	*message.Message
	Stored time.Time // zero: not known
}

// Options are what a Handler is made of. All fields but Limits and Note are
// needed.
type Options struct {
	// Publish sends m through the gate, from that source. allowed tells whether
	// a row led anywhere. With QoS 1 it returns when the message is safe. An
	// error that is no *Error is a fault of ours. m is not used again.
	Publish  func(ctx context.Context, from message.Endpoint, m *message.Message) (allowed bool, err error)
	Shadows  Shadows
	Retained Retained
	// Note is told the reason of each refusal that is ours and not that of the
	// gate or of the shadow service: a word of a fixed list.
	Note   func(reason string)
	Limits Limits // what is zero: as in DefaultLimits
	Log    *slog.Logger
}

// Limits bound what clients can ask for.
type Limits struct {
	Publish int           // bytes of a payload (AWS: 128 KiB)
	Shadow  int           // bytes of a request to the shadow service, which has bounds of its own below
	Rate    int           // requests of one source in a second (AWS: 100 publishes of a connection), and as many at once after a pause
	AtOnce  int           // requests of one source at work
	InAll   int           // requests of all sources at work
	Answers int           // bytes of answers to all sources that are on their way; a quarter of them to one
	Wait    time.Duration // for a publish or a change to be on disk
}

// DefaultLimits are AWS's where it has any.
func DefaultLimits() Limits {
	return Limits{Publish: 128 << 10, Shadow: 128 << 10, Rate: 100, AtOnce: 32, InAll: 128, Answers: 16 << 20, Wait: 10 * time.Second}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	or := func(n *int, m int) {
		if *n == 0 {
			*n = m
		}
	}
	or(&l.Publish, d.Publish)
	or(&l.Shadow, d.Shadow)
	or(&l.Rate, d.Rate)
	or(&l.AtOnce, d.AtOnce)
	or(&l.InAll, d.InAll)
	or(&l.Answers, d.Answers)
	if l.Wait == 0 {
		l.Wait = d.Wait
	}
	return l
}

// Handler answers the requests of the API.
type Handler struct {
	o       Options
	log     *slog.Logger
	clients *clients
	tally   *tally
}

// New returns a Handler. An error names what is missing.
func New(o Options) (*Handler, error) {
	if o.Publish == nil || o.Shadows == nil || o.Retained == nil || o.Log == nil {
		return nil, errors.New("the data plane needs Publish, Shadows, Retained and Log")
	}
	if o.Note == nil {
		o.Note = func(string) {}
	}
	o.Limits = o.Limits.withDefaults()
	log := o.Log.With("component", "dataplane")
	return &Handler{o: o, log: log, clients: newClients(o.Limits, time.Now), tally: newTally(log, time.Now)}, nil
}

// call is one request. It belongs to the goroutine that serves it.
type call struct {
	h    *Handler
	w    http.ResponseWriter
	r    *http.Request
	from message.Endpoint
	id   string // of the request, in every answer
	arg  string // what the path names: a topic or a thing; "" when it names nothing

	place *place // nil before it has one
}

// sender is a ResponseWriter that keeps the answer until all of it can go. It calls f
// when it has gone, or can go no more.
type sender interface{ WhenSent(f func()) }

// Serve answers one request of from, whom the listener has recognised.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, from message.Endpoint) {
	c := &call{h: h, w: w, r: r, from: from}
	c.identify()
	op, arg, err := find(r.Method, r.URL.EscapedPath())
	c.arg = arg
	err = h.admit(c, op, err)
	h.tally.answered(op.name, err)
	if err != nil {
		c.fail(err)
	}
}

// admit serves c if its source has not asked for too much; what is wrong with
// the request counts there, too.
func (h *Handler) admit(c *call, op *operation, wrong error) error {
	place, err := h.clients.enter(c.from, op.cost)
	if err != nil {
		return err
	}
	c.place = place
	if w, ok := c.w.(sender); ok {
		w.WhenSent(place.leave) // until then the answer is in our memory
	} else {
		defer place.leave()
	}
	if wrong != nil {
		return wrong
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), h.o.Limits.Wait)
	defer cancel()
	err = op.serve(c, ctx)
	if err != nil && ctx.Err() != nil && !isAnswer(err) {
		return &Error{Status: http.StatusServiceUnavailable, Type: "ServiceUnavailableException",
			Message: "it took too long; what was asked for may still take place", reason: reasonSlow}
	}
	return err
}
