package dataplane

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// The headers by which the SDKs of AWS know a request and an error.
const (
	requestIDHeader = "X-Amzn-Requestid"
	errorTypeHeader = "X-Amzn-Errortype"
)

// The names of errors that are made in several places (AWS, "AWS IoT Data
// Plane", the errors of each action).
const (
	typeInvalid   = "InvalidRequestException"
	typeForbidden = "ForbiddenException"
	typeNotFound  = "ResourceNotFoundException"
	typeThrottled = "ThrottlingException"
	typeTooLarge  = "RequestEntityTooLargeException"
	typeInternal  = "InternalFailureException"
)

// Reasons that Note is told.
const (
	reasonPath      = "rest-path"      // there is nothing there
	reasonMethod    = "rest-method"    // but not with that method
	reasonInvalid   = "rest-invalid"   // a parameter, header or body that cannot be
	reasonTooLarge  = "rest-too-large" // more bytes than allowed
	reasonThrottled = "rest-throttled" // more requests than allowed
	reasonBody      = "rest-body"      // the body did not come, or not in time
	reasonSlow      = "rest-slow"      // what was asked for took too long here
	reasonFault     = "rest-fault"     // our own
	reasonForbidden = "rest-forbidden" // no row lets the client read that retained message
)

// Error is an answer that is not 200.
type Error struct {
	Status  int    // of HTTP
	Type    string // AWS's name of the error
	Message string

	reason string   // why it is refused here; "": others have counted it
	allow  []string // the methods that there are, with 405
	closes bool     // the connection is of no use any more
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Forbidden is the answer to what no row allows. Who returns it has counted it.
func Forbidden() *Error {
	return &Error{Status: http.StatusForbidden, Type: typeForbidden, Message: "Forbidden"}
}

// Unreadable is the answer to a reader to whom no row leads.
func Unreadable() *Error {
	e := Forbidden()
	e.reason = reasonForbidden
	return e
}

// NotFound is the answer of what is not there.
func NotFound(message string) *Error {
	return &Error{Status: http.StatusNotFound, Type: typeNotFound, Message: message}
}

func invalid(format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Type: typeInvalid, Message: fmt.Sprintf(format, args...), reason: reasonInvalid}
}

func wrongMethod(allow []string) *Error {
	return &Error{Status: http.StatusMethodNotAllowed, Type: "MethodNotAllowedException",
		Message: "the method is not allowed here; use " + strings.Join(allow, " or "), allow: allow, reason: reasonMethod}
}

func tooLarge(limit int) *Error {
	return &Error{Status: http.StatusRequestEntityTooLarge, Type: typeTooLarge,
		Message: fmt.Sprintf("the payload is larger than %d bytes", limit), reason: reasonTooLarge, closes: true}
}

func isAnswer(err error) bool { return errors.As(err, new(*Error)) }

// identify gives the request an id, unless the listener has.
func (c *call) identify() {
	if c.id = c.w.Header().Get(requestIDHeader); c.id == "" {
		c.id = newID()
		c.w.Header().Set(requestIDHeader, c.id)
	}
}

// newID returns a random UUID (RFC 9562, version 4).
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// told is the body of an answer that says no more than a sentence.
type told struct {
	Message string `json:"message"`
	TraceID string `json:"traceId"`
}

// fail answers with err, and has it counted and told.
func (c *call) fail(err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Status: http.StatusInternalServerError, Type: typeInternal, Message: "Internal service failure", reason: reasonFault}
		c.h.log.Error("cannot answer a request", "from", c.from.String(), "request", c.id, "err", err)
	}
	if e.reason != "" {
		c.h.o.Note(e.reason)
		if e.reason != reasonFault {
			c.h.tally.refuse(c.from, e)
		}
	}
	header := c.w.Header()
	header.Set(errorTypeHeader, e.Type)
	if e.allow != nil {
		header.Set("Allow", strings.Join(e.allow, ", "))
	}
	if e.closes {
		header.Set("Connection", "close")
	}
	c.write(e.Status, told{e.Message, c.id})
}

// write answers with v, which must be a value that JSON can hold.
func (c *call) write(status int, v any) { c.send(status, encode(v)) }

func encode(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // a fault in our own types
	}
	return body
}

// show answers a request that has changed nothing, if there is room for such an answer.
func (c *call) show(body []byte) error {
	if err := c.place.hold(len(body)); err != nil {
		return err
	}
	c.send(http.StatusOK, body)
	return nil
}

func (c *call) send(status int, body []byte) {
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body) // who has gone needs no answer
}
