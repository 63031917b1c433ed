package endpoint

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"greengate/core/message"
)

// Headers of the local calls of Greengrass V1.
const (
	invocationHeader = "X-Amz-Invocationid"
	contextHeader    = "X-Amz-Client-Context"
	kindHeader       = "X-Amz-Invocation-Type"
	ipcErrorHeader   = "X-Amz-Function-Error"
)

// localCall serves what stands below /2016-11-01/functions/: ARN is posted work
// to and asked for its result; ARN/work is the next call of the instance, and
// takes its answer; ARN/initialized is told how the instance started.
func (e *Endpoint) localCall(w http.ResponseWriter, r *http.Request, path string) {
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(e.keys.token)) != 1 {
		e.refuse(w, r, fault{http.StatusForbidden, "InvalidToken", "The Authorization header is not AWS_CONTAINER_AUTHORIZATION_TOKEN", reasonToken})
		return
	}
	arn, what, _ := strings.Cut(path, "/")
	switch r.Method + " " + what {
	case "POST ":
		e.postWork(w, r, arn)
	case "GET ":
		e.workResult(w, r)
	case "GET work":
		e.nextWork(w, r)
	case "POST work":
		e.answer(w, r, r.Header.Get(invocationHeader), e.workDone)
	case "PUT initialized":
		e.initialized(w, r)
	default:
		e.refuse(w, r, fault{http.StatusNotFound, "NotFound", "There is nothing at this path", reasonPath})
	}
}

// job is work that the function posts.
type job struct {
	arn     string
	subject string // the topic of a message or of a request to a shadow
	policy  string // AllOrError: tell when it cannot be published
	payload []byte
	async   bool
}

// result is what became of a job.
type result struct {
	payload       []byte
	functionError string // "" or Handled or Unhandled
}

// postWork does a job. The client asks for its result with the id that it gets.
func (e *Endpoint) postWork(w http.ResponseWriter, r *http.Request, arn string) {
	j, wrong := e.readJob(w, r, arn)
	if wrong != nil {
		e.refuse(w, r, *wrong)
		return
	}
	var out result
	switch {
	case arn == routerARN:
		wrong = e.publish(r, j)
	case arn == shadowARN:
		out, wrong = e.shadow(r, j)
	case strings.HasPrefix(arn, secretsARN):
		out.payload = []byte(`{"Status":404,"Message":"there are no secrets on this core"}`)
	default:
		out, wrong = e.invoke(r, j)
	}
	if wrong != nil {
		e.refuse(w, r, *wrong)
		return
	}
	id := requestID()
	if !j.async && e.work.keep(id, out) {
		e.refusals.refuse(reasonResults, "forgot the result of a local call that the function did not ask for")
	}
	w.Header().Set(invocationHeader, id)
	write(w, http.StatusOK, nil)
}

func (e *Endpoint) readJob(w http.ResponseWriter, r *http.Request, arn string) (j job, wrong *fault) {
	j = job{arn: arn, async: r.Header.Get(kindHeader) == "Event"}
	if text := r.Header.Get(contextHeader); text != "" {
		var context struct {
			Custom struct {
				Subject string `json:"subject"`
				Policy  string `json:"queueFullPolicy"`
			} `json:"custom"`
		}
		plain, err := base64.StdEncoding.DecodeString(text)
		if err == nil {
			err = json.Unmarshal(plain, &context)
		}
		if err != nil {
			return j, &fault{http.StatusBadRequest, "InvalidClientContext", "The client context is not the base64 of a JSON object", reasonInvalid}
		}
		j.subject, j.policy = context.Custom.Subject, context.Custom.Policy
	}
	body, _, err := e.body(w, r, MaxRequest)
	switch {
	case errors.Is(err, errTooLarge):
		return j, tooLarge(MaxRequest)
	case err != nil:
		return j, truncated()
	}
	j.payload = body
	return j, nil
}

// absent is what is not wired.
func absent(what string) *fault {
	return &fault{http.StatusNotFound, "NotFound", "There is no " + what + " here", reasonPath}
}

// publish is greengrasssdk's. Greengrass V1 does not tell that a message was
// lost unless it was asked to.
func (e *Endpoint) publish(r *http.Request, j job) *fault {
	if e.o.Home.Publish == nil {
		return absent("router")
	}
	if err := message.CheckTopic(j.subject); err != nil {
		return &fault{http.StatusBadRequest, "InvalidTopic", err.Error(), reasonInvalid}
	}
	err := e.o.Home.Publish(r.Context(), j.subject, j.payload)
	switch {
	case err == nil:
	case j.policy == "AllOrError":
		return &fault{http.StatusServiceUnavailable, "PublishError", err.Error(), reasonUnpublished}
	default:
		e.refusals.refuse(reasonUnpublished, "lost a message of greengrasssdk's publish", "topic", j.subject, "err", err)
	}
	return nil
}

// shadow is a request to the shadow service. A rejection is a good result.
func (e *Endpoint) shadow(r *http.Request, j job) (result, *fault) {
	if e.o.Home.Shadow == nil {
		return result{}, absent("shadow service")
	}
	rest, ok1 := strings.CutPrefix(j.subject, "$aws/things/")
	thing, op, ok2 := strings.Cut(rest, "/shadow/")
	known := op == "get" || op == "update" || op == "delete"
	if !ok1 || !ok2 || !known || message.CheckThing(thing) != nil {
		return result{}, &fault{http.StatusBadRequest, "InvalidTopic", fmt.Sprintf("%q is no topic of the shadow service", j.subject), reasonInvalid}
	}
	payload, err := e.o.Home.Shadow(r.Context(), op, thing, j.payload)
	var rejected *ShadowError
	switch {
	case errors.As(err, &rejected):
		payload, err = json.Marshal(map[string]any{"code": rejected.Code, "message": rejected.Message})
		if err != nil {
			panic(err) // a number and a string always have a JSON form
		}
	case err != nil:
		wrong := e.internal("use a shadow", err)
		return result{}, &wrong
	}
	return result{payload: payload}, nil
}

// invoke calls another function by its ARN.
func (e *Endpoint) invoke(r *http.Request, j job) (result, *fault) {
	if e.o.Home.Invoke == nil {
		return result{}, absent("other function")
	}
	// arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]
	parts := strings.Split(j.arn, ":")
	if len(parts) < 7 || parts[5] != "function" || message.CheckThing(parts[6]) != nil {
		return result{}, &fault{http.StatusBadRequest, "InvalidArn", fmt.Sprintf("%q is no ARN of a function", j.arn), reasonInvalid}
	}
	payload, err := e.o.Home.Invoke(r.Context(), parts[6], j.payload, j.async)
	var wrong *FunctionError
	switch {
	case errors.As(err, &wrong) && j.async: // nobody asks for its result
		return result{}, &fault{http.StatusForbidden, "InvokeError", err.Error(), reasonUninvoked}
	case errors.As(err, &wrong) && wrong.Unhandled:
		return result{payload: wrong.Payload, functionError: "Unhandled"}, nil
	case errors.As(err, &wrong):
		return result{payload: wrong.Payload, functionError: "Handled"}, nil
	case err != nil:
		return result{}, &fault{http.StatusBadRequest, "InvokeError", err.Error(), reasonUninvoked}
	}
	return result{payload: payload}, nil
}

// workResult gives the result of a job, once.
func (e *Endpoint) workResult(w http.ResponseWriter, r *http.Request) {
	out, ok := e.work.take(r.Header.Get(invocationHeader))
	if !ok {
		e.refuse(w, r, unknownCall())
		return
	}
	// greengrasssdk takes a header that is missing for an error.
	w.Header().Set(ipcErrorHeader, out.functionError)
	write(w, http.StatusOK, out.payload)
}

// nextWork gives the client its next call.
func (e *Endpoint) nextWork(w http.ResponseWriter, r *http.Request) {
	call := e.wait(w, r)
	if call == nil {
		return
	}
	w.Header().Set(invocationHeader, call.ID)
	if call.Subject != "" {
		w.Header().Set(contextHeader, base64.StdEncoding.EncodeToString([]byte(clientContext(call.Subject))))
	}
	write(w, http.StatusOK, call.Payload)
}

// workDone is the end of a call.
func (e *Endpoint) workDone(w http.ResponseWriter, r *http.Request, id string) {
	if r.Header.Get(ipcErrorHeader) != "" {
		e.invocationError(w, r, id)
		return
	}
	e.response(w, r, id)
}

// initialized is told how the instance started.
func (e *Endpoint) initialized(w http.ResponseWriter, r *http.Request) {
	body, _, err := e.body(w, r, MaxRequest)
	var told struct {
		Success  bool
		Response string
	}
	if err == nil {
		err = json.Unmarshal(body, &told)
	}
	to := ready
	if !told.Success {
		to = failed
	}
	switch first, ok := e.calls.enter(to); {
	case err != nil:
		e.refuse(w, r, fault{http.StatusBadRequest, "InvalidBody", "The body must be {\"Success\": bool, \"Response\": string}", reasonInvalid})
		return
	case !ok:
		e.refuse(w, r, e.wrongState("Initialized"))
		return
	case first && told.Success:
		e.o.Calls.Ready()
	case first:
		e.o.Calls.InitFailed(Failure{Type: "Runtime.InitError", Message: told.Response, Raw: body})
	}
	write(w, http.StatusOK, nil)
}
