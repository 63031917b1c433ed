package endpoint

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// dataPlane hands a request to the data plane if it is signed.
func (e *Endpoint) dataPlane(w http.ResponseWriter, r *http.Request) {
	if e.o.Home.Data == nil {
		e.refuseData(w, http.StatusNotFound, "ResourceNotFoundException", "There is no data plane here", reasonPath)
		return
	}
	body, _, err := e.body(w, r, MaxRequest)
	switch {
	case errors.Is(err, errTooLarge):
		e.refuseData(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException",
			fmt.Sprintf("The body is larger than %d bytes", MaxRequest), reasonTooLarge)
		return
	case err != nil:
		e.refuseData(w, http.StatusBadRequest, "InvalidRequestException", "The body of the request did not come", reasonBody)
		return
	}
	var wrong *unsigned
	if err := e.verifier.verify(r, body); errors.As(err, &wrong) {
		e.refuseData(w, http.StatusForbidden, wrong.Type, wrong.Message, reasonSignature)
		return
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	// The data plane serves all clients, and must not wait for one that does not
	// take its answers.
	control := http.NewResponseController(w)
	if err := control.SetWriteDeadline(time.Now().Add(e.patience)); err != nil {
		return // the connection is closed
	}
	defer control.SetWriteDeadline(time.Time{})
	e.o.Home.Data(w, r)
}

// refuseData answers as the data plane does.
func (e *Endpoint) refuseData(w http.ResponseWriter, status int, kind, message, reason string) {
	e.refusals.refuse(reason, "refused a request of the function to the data plane", "status", status, "type", kind, "err", message)
	id := requestID()
	body, err := json.Marshal(struct {
		Message string `json:"message"`
		TraceID string `json:"traceId"`
	}{message, id})
	if err != nil {
		panic(err) // strings always have a JSON form
	}
	w.Header().Set("X-Amzn-Errortype", kind)
	w.Header().Set("X-Amzn-Requestid", id)
	write(w, status, body)
}

// requestID returns a random UUID (RFC 9562, version 4).
func requestID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
