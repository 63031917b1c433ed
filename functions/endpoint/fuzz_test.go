package endpoint_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greengate/core/message"
	"greengate/functions/endpoint"
)

// FuzzRuntime lets a function send any bytes to its door, in pieces of any size: to the
// Runtime API, to the data plane, and as greengrasssdk. Each request gets an answer that a
// client can read, with one of few statuses and never a fault of ours; a call ends once, with
// the body that was sent for it, and only when it was handed out; nothing reaches the data
// plane without a signature, nor the gate on a topic that is none; nothing panics or stays.
func FuzzRuntime(f *testing.F) {
	for _, text := range runtimeSeeds() {
		f.Add([]byte(text), byte(0))
		f.Add([]byte(text), byte(7))
	}
	f.Fuzz(func(t *testing.T, data []byte, step byte) {
		if len(data) > 32<<10 {
			t.Skip("long talks cost time and show nothing more")
		}
		synctest.Test(t, func(t *testing.T) {
			b := newBootstrap(t)
			got := b.talk(data, step)
			b.end()
			b.judge(data, got)
		})
	})
}

// mostCalls are handed out, with the ids call-0, call-1, and so on.
const mostCalls = 3

// bootstrap is an instance and its door.
type bootstrap struct {
	t    *testing.T
	door *endpoint.Endpoint
	end  func()

	mu     sync.Mutex
	out    string // the id of the call at work
	handed int
	ends   []end
	begun  int // Ready and InitFailed
}

func newBootstrap(t *testing.T) *bootstrap {
	b := &bootstrap{t: t}
	var err error
	b.door, err = endpoint.New(endpoint.Options{
		Function: "car", Dir: "/", Timeout: time.Second, Calls: b, Owns: func(int) bool { return true },
		Home: endpoint.Home{
			Data:    func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s reaches the data plane", r.URL) },
			Publish: b.publish, Shadow: b.shadow, Invoke: b.invoke,
		},
		Log: slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.door.SetToken("token")
	ran := make(chan error, 1)
	go func() { ran <- b.door.ServeTaken() }()
	b.end = func() {
		if err := b.door.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ran; !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("serve: %v", err)
		}
	}
	return b
}

// Write takes a line of the log: so speaks a fault of ours.
func (b *bootstrap) Write(line []byte) (int, error) {
	b.t.Error(string(line))
	return len(line), nil
}

// Next and the others are the calls of the instance.
func (b *bootstrap) Next(context.Context) (*endpoint.Invocation, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.out != "":
		return nil, endpoint.ErrBusy
	case b.handed == mostCalls:
		return nil, endpoint.ErrClosed
	}
	b.out = fmt.Sprint("call-", b.handed)
	b.handed++
	return &endpoint.Invocation{ID: b.out, Payload: []byte("event"), Deadline: time.Now().Add(time.Minute), Subject: "ä\n/b", Trace: "Root=1"}, nil
}

func (b *bootstrap) settle(e end) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.id != b.out {
		b.t.Errorf("%s ended, and %q is at work", e.id, b.out)
		return endpoint.ErrUnknown
	}
	b.out = ""
	b.ends = append(b.ends, e)
	return nil
}

// Respond takes an answer.
func (b *bootstrap) Respond(id string, body []byte, taken func()) error {
	err := b.settle(end{id: id, body: string(body)})
	if err == nil {
		taken()
	}
	return err
}

// Fail takes a failure.
func (b *bootstrap) Fail(id string, f endpoint.Failure) error {
	b.bounded(f)
	return b.settle(end{id: id, failure: &f})
}

// InitFailed is told once, and instead of Ready.
func (b *bootstrap) InitFailed(f endpoint.Failure) {
	b.bounded(f)
	b.Ready()
}

// Ready is told once.
func (b *bootstrap) Ready() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.begun++; b.begun > 1 {
		b.t.Error("it began twice")
	}
}

func (b *bootstrap) bounded(f endpoint.Failure) {
	const most = 16 << 10
	if f.Type == "" || len(f.Type) > most || len(f.Message) > most || len(f.Trace) > 100 || slices.ContainsFunc(f.Trace, func(s string) bool { return len(s) > most }) {
		b.t.Errorf("a failure without bounds: %.300v", f)
	}
}

func (b *bootstrap) publish(_ context.Context, topic string, _ []byte) error {
	if err := message.CheckTopic(topic); err != nil {
		b.t.Errorf("published on %q: %v", topic, err)
	}
	if strings.HasSuffix(topic, "x") {
		return errors.New("no room")
	}
	return nil
}

func (b *bootstrap) shadow(_ context.Context, op, thing string, _ []byte) ([]byte, error) {
	if message.CheckThing(thing) != nil || !slices.Contains([]string{"get", "update", "delete"}, op) {
		b.t.Errorf("%s of the shadow of %q", op, thing)
	}
	if op == "delete" {
		return nil, &endpoint.ShadowError{Code: 404, Message: "none"}
	}
	return []byte("{}"), nil
}

func (b *bootstrap) invoke(_ context.Context, function string, _ []byte, _ bool) ([]byte, error) {
	if message.CheckThing(function) != nil {
		b.t.Errorf("function %q is invoked", function)
	}
	if function == "bad" {
		return nil, &endpoint.FunctionError{Payload: []byte("{}")}
	}
	return []byte("1"), nil
}

// talk sends data on one connection, waits as long as anything may take, and returns what
// came back.
func (b *bootstrap) talk(data []byte, step byte) []byte {
	client, server := net.Pipe()
	b.door.Take(server)
	var all sync.WaitGroup
	var got []byte
	all.Go(func() { got, _ = io.ReadAll(client) })
	all.Go(func() {
		for pieces := 0; len(data) > 0; pieces++ {
			n := len(data)
			if step > 0 && pieces < 100 {
				n = min(n, int(step))
			}
			if _, err := client.Write(data[:n]); err != nil {
				return // it was ended
			}
			data = data[n:]
		}
	})
	time.Sleep(10 * time.Minute)
	client.Close()
	all.Wait()
	return got
}

// judge reads the answers beside the requests, as net/http finds them.
func (b *bootstrap) judge(sent, got []byte) {
	requests, answers := bufio.NewReader(bytes.NewReader(sent)), bufio.NewReader(bytes.NewReader(got))
	bodies := map[string][]string{} // by the id of the call
	for {
		q, err := http.ReadRequest(requests)
		if err != nil {
			break
		}
		body, err := io.ReadAll(q.Body)
		if id, ok := callOf(q); ok && err == nil {
			bodies[id] = append(bodies[id], string(body))
		}
		if !b.answer(answers, q, got) {
			break
		}
	}
	for _, e := range b.ends {
		if e.failure == nil && !slices.Contains(bodies[e.id], e.body) {
			b.t.Errorf("%s ended with %q, and sent were %q", e.id, e.body, bodies[e.id])
		}
	}
}

// callOf is the id of the call that a request answers.
func callOf(q *http.Request) (id string, ok bool) {
	if strings.HasSuffix(q.URL.Path, "/work") {
		return q.Header.Get("X-Amz-Invocationid"), true
	}
	id, _ = strings.CutPrefix(q.URL.Path, runtimePath+"invocation/")
	return strings.CutSuffix(id, "/response")
}

// answer reads one answer; false: there is none, or none after it.
func (b *bootstrap) answer(in *bufio.Reader, q *http.Request, got []byte) bool {
	if _, err := in.Peek(1); err != nil {
		return false
	}
	r, err := http.ReadResponse(in, q)
	for err == nil && r.StatusCode == http.StatusContinue {
		r, err = http.ReadResponse(in, q)
	}
	var body []byte
	if err == nil {
		body, err = io.ReadAll(r.Body)
	}
	if err != nil {
		b.t.Fatalf("an answer that cannot be read: %v in %q", err, got)
	}
	statuses := []int{200, 202, 400, 403, 404, 405, 413, 417, 431, 501, 503, 505} // 501, 505: of net/http; 503: AllOrError
	if !slices.Contains(statuses, r.StatusCode) || r.StatusCode == 503 && !bytes.Contains(body, []byte("PublishError")) {
		b.t.Errorf("%s %s: %d %s", q.Method, q.URL, r.StatusCode, body)
	}
	ours := r.Header.Get("Content-Type") == "application/json" && q.Method != http.MethodHead && r.Header.Get("X-Amz-Invocationid") == ""
	if ours && len(body) > 0 && string(body) != "event" && !json.Valid(body) {
		b.t.Errorf("%s %s: %q is not JSON", q.Method, q.URL, body)
	}
	return !r.Close
}

func runtimeSeeds() []string {
	post := func(path, headers, body string) string {
		return "POST " + runtimePath + path + " HTTP/1.1\r\nHost: a\r\n" + headers + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	local := func(method, path, headers, body string) string {
		return method + " /2016-11-01/functions/" + path + " HTTP/1.1\r\nHost: a\r\nAuthorization: token\r\n" + headers + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	context := func(text string) string {
		return "X-Amz-Client-Context: " + base64.StdEncoding.EncodeToString([]byte(text)) + "\r\n"
	}
	const router, shadows, other = "arn:aws:lambda:::function:GGRouter", "arn:aws:lambda:::function:GGShadowService", "arn:aws:lambda:r:1:function:bad:2"
	failure := `{"errorType":"T","errorMessage":"m","stackTrace":["a",{"Path":"p","Line":1,"Label":"l"},[]]}`
	return []string{
		"", wireNext + wireResponse("call-0", "Content-Length: 2\r\n", "42") + wireNext + post("invocation/call-1/error", "", failure) + wireNext,
		wireNext + wireResponse("call-0", "Content-Length: 2\r\n", "42") + wireResponse("call-0", "Content-Length: 2\r\n", "43") + post("invocation/call-0/error", "", failure),
		wireNext + wireNext, wireResponse("call-0", "Content-Length: 2\r\n", "42"), post("init/error", "Lambda-Runtime-Function-Error-Type: X\r\n", "no JSON") + post("init/error", "", failure) + wireNext,
		wireNext + wireResponse("call-0", "Transfer-Encoding: chunked\r\nLambda-Runtime-Function-Response-Mode: streaming\r\nTrailer: Lambda-Runtime-Function-Error-Type\r\n",
			"2\r\n42\r\n0\r\nLambda-Runtime-Function-Error-Type: X\r\nLambda-Runtime-Function-Error-Body: e30=\r\n\r\n") + wireNext,
		wireNext + wireResponse("call-0", "Transfer-Encoding: chunked\r\n", "2\r\n42\r\n0\r\n\r\n") + wireNext + wireResponse("call-1", "Content-Length: 9\r\n", "cut"),
		wireNext + wireResponse("call-0", "Lambda-Runtime-Function-Response-Mode: odd\r\nContent-Length: 2\r\n", "42"),
		wireNext + wireResponse("call-0", "Content-Length: 7000000\r\n", "much"), wireNext + wireResponse("call-0", "Expect: 100-continue\r\nContent-Length: 2\r\n", "42"),
		local("GET", "x/work", "", "") + local("POST", "x/work", "X-Amz-Invocationid: call-0\r\n", "42") + local("PUT", "x/initialized", "", failure),
		local("POST", router, context(`{"custom":{"subject":"a/b"}}`), "hi") + local("POST", router, context(`{"custom":{"subject":"a/x","queueFullPolicy":"AllOrError"}}`), "hi") + local("POST", router, context(`{"custom":{"subject":"a/#"}}`), "hi"),
		local("POST", shadows, context(`{"custom":{"subject":"$aws/things/T/shadow/get"}}`), "") + local("POST", shadows, context(`{"custom":{"subject":"$aws/things/T/shadow/delete"}}`), "") + local("GET", shadows, "X-Amz-Invocationid: x\r\n", ""),
		local("POST", other, "X-Amz-Invocation-Type: Event\r\n", "1") + local("POST", strings.Replace(other, "bad", "good", 1), "", "1") + local("POST", "arn:aws:secretsmanager:r", "", ""),
		"POST /topics/a HTTP/1.1\r\nHost: a\r\nAuthorization: AWS4-HMAC-SHA256 Credential=ASIA/20260101/r/iotdata/aws4_request, SignedHeaders=host, Signature=00\r\nContent-Length: 0\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n", "PUT " + runtimePath + "invocation/next HTTP/1.1\r\nHost: a\r\n\r\n", "GET " + runtimePath + "invocation//response HTTP/1.1\r\nHost: a\r\n\r\n", "\x00", "GET /\r\n\r\n",
	}
}
