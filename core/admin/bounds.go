package admin

import (
	"io"
	"net/http"
	"os"
	"time"
)

// bounds are what those who may open the control socket may take of it. Answers have no
// time: a watch lasts as long as somebody reads it, and a function may work for minutes.
type bounds struct {
	most int // connections at a time
	kept int // of them, only for root and the user of the daemon, who must get in to mend things
	head time.Duration
	body time.Duration
	idle time.Duration // of a connection between two requests
}

var socketBounds = bounds{most: 64, kept: 16, head: 10 * time.Second, body: 30 * time.Second, idle: 30 * time.Second}

const mostSocketHeader = 64 << 10 // bytes

// timed has a request be read within its time. The time ends with the body, lest it cut
// off the answer: net/http goes on reading to see whether the client is still there.
func (s *Server) timed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin(r)
		if r.ContentLength != 0 {
			control := http.NewResponseController(w)
			if control.SetReadDeadline(time.Now().Add(s.bounds.body)) == nil {
				r.Body = &timedBody{ReadCloser: r.Body, control: control, late: func() { s.tally.count("slow-request") }}
			}
		}
		next.ServeHTTP(w, r)
	})
}

type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
	late    func()
	over    bool
}

// Read ends the time with the body.
func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil || b.over {
		return n, err
	}
	b.over = true
	if err == io.EOF {
		_ = b.control.SetReadDeadline(time.Time{})
	} else if os.IsTimeout(err) {
		b.late()
	}
	return n, err
}
