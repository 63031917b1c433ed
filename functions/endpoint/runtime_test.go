package endpoint_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"greengate/functions/endpoint"
)

const runtimePath = "/2018-06-01/runtime/"

// do sends a request to the Runtime API and returns the answer and its body.
func (h *house) do(t *testing.T, method, path string, body io.Reader, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+h.Address()+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

// hand has the endpoint hand out a call.
func (h *house) hand(t *testing.T, i endpoint.Invocation) (*http.Response, string) {
	t.Helper()
	go func() { h.calls.next <- &i }()
	return h.do(t, "GET", runtimePath+"invocation/next", nil)
}

// post answers a call and returns status and body.
func (h *house) post(t *testing.T, path string, body io.Reader, header ...string) string {
	t.Helper()
	answer, text := h.do(t, "POST", runtimePath+path, body, header...)
	if kind := answer.Header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("the answer is %q", kind)
	}
	return fmt.Sprint(answer.StatusCode, " ", strings.TrimSpace(text))
}

const accepted = `202 {"status":"OK"}`

func wantText(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %s, want %s", what, got, want)
	}
}

func TestNext(t *testing.T) {
	h := open(t, func(o *endpoint.Options) { o.Region, o.Account = "eu-west-1", "123456789012" })
	deadline := time.Now().Add(time.Minute)
	answer, event := h.hand(t, endpoint.Invocation{ID: "id-1", Payload: []byte(`{"a":1}`), Deadline: deadline, Subject: "ampel/rot/ä/\"😀", Trace: "Root=1-2-3"})
	wait(t, h.calls.ready, "Ready")
	wantText(t, "event", event, `{"a":1}`)
	for name, want := range map[string]string{
		"Lambda-Runtime-Aws-Request-Id":       "id-1",
		"Lambda-Runtime-Deadline-Ms":          strconv.FormatInt(deadline.UnixMilli(), 10),
		"Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:123456789012:function:car",
		"Lambda-Runtime-Client-Context": `{"custom":{"subject":"ampel/rot/\u00e4/\"\ud83d\ude00"},` +
			`"Custom":{"subject":"ampel/rot/\u00e4/\"\ud83d\ude00"}}`,
		"Lambda-Runtime-Trace-Id": "Root=1-2-3",
		"Content-Type":            "application/json",
	} {
		wantText(t, name, answer.Header.Get(name), want)
	}
	wantText(t, "response", h.post(t, "invocation/id-1/response", strings.NewReader(`"yes"`)), accepted)
	wantText(t, "answer", wait(t, h.calls.ends, "answer").body, `"yes"`)
	// A call that came by no topic has no context; an event may be empty.
	answer, event = h.hand(t, endpoint.Invocation{ID: "id-2", Deadline: deadline})
	if _, there := answer.Header["Lambda-Runtime-Client-Context"]; there || event != "" {
		t.Errorf("a call without a topic has the context %q and the event %q", answer.Header["Lambda-Runtime-Client-Context"], event)
	}
	// The body may come in chunks, and have no length.
	wantText(t, "chunked", h.post(t, "invocation/id-2/response", io.MultiReader(strings.NewReader("a"), strings.NewReader("b"))), accepted)
	wantText(t, "chunked answer", wait(t, h.calls.ends, "answer").body, "ab")
	if len(h.calls.ready) > 0 {
		t.Error("Ready was told twice")
	}
	h.noted(t)
}

func TestBinaryEvent(t *testing.T) {
	h := open(t, func(o *endpoint.Options) { o.Encoding = "binary" })
	answer, event := h.hand(t, endpoint.Invocation{ID: "b", Payload: []byte("\x00\xff")})
	if event != "\x00\xff" || answer.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("got %q, %v", event, answer.Header)
	}
	h.post(t, "invocation/b/response", nil)
	wantText(t, "empty answer", wait(t, h.calls.ends, "answer").body, "")
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name, header, document string
		want                   endpoint.Failure
	}{
		{"Go", "", `{"errorMessage":"no","errorType":"errorString","stackTrace":[{"path":"main.go","line":3,"label":"f"}]}`,
			endpoint.Failure{Type: "errorString", Message: "no", Trace: []string{"f (main.go:3)"}}},
		{"Python", "Unhandled", `{"errorMessage":"no","errorType":"KeyError","stackTrace":["  File \"a.py\"\n"]}`,
			endpoint.Failure{Type: "KeyError", Message: "no", Trace: []string{"  File \"a.py\"\n"}}},
		{"Node.js", "TypeError", `{"errorType":"TypeError","errorMessage":"no","trace":["TypeError: no"," at f"]}`,
			endpoint.Failure{Type: "TypeError", Message: "no", Trace: []string{"TypeError: no", " at f"}}},
		{"the header alone", "Runtime.Wrong", `{}`, endpoint.Failure{Type: "Runtime.Wrong"}},
		{"nothing", "", ``, endpoint.Failure{Type: "Runtime.Unknown", Message: `""`}},
		{"long", "", `{"errorType":"E","errorMessage":"` + strings.Repeat("ä", 20000) + `"}`,
			endpoint.Failure{Type: "E", Message: strings.Repeat("ä", 8190) + "..."}},
		{"no JSON", "Oops", `boom`, endpoint.Failure{Type: "Oops", Message: `"boom"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := open(t, nil)
			h.hand(t, endpoint.Invocation{ID: "x"})
			wantText(t, "error", h.post(t, "invocation/x/error", strings.NewReader(c.document), "Lambda-Runtime-Function-Error-Type", c.header), accepted)
			got := wait(t, h.calls.ends, "failure").failure
			if got == nil {
				t.Fatal("the call did not fail")
			}
			c.want.Raw = []byte(c.document)
			if fmt.Sprintf("%+v", *got) != fmt.Sprintf("%+v", c.want) {
				t.Errorf("got %.500v, want %.500v", *got, c.want)
			}
			h.noted(t)
		})
	}
}

func TestInitError(t *testing.T) {
	h := open(t, nil)
	document := `{"errorType":"Runtime.ImportModuleError","errorMessage":"no module x"}`
	wantText(t, "init/error", h.post(t, "init/error", strings.NewReader(document)), accepted)
	f := wait(t, h.calls.init, "init error")
	if f.Type != "Runtime.ImportModuleError" || f.Message != "no module x" || string(f.Raw) != document {
		t.Errorf("got %+v", f)
	}
	wantText(t, "second init/error", h.post(t, "init/error", nil),
		`403 {"errorMessage":"Transition from InitError to InitError is not allowed","errorType":"InvalidStateTransition"}`)
	if answer, _ := h.do(t, "GET", runtimePath+"invocation/next", nil); answer.StatusCode != 403 {
		t.Errorf("next after an init error: %s", answer.Status)
	}
	h.noted(t, "function-state", "function-state")
}

func TestInitErrorAfterNext(t *testing.T) {
	h := open(t, nil)
	h.hand(t, endpoint.Invocation{ID: "x"})
	wantText(t, "init/error", h.post(t, "init/error", nil),
		`403 {"errorMessage":"Transition from Ready to InitError is not allowed","errorType":"InvalidStateTransition"}`)
	if len(h.calls.init) > 0 {
		t.Error("the init error was told")
	}
}

func TestRequestIDs(t *testing.T) {
	const unknown = `400 {"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}`
	h := open(t, nil)
	wantText(t, "before any call", h.post(t, "invocation/x/response", strings.NewReader("1")), unknown)
	h.hand(t, endpoint.Invocation{ID: "x"})
	wantText(t, "another id", h.post(t, "invocation/y/error", strings.NewReader("{}")), unknown)
	wantText(t, "its id", h.post(t, "invocation/x/response", strings.NewReader("1")), accepted)
	wantText(t, "again", h.post(t, "invocation/x/response", strings.NewReader("2")), unknown)
	wantText(t, "an error after the answer", h.post(t, "invocation/x/error", strings.NewReader("{}")), unknown)
	if e := wait(t, h.calls.ends, "answer"); e.body != "1" || len(h.calls.ends) > 0 {
		t.Errorf("got %+v and %d more", e, len(h.calls.ends))
	}
	h.noted(t, "function-request-id", "function-request-id", "function-request-id", "function-request-id")
}

// What Calls says of an answer is what the client is told, but that it was late.
func TestCallsDecide(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{endpoint.ErrUnknown, `400 {"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}`},
		{endpoint.ErrLate, accepted},
		{errors.New("disk"), `500 {"errorMessage":"Internal Server Error","errorType":"InternalServerError"}`},
	} {
		h := open(t, nil)
		h.calls.late = c.err
		h.hand(t, endpoint.Invocation{ID: "x"})
		wantText(t, c.err.Error(), h.post(t, "invocation/x/response", strings.NewReader("1")), c.want)
	}
	for err, want := range map[error]int{endpoint.ErrBusy: 403, errors.New("disk"): 500} {
		h := open(t, nil)
		h.calls.wrong = err
		if answer, _ := h.do(t, "GET", runtimePath+"invocation/next", nil); answer.StatusCode != want {
			t.Errorf("%v: %s, want %d", err, answer.Status, want)
		}
	}
}

// A client that has no next call gets no answer until it is ended.
func TestClosedInstance(t *testing.T) {
	h := open(t, nil)
	h.calls.wrong = endpoint.ErrClosed
	gone := make(chan error, 1)
	go func() {
		_, err := http.Get("http://" + h.Address() + runtimePath + "invocation/next")
		gone <- err
	}()
	wait(t, h.calls.ready, "Ready")
	select {
	case err := <-gone:
		t.Fatalf("the client has an answer (%v)", err)
	default:
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, gone, "end"); err == nil {
		t.Error("the client was told something")
	}
}

func TestTooLarge(t *testing.T) {
	const answer = `413 {"errorMessage":"Exceeded maximum allowed payload size (6291556 bytes).","errorType":"RequestEntityTooLarge"}`
	most := strings.Repeat("x", endpoint.MaxPayload)
	h := open(t, nil)
	for name, body := range map[string]io.Reader{
		"with a length": strings.NewReader(most + "y"),
		"in chunks":     io.MultiReader(strings.NewReader(most), strings.NewReader("y")),
	} {
		h.hand(t, endpoint.Invocation{ID: "x"})
		wantText(t, name, h.post(t, "invocation/x/response", body), answer)
		f := wait(t, h.calls.ends, "failure").failure
		if f == nil || f.Type != "Function.ResponseSizeTooLarge" ||
			f.Message != "Response payload size (6291557 bytes) exceeded maximum allowed payload size (6291556 bytes)." {
			t.Errorf("%s: got %+v", name, f)
		}
	}
	h.hand(t, endpoint.Invocation{ID: "x"})
	wantText(t, "the largest", h.post(t, "invocation/x/response", strings.NewReader(most)), accepted)
	if e := wait(t, h.calls.ends, "answer"); e.body != most {
		t.Errorf("%d bytes came", len(e.body))
	}
	h.noted(t, "function-too-large", "function-too-large")
}

func TestStreaming(t *testing.T) {
	h := open(t, nil)
	const mode = "Lambda-Runtime-Function-Response-Mode"
	h.hand(t, endpoint.Invocation{ID: "x"})
	wantText(t, "streaming", h.post(t, "invocation/x/response", io.MultiReader(strings.NewReader("ab")), mode, "streaming"), accepted)
	wantText(t, "answer", wait(t, h.calls.ends, "answer").body, "ab")
	h.hand(t, endpoint.Invocation{ID: "x"})
	wantText(t, "unknown mode", h.post(t, "invocation/x/response", strings.NewReader("ab"), mode, "smoke"),
		`400 {"errorMessage":"Invalid function response mode","errorType":"InvalidFunctionResponseMode"}`)
	if f := wait(t, h.calls.ends, "failure").failure; f == nil || f.Type != "Runtime.InvalidResponseModeHeader" {
		t.Errorf("got %+v", f)
	}
	// One that fails in the middle says so in its trailers.
	h.hand(t, endpoint.Invocation{ID: "x"})
	r, err := http.NewRequest("POST", "http://"+h.Address()+runtimePath+"invocation/x/response", io.MultiReader(strings.NewReader("ab")))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(mode, "streaming")
	r.Trailer = http.Header{"Lambda-Runtime-Function-Error-Type": {"Oops"}, "Lambda-Runtime-Function-Error-Body": {"eyJlcnJvck1lc3NhZ2UiOiJubyJ9"}}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if f := wait(t, h.calls.ends, "failure").failure; answer.StatusCode != 202 || f == nil || f.Type != "Oops" || f.Message != "no" {
		t.Errorf("got %s, %+v", answer.Status, f)
	}
	h.noted(t, "function-invalid")
}

func TestPaths(t *testing.T) {
	h := open(t, nil)
	for _, c := range []struct {
		method, path, allow string
		status              int
	}{
		{"GET", "", "", 404},
		{"GET", "restore/next", "", 404},
		{"POST", "invocation//response", "", 404},
		{"POST", "invocation/a/b/response", "", 404},
		{"POST", "invocation/next", "GET", 405},
		{"GET", "init/error", "POST", 405},
		{"PUT", "invocation/a/response", "POST", 405},
	} {
		answer, text := h.do(t, c.method, runtimePath+c.path, nil)
		if answer.StatusCode != c.status || answer.Header.Get("Allow") != c.allow || !strings.Contains(text, `"errorType":`) {
			t.Errorf("%s %s: %s %s %s", c.method, c.path, answer.Status, answer.Header.Get("Allow"), text)
		}
	}
}
