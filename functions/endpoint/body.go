package endpoint

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// What can be wrong with a body.
var (
	errTooLarge = errors.New("the body is too large")
	errBody     = errors.New("the body did not come")
)

// drained is how much of a body that is too large is read all the same: a client
// that cannot send it all would not see the answer.
const drained = 4 * MaxPayload

// body reads a body of at most limit bytes. Errors are errTooLarge, with how
// long the body is, and errBody.
func (e *Endpoint) body(w http.ResponseWriter, r *http.Request, limit int) (body []byte, length int64, err error) {
	if r.ContentLength == 0 {
		return nil, 0, nil
	}
	// net/http takes the deadline away when it has seen the end of the body.
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(e.patience)); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errBody, err)
	}
	return readBody(r, limit)
}

func readBody(r *http.Request, limit int) (body []byte, length int64, err error) {
	if length = r.ContentLength; 0 < length && length <= int64(limit) {
		body = make([]byte, length)
		_, err = io.ReadFull(r.Body, body)
	} else if length < 0 {
		body, err = io.ReadAll(io.LimitReader(r.Body, int64(limit)+1))
		length = int64(len(body))
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errBody, err)
	}
	if length > int64(limit) {
		rest, _ := io.CopyN(io.Discard, r.Body, drained) // whoever sends more has no answer
		if r.ContentLength < 0 {
			length += rest
		}
		return nil, length, errTooLarge
	}
	return body, length, nil
}
