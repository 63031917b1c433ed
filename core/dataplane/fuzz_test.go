package dataplane

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"greengate/core/message"
)

// FuzzServe has the handler answer whatever a device may send. The answer is as the
// description says (JSON, an id, one of few statuses) and never a fault of ours; what is
// answered with 200 was asked for on a path of the device itself; what was published is
// what the request says and can travel by MQTT, and nothing of a refused one was.
func FuzzServe(f *testing.F) {
	for _, text := range serveSeeds {
		f.Add([]byte(text), false)
		f.Add([]byte(text), true)
	}
	f.Fuzz(func(t *testing.T, raw []byte, display bool) {
		q, sent := readRaw(raw)
		if q == nil {
			return // the listener refuses it
		}
		from := "sensor"
		if display {
			from = "display"
		}
		s := newSite(t)
		status, body, _ := s.serve(q, from)
		if status >= 500 || status == http.StatusTooManyRequests {
			t.Fatalf("%s %s: %d %s", q.Method, q.URL, status, body)
		}
		s.judge(q, from, status, sent)
	})
}

// readRaw reads a request as the listener does, and its body besides. It returns nil for
// what is no request.
func readRaw(raw []byte) (q *http.Request, body []byte) {
	read := func() (*http.Request, error) { return http.ReadRequest(bufio.NewReader(bytes.NewReader(raw))) }
	again, err := read()
	if err != nil {
		return nil, nil
	}
	body, _ = io.ReadAll(again.Body)
	q, _ = read()
	return q, body
}

// judge holds what was done to the request. The path is decoded whole here, and not
// segment by segment.
func (s *site) judge(q *http.Request, from string, status int, sent []byte) {
	path := q.URL.Path
	kind, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch {
	case status != http.StatusOK:
	case kind == "things" && path != "/things/"+from+"/shadow",
		kind == "api" && path != "/api/things/shadow/ListNamedShadowsForThing/"+from,
		kind == "topics" && (from != "sensor" || len(s.published) != 1),
		kind == "retainedMessage" && path != "/retainedMessage" && (from != "display" || path != "/retainedMessage/room/1"):
		s.t.Fatalf("%s may %s %s", from, q.Method, path)
	}
	if len(s.published) == 0 {
		return
	}
	m := s.published[0]
	if status != http.StatusOK || q.Method != http.MethodPost || len(s.published) > 1 {
		s.t.Fatalf("%s %s: %d, and published were %d", q.Method, path, status, len(s.published))
	}
	if "/topics/"+m.Topic != path || !bytes.Equal(m.Payload, sent) {
		s.t.Errorf("%s publishes %q on %s, not %q", path, m.Payload, m.Topic, sent)
	}
	if message.CheckTopic(m.Topic) != nil || m.QoS > 1 || m.Retain != strings.EqualFold(q.URL.Query().Get("retain"), "true") {
		s.t.Errorf("%s publishes %+v", q.URL, m)
	}
	if left := time.Until(m.Expires); !m.Expires.IsZero() && (left <= -time.Minute || left > maxExpiry*time.Second) {
		s.t.Errorf("%s publishes what expires in %v", q.URL, left)
	}
	if p := m.Properties; p != nil {
		texts := []string{p.ContentType, p.ResponseTopic}
		for _, u := range p.User {
			texts = append(texts, u.Name, u.Value)
		}
		for _, text := range texts {
			if len(text) > 65535 || strings.ToValidUTF8(text, "") != text || strings.Contains(text, "\x00") {
				s.t.Errorf("%s publishes a property that no packet can carry: %q", q.URL, text)
			}
		}
		if len(p.CorrelationData) > 65535 || p.ResponseTopic != "" && message.CheckTopic(p.ResponseTopic) != nil {
			s.t.Errorf("%s publishes properties that no packet can carry: %+v", q.URL, p)
		}
	}
}

var serveSeeds = []string{
	"POST /topics/room%2Fx?qos=1&retain=true&contentType=a%2Fb&responseTopic=r&messageExpiry=9 HTTP/1.1\r\nHost: g\r\nContent-Length: 2\r\n" +
		"X-Amz-Mqtt5-User-Properties: W3siYSI6IjEifSx7ImEiOiIyIn1d\r\nX-Amz-Mqtt5-Correlation-Data: AAE=\r\nX-Amz-Mqtt5-Payload-Format-Indicator: UTF8_DATA\r\n\r\nhi",
	"POST /topics/room/x/y HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
	"POST /topics/room%2F%2F..%2F%25 HTTP/1.1\r\nHost: g\r\nContent-Length: 9\r\n\r\nhi",
	"POST /topics/$aws%2Fthings%2Fother HTTP/1.1\r\nHost: g\r\n\r\n",
	"GET /things/sensor/shadow?name=n HTTP/1.1\r\nHost: g\r\n\r\n",
	"POST /things/%73ensor/shadow HTTP/1.1\r\nHost: g\r\nContent-Length: 12\r\n\r\n{\"state\":{}}",
	// Longer than the binary data of a packet: functions send heads of that size.
	"POST /topics/room%2Fx HTTP/1.1\r\nHost: g\r\nX-Amz-Mqtt5-Correlation-Data: " + strings.Repeat("AAAA", 1<<15) + "\r\n\r\n",
	"DELETE /things/other/shadow HTTP/1.1\r\nHost: g\r\n\r\n",
	"GET /things/sensor%2F../shadow?name= HTTP/1.1\r\nHost: g\r\n\r\n",
	"GET /api/things/shadow/ListNamedShadowsForThing/sensor?pageSize=7&nextToken=t HTTP/1.1\r\nHost: g\r\n\r\n",
	"GET /retainedMessage?maxResults=2&nextToken=cm9vbS8x HTTP/1.1\r\nHost: g\r\n\r\n",
	"GET /retainedMessage/room%2F1 HTTP/1.1\r\nHost: g\r\n\r\n", "GET /openapi.json HTTP/1.1\r\nHost: g\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: g\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\n\r\n", "GET http://h/things/sensor/shadow?%zz HTTP/1.0\r\n\r\n", "HEAD // HTTP/1.1\r\nHost: g\r\n\r\n",
}
