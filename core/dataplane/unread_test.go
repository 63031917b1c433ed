package dataplane

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"greengate/core/message"
)

// store keeps these messages, for everybody.
type store []*message.Message

func (s store) List(_ message.Endpoint, after string, n int) (list []Kept) {
	for _, m := range s {
		if m.Topic > after && len(list) < n {
			list = append(list, Kept{Message: m})
		}
	}
	return list
}

func (s store) Get(_ message.Endpoint, topic string, use func(Kept) error) error {
	for _, m := range s {
		if m.Topic == topic {
			return use(Kept{Message: m})
		}
	}
	return NotFound("nothing is retained there")
}

// reader is a client that takes its answer when the test says so.
type reader struct {
	*httptest.ResponseRecorder
	takes func()
}

func (r *reader) WhenSent(f func()) { r.takes = f }

func (s *site) unread(from, target string) *reader {
	r := &reader{httptest.NewRecorder(), func() {}}
	s.Serve(r, httptest.NewRequest("GET", target, nil), message.DeviceEndpoint(from))
	return r
}

// Answers that nobody takes keep their places and their bytes: one client gets no more
// than its share of them, and all together no more than there may be.
func TestAnswersThatNobodyTakes(t *testing.T) {
	big := store{{Topic: "t", Payload: make([]byte, 3000)}} // 4000 and some in base64
	s := newSite(t, func(o *Options) { o.Retained, o.Limits.Answers, o.Limits.AtOnce = big, 36_000, 3 })
	var kept []*reader
	for _, c := range []struct {
		from   string
		status int
		word   string
	}{
		{"a", 200, ""}, {"a", 200, ""}, {"a", 429, "more than 9000 bytes of answers"},
		{"b", 200, ""}, {"b", 200, ""}, {"c", 200, ""}, {"c", 200, ""}, {"d", 200, ""}, {"d", 200, ""},
		{"e", 503, "too many bytes of answers"},
		{"a", 429, "more than 3 requests at once"}, // that of its refused request is not taken, either
	} {
		r := s.unread(c.from, "/retainedMessage/t")
		if r.Code != c.status || !strings.Contains(r.Body.String(), c.word) {
			t.Errorf("%s: %d %.100s, want %d", c.from, r.Code, r.Body, c.status)
		}
		kept = append(kept, r)
	}
	// What has changed something is answered in any case.
	if status, body, _ := s.do(request{method: "POST", target: "/topics/room%2Fx"}); status != 200 {
		t.Errorf("a publish: %d %s", status, body)
	}
	if got := fmt.Sprint(s.notes); got != "[rest-throttled rest-throttled rest-throttled]" {
		t.Errorf("noted %s", got)
	}
	for _, r := range kept {
		r.takes()
	}
	if s.clients.busy != 0 || s.clients.bytes != 0 {
		t.Errorf("%d requests and %d bytes are left", s.clients.busy, s.clients.bytes)
	}
	if r := s.unread("a", "/retainedMessage/t"); r.Code != 200 {
		t.Errorf("afterwards %d %s", r.Code, r.Body)
	}
}

// What AWS could not have published, the API does not answer with.
func TestRetainedThatIsTooLarge(t *testing.T) {
	many := make([]message.UserProperty, 8200)
	s := newSite(t, func(o *Options) {
		o.Retained = store{
			{Topic: "fits", Payload: make([]byte, 128<<10), Properties: &message.Properties{User: many[:1000]}},
			{Topic: "large", Payload: make([]byte, 128<<10+1)},
			{Topic: "properties", Payload: []byte("x"), Properties: &message.Properties{User: many}},
		}
	})
	for topic, want := range map[string]int{"fits": 200, "large": 400, "properties": 400} {
		status, body, _ := s.do(request{method: "GET", target: "/retainedMessage/" + topic})
		if status != want || want == 400 && !strings.Contains(body, "subscribe to it over MQTT") {
			t.Errorf("%s: %d %.100s", topic, status, body)
		}
	}
	if got := fmt.Sprint(s.notes); got != "[rest-too-large rest-too-large]" {
		t.Errorf("noted %s", got)
	}
}

// A page of long topics is no larger than one of short ones, and leads to all that follow.
func TestRetainedPagesOfLongTopics(t *testing.T) {
	var all store
	for i := range 10 {
		all = append(all, &message.Message{Topic: fmt.Sprintf("%d/%s", i, strings.Repeat("x", 60_000))})
	}
	s := newSite(t, func(o *Options) { o.Retained = all })
	seen, token, pages := 0, "", 0
	for {
		status, body, _ := s.do(request{method: "GET", target: "/retainedMessage?nextToken=" + token})
		var page retainedPage
		if err := json.Unmarshal([]byte(body), &page); status != http.StatusOK || err != nil || len(body) > 200_000 {
			t.Fatalf("%d, %d bytes, %v", status, len(body), err)
		}
		seen += len(page.RetainedTopics)
		pages++
		if token = page.NextToken; token == "" {
			break
		}
		if len(token) > 12<<10 {
			t.Fatalf("a token of %d bytes finds no room in a URL", len(token))
		}
		if _, err := base64.RawURLEncoding.DecodeString(token); err != nil {
			t.Fatal(err)
		}
	}
	if seen != 10 || pages != 5 {
		t.Errorf("%d topics on %d pages", seen, pages)
	}
}
