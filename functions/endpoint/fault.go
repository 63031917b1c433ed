package endpoint

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

var accepted = []byte(`{"status":"OK"}` + "\n")

// fault is an answer of the Runtime API that is none of success.
type fault struct {
	status        int
	Type, Message string
	reason        string
}

func unknownCall() fault {
	return fault{http.StatusBadRequest, "InvalidRequestID", "Invalid request ID", reasonRequestID}
}

func tooLarge(limit int) *fault {
	return &fault{http.StatusRequestEntityTooLarge, "RequestEntityTooLarge",
		fmt.Sprintf("Exceeded maximum allowed payload size (%d bytes).", limit), reasonTooLarge}
}

func truncated() *fault {
	return &fault{http.StatusBadRequest, "TruncatedHTTPRequest", "HTTP request detected as truncated", reasonBody}
}

func (e *Endpoint) wrongState(to string) fault {
	return fault{http.StatusForbidden, "InvalidStateTransition",
		fmt.Sprintf("Transition from %s to %s is not allowed", e.calls.stageName(), to), reasonState}
}

func (e *Endpoint) internal(what string, err error) fault {
	e.o.Log.Error("cannot "+what+" of a function", "component", "function", "function", e.o.Function, "err", err)
	return fault{http.StatusInternalServerError, "InternalServerError", "Internal Server Error", reasonFault}
}

// refuse answers with f, which is counted and told.
func (e *Endpoint) refuse(w http.ResponseWriter, r *http.Request, f fault) {
	e.pace(r.Context())
	if f.reason != reasonFault { // that has been told
		e.refusals.refuse(f.reason, "refused a request of the function's runtime", "status", f.status, "err", f.Message)
	} else {
		e.o.Note(f.reason)
	}
	body, err := json.Marshal(struct {
		Message string `json:"errorMessage"`
		Type    string `json:"errorType"`
	}{f.Message, f.Type})
	if err != nil {
		panic(err) // strings always have a JSON form
	}
	write(w, f.status, append(body, '\n'))
}

func write(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body) // who has gone needs no answer
}
