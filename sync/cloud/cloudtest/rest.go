package cloudtest

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// The HTTPS data plane (aws-iot.md 1.2), over the same certificates as MQTT.

// errorTypes are the AWS names of the statuses.
var errorTypes = map[int]string{
	400: "InvalidRequestException", 401: "UnauthorizedException", 403: "ForbiddenException",
	404: "ResourceNotFoundException", 405: "MethodNotAllowedException", 409: "ConflictException",
	413: "RequestEntityTooLargeException", 415: "UnsupportedDocumentEncodingException",
	429: "ThrottlingException", 500: "InternalFailureException", 503: "ServiceUnavailableException",
}

func (c *Cloud) serveData(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("x-amzn-requestid", newID())
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return // the client is gone
	}
	thing, _ := r.Context().Value(thingOfRequest{}).(string)
	var answer []byte
	var rejected *ShadowError
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/topics/"):
		answer, rejected = c.servePublish(r, thing, strings.TrimPrefix(path, "/topics/"), body)
	case strings.HasPrefix(path, "/api/things/shadow/ListNamedShadowsForThing/"):
		answer, rejected = c.serveList(r, thing, strings.TrimPrefix(path, "/api/things/shadow/ListNamedShadowsForThing/"))
	case strings.HasPrefix(path, "/things/") && strings.HasSuffix(path, "/shadow"):
		name := strings.TrimSuffix(strings.TrimPrefix(path, "/things/"), "/shadow")
		answer, rejected = c.serveShadow(r, thing, shadowKey{name, r.URL.Query().Get("name")}, body)
	default:
		rejected = reject(404, "No such resource")
	}
	if rejected != nil {
		w.Header().Set("x-amzn-errortype", errorTypes[rejected.Code])
		w.WriteHeader(rejected.Code)
		answer = encodeJSON(object{"message": rejected.Message, "traceId": newID()})
	}
	_, _ = w.Write(answer)
}

// serveShadow gets, updates or deletes a shadow. Updates and deletes are told
// over MQTT too; errors are not.
func (c *Cloud) serveShadow(r *http.Request, caller string, k shadowKey, body []byte) ([]byte, *ShadowError) {
	operation := map[string]string{"GET": "get", "POST": "update", "DELETE": "delete"}[r.Method]
	if operation == "" {
		return nil, reject(405, "Method not allowed")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.policy(caller).mayUse(k.thing) {
		return nil, reject(403, "Forbidden")
	}
	if c.faults.ShadowLost.take() {
		panic(http.ErrAbortHandler) // cuts the connection without an answer
	}
	if rejected := c.throttle(k.thing); rejected != nil {
		return nil, rejected
	}
	token, rejected := tokenOf(body, c.limits.ShadowToken)
	if rejected != nil {
		return nil, rejected
	}
	t := shadowTopic{k, operation}
	answer, rejected := c.operate(t, body)
	lost := c.faults.ShadowAnswerLost.take()
	answered := make(chan struct{})
	c.later(k.thing, func() {
		defer close(answered)
		if rejected == nil && operation != "get" {
			c.announce(t, answer, token, true)
		}
	})
	c.mu.Unlock()
	<-answered
	c.mu.Lock()
	if lost {
		panic(http.ErrAbortHandler)
	}
	if rejected != nil {
		return nil, rejected
	}
	if token != nil {
		answer.accepted["clientToken"] = *token
	}
	return encodeJSON(answer.accepted), nil
}

// serveList lists a thing's named shadows, a page at a time.
func (c *Cloud) serveList(r *http.Request, caller, thing string) ([]byte, *ShadowError) {
	if r.Method != http.MethodGet {
		return nil, reject(405, "Method not allowed")
	}
	size := 25
	if text := r.URL.Query().Get("pageSize"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 100 {
			return nil, reject(400, "Invalid page size")
		}
		size = n
	}
	after, err := base64.URLEncoding.DecodeString(r.URL.Query().Get("nextToken"))
	if err != nil {
		return nil, reject(400, "Invalid next token")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.policy(caller).mayUse(thing) {
		return nil, reject(403, "Forbidden")
	}
	if rejected := (shadowKey{thing: thing}).check(); rejected != nil {
		return nil, rejected
	}
	if rejected := c.throttle(thing); rejected != nil {
		return nil, rejected
	}
	results := []string{}
	answer := object{"timestamp": c.now().Unix()}
	for _, name := range c.listShadows(thing) {
		if name <= string(after) {
			continue
		}
		if len(results) == size {
			answer["nextToken"] = base64.URLEncoding.EncodeToString([]byte(results[size-1]))
			break
		}
		results = append(results, name)
	}
	answer["results"] = results
	return encodeJSON(answer), nil
}

// servePublish is POST /topics/{topic}?qos=0|1&retain=true.
func (c *Cloud) servePublish(r *http.Request, thing, topic string, body []byte) ([]byte, *ShadowError) {
	if r.Method != http.MethodPost {
		return nil, reject(405, "Method not allowed")
	}
	query := r.URL.Query()
	qos, known := map[string]byte{"": 0, "0": 0, "1": 1}[query.Get("qos")]
	if !known {
		return nil, reject(400, "Invalid qos")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	rule, rest := splitIngest(topic)
	retain := query.Get("retain") == "true"
	switch fault := c.limits.sizeFault(rest); {
	case topic == "" || hasWildcard(topic) || fault != "":
		return nil, reject(400, "Invalid topic: %s", fault)
	case over(len(body), c.limits.Payload):
		return nil, reject(413, "The payload exceeds the maximum size allowed")
	case strings.HasPrefix(topic, "$") && (retain || !mayPublish(topic)):
		return nil, reject(400, "Invalid topic")
	case !c.policy(thing).mayPublish(topic):
		return nil, reject(403, "Forbidden")
	}
	c.record(Received{Thing: thing, Topic: rest, Rule: rule, Payload: body, QoS: qos, Retain: retain, HTTPS: true})
	if rule == "" {
		c.admit(&message{topic: topic, payload: body, qos: qos, retain: retain})
	}
	return []byte(fmt.Sprintf(`{"message":"OK","traceId":%q}`, newID())), nil
}

// handover is the http.Server's listener: the connections whose ALPN, or
// listener, says HTTPS.
type handover struct {
	conns chan net.Conn
	addr  net.Addr
	done  chan struct{}
	once  sync.Once
}

// secured is a connection after its handshake. It hides the *tls.Conn, since
// http.Server would look for a handler of its ALPN name.
type secured struct {
	net.Conn
	thing string
}

// thingOfRequest is the key of the thing in a request's context.
type thingOfRequest struct{}

func contextOf(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, thingOfRequest{}, c.(secured).thing)
}

func newHandover(addr net.Addr) *handover {
	return &handover{conns: make(chan net.Conn), addr: addr, done: make(chan struct{})}
}

func (h *handover) hand(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.done:
		_ = c.Close()
	}
}

// Accept waits for the next connection.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (h *handover) Close() error   { h.once.Do(func() { close(h.done) }); return nil }
func (h *handover) Addr() net.Addr { return h.addr }

// quiet is the http.Server's log: clients that break off are no news here.
func quiet(c *Cloud) *log.Logger { return slog.NewLogLogger(c.log.Handler(), slog.LevelDebug) }
