package endpoint

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Headers of the Runtime API.
const (
	errorTypeHeader    = "Lambda-Runtime-Function-Error-Type"
	errorBodyTrailer   = "Lambda-Runtime-Function-Error-Body"
	responseModeHeader = "Lambda-Runtime-Function-Response-Mode"
)

// runtimeAPI serves what stands below /2018-06-01/runtime/.
func (e *Endpoint) runtimeAPI(w http.ResponseWriter, r *http.Request, path string) {
	method, serve := "", func() {}
	if path == "invocation/next" {
		method, serve = http.MethodGet, func() { e.next(w, r) }
	} else if path == "init/error" {
		method, serve = http.MethodPost, func() { e.initError(w, r) }
	} else if id, ok := callPath(path, "/response"); ok {
		method, serve = http.MethodPost, func() { e.answer(w, r, id, e.response) }
	} else if id, ok := callPath(path, "/error"); ok {
		method, serve = http.MethodPost, func() { e.answer(w, r, id, e.invocationError) }
	}
	switch {
	case method == "":
		e.refuse(w, r, fault{http.StatusNotFound, "NotFound", "There is nothing at this path", reasonPath})
	case method != r.Method:
		w.Header().Set("Allow", method)
		e.refuse(w, r, fault{http.StatusMethodNotAllowed, "MethodNotAllowed", "Use " + method, reasonPath})
	default:
		serve()
	}
}

// callPath takes the id of a call from invocation/ID/what.
func callPath(path, what string) (id string, ok bool) {
	id, ok = strings.CutPrefix(path, "invocation/")
	if ok {
		id, ok = strings.CutSuffix(id, what)
	}
	return id, ok && id != "" && !strings.Contains(id, "/")
}

// next gives the client its next call.
func (e *Endpoint) next(w http.ResponseWriter, r *http.Request) {
	call := e.wait(w, r)
	if call == nil {
		return
	}
	h := w.Header()
	h["Lambda-Runtime-Aws-Request-Id"] = []string{call.ID}
	h["Lambda-Runtime-Deadline-Ms"] = []string{strconv.FormatInt(call.Deadline.UnixMilli(), 10)}
	h["Lambda-Runtime-Invoked-Function-Arn"] = []string{e.callARN(call)}
	if call.Subject != "" {
		h["Lambda-Runtime-Client-Context"] = []string{clientContext(call.Subject)}
	}
	if call.Trace != "" {
		h["Lambda-Runtime-Trace-Id"] = []string{call.Trace}
	}
	h["Content-Type"] = []string{e.contentType()}
	h["Content-Length"] = []string{strconv.Itoa(len(call.Payload))}
	_, _ = w.Write(call.Payload) // a client that has gone is missed by its deadline
}

// wait waits for the next call; nil when there is none, and the request is
// answered then, or its client gone.
func (e *Endpoint) wait(w http.ResponseWriter, r *http.Request) *Invocation {
	first, ok := e.calls.enter(ready)
	if !ok {
		e.refuse(w, r, e.wrongState("Ready"))
		return nil
	}
	if first {
		e.o.Calls.Ready()
	}
	call, err := e.o.Calls.Next(r.Context())
	switch {
	case err == nil:
		e.calls.hand(call.ID)
		return call
	case r.Context().Err() != nil:
	case errors.Is(err, ErrBusy):
		e.refuse(w, r, e.wrongState("Ready"))
	case errors.Is(err, ErrClosed):
		// As in AWS: the client waits until it is ended. Any answer would make it
		// complain of one that is no call.
		<-r.Context().Done()
	default:
		e.refuse(w, r, e.internal("take a call", err))
	}
	return nil
}

func (e *Endpoint) contentType() string {
	if e.o.Encoding == "binary" {
		return "application/octet-stream"
	}
	return "application/json"
}

func (e *Endpoint) callARN(call *Invocation) string {
	if call.Function == "" || call.Function == e.o.Function {
		return e.arn
	}
	return arnPrefix(e.o.Region, e.o.Account) + call.Function
}

// clientContext is the context of a call from a topic. Greengrass V1 says custom
// in Python and Custom in Node.js; it is all ASCII, since it travels in a header.
func clientContext(subject string) string {
	text, err := json.Marshal(subject)
	if err != nil {
		panic(err) // a string always has a JSON form
	}
	s := asciiJSON(string(text))
	return `{"custom":{"subject":` + s + `},"Custom":{"subject":` + s + `}}`
}

// asciiJSON escapes what is not ASCII in a JSON text.
func asciiJSON(text string) string {
	ascii := true
	for i := 0; i < len(text); i++ {
		ascii = ascii && text[i] < 0x80 && text[i] != 0x7F
	}
	if ascii {
		return text
	}
	var b strings.Builder
	for _, c := range text {
		switch {
		case c < 0x7F:
			b.WriteRune(c)
		case c < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			c -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xD800+c>>10, 0xDC00+c&0x3FF)
		}
	}
	return b.String()
}

// answer reads the end of a call with what: once for each call that was handed
// out.
func (e *Endpoint) answer(w http.ResponseWriter, r *http.Request, id string, what func(http.ResponseWriter, *http.Request, string)) {
	if !e.calls.take(id) {
		e.refuse(w, r, unknownCall())
		return
	}
	what(w, r, id)
}

// response is the answer of the function.
func (e *Endpoint) response(w http.ResponseWriter, r *http.Request, id string) {
	switch mode := r.Header.Get(responseModeHeader); mode {
	case "", "streaming":
	default:
		wrong := fault{http.StatusBadRequest, "InvalidFunctionResponseMode", "Invalid function response mode", reasonInvalid}
		e.settle(w, r, e.o.Calls.Fail(id, Failure{Type: "Runtime.InvalidResponseModeHeader", Message: wrong.Message}), &wrong)
		return
	}
	body, length, err := e.body(w, r, MaxPayload)
	switch {
	case errors.Is(err, errTooLarge):
		f := Failure{Type: "Function.ResponseSizeTooLarge",
			Message: fmt.Sprintf("Response payload size (%d bytes) exceeded maximum allowed payload size (%d bytes).", length, MaxPayload)}
		e.settle(w, r, e.o.Calls.Fail(id, f), tooLarge(MaxPayload))
	case err != nil:
		f := Failure{Type: "Runtime.TruncatedResponse", Message: "the response did not come to its end: " + err.Error()}
		e.settle(w, r, e.o.Calls.Fail(id, f), truncated())
	case r.Trailer.Get(errorTypeHeader) != "":
		// A streaming function that went wrong in the middle of its answer.
		document, _ := base64.StdEncoding.DecodeString(r.Trailer.Get(errorBodyTrailer))
		e.settle(w, r, e.o.Calls.Fail(id, newFailure(r.Trailer.Get(errorTypeHeader), document)), nil)
	default:
		told := false
		err := e.o.Calls.Respond(id, body, func() {
			told = true
			write(w, http.StatusAccepted, accepted)
		})
		if !told {
			e.settle(w, r, err, nil)
		}
	}
}

// invocationError is the failure of the function's handler.
func (e *Endpoint) invocationError(w http.ResponseWriter, r *http.Request, id string) {
	f, wrong := e.failure(w, r)
	e.settle(w, r, e.o.Calls.Fail(id, f), wrong)
}

// initError is the failure of the function before its first call.
func (e *Endpoint) initError(w http.ResponseWriter, r *http.Request) {
	if first, _ := e.calls.enter(failed); !first {
		e.refuse(w, r, e.wrongState("InitError"))
		return
	}
	f, wrong := e.failure(w, r)
	e.o.Calls.InitFailed(f)
	e.settle(w, r, nil, wrong)
}

// failure reads the document of an error. One that cannot be had is a failure,
// too, and wrong what the client is told.
func (e *Endpoint) failure(w http.ResponseWriter, r *http.Request) (f Failure, wrong *fault) {
	body, _, err := e.body(w, r, MaxPayload)
	switch {
	case errors.Is(err, errTooLarge):
		wrong = tooLarge(MaxPayload)
	case err != nil:
		wrong = truncated()
	}
	f = newFailure(r.Header.Get(errorTypeHeader), body)
	if wrong != nil && f.Message == "" {
		f.Message = "the document of the error did not come: " + err.Error()
	}
	return f, wrong
}

// settle answers a client after Calls was told, with err: with wrong, if it is
// not nil.
func (e *Endpoint) settle(w http.ResponseWriter, r *http.Request, err error, wrong *fault) {
	switch {
	case errors.Is(err, ErrUnknown):
		e.refuse(w, r, unknownCall())
		return
	case errors.Is(err, ErrLate):
		e.refusals.refuse(reasonLate, "a function answered after its time")
	case err != nil:
		e.refuse(w, r, e.internal("end a call", err))
		return
	}
	if wrong != nil {
		e.refuse(w, r, *wrong)
		return
	}
	write(w, http.StatusAccepted, accepted)
}
