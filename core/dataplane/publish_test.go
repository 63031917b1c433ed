package dataplane

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"greengate/core/message"
)

func TestPublish(t *testing.T) {
	s := newSite(t)
	user := base64.StdEncoding.EncodeToString([]byte(`[{"b":"1","a":"ä"},{"b":"2"},{}]`))
	quoted := base64.StdEncoding.EncodeToString([]byte(`"[{\"a\":\"b\"}]"`)) // as boto3 sends a text
	for _, c := range []struct {
		target string
		header http.Header
		want   message.Message
	}{
		{"/topics/room%2Fx", nil, message.Message{Topic: "room/x"}},
		{"/topics/room/x/y?qos=1", nil, message.Message{Topic: "room/x/y", QoS: 1}},
		{"/topics/room%2F%2Fx%2F..%2F?retain=true&qos=0", nil, message.Message{Topic: "room//x/../", Retain: true}},
		{"/topics/room%2F%25252f+%20?retain=False&unknown=1", nil, message.Message{Topic: "room/%252f+ "}}, // refused below
		{"/topics/room%2Fx?contentType=a%2Fb&responseTopic=r%2Fs", http.Header{
			"X-Amz-Mqtt5-User-Properties": {user}, "X-Amz-Mqtt5-Correlation-Data": {"AAE="}, "X-Amz-Mqtt5-Payload-Format-Indicator": {"UTF8_DATA"},
		}, message.Message{Topic: "room/x", Properties: &message.Properties{
			PayloadIsUTF8: true, ContentType: "a/b", ResponseTopic: "r/s", CorrelationData: []byte{0, 1},
			User: []message.UserProperty{{Name: "b", Value: "1"}, {Name: "a", Value: "ä"}, {Name: "b", Value: "2"}},
		}}},
		{"/topics/room%2Fx?responseTopic=r", http.Header{"X-Amz-Mqtt5-User-Properties": {quoted}},
			message.Message{Topic: "room/x", Properties: &message.Properties{ResponseTopic: "r", User: []message.UserProperty{{Name: "a", Value: "b"}}}}},
		{"/topics/room%2Fx", http.Header{"X-Amz-Mqtt5-Payload-Format-Indicator": {"UNSPECIFIED_BYTES"}}, message.Message{Topic: "room/x"}},
	} {
		status, body, _ := s.do(request{method: "POST", target: c.target, header: c.header, body: "hello"})
		if strings.ContainsAny(c.want.Topic, "+#") {
			if status != 400 {
				t.Errorf("%s: %d %s", c.target, status, body)
			}
			continue
		}
		got := s.last()
		c.want.Payload = []byte("hello")
		if status != 200 || !strings.Contains(body, `"message":"OK"`) || !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%s: %d %s, published %+v", c.target, status, body, got)
		}
	}
}

func TestExpiryIsBrought(t *testing.T) {
	s := newSite(t)
	for given, want := range map[string]time.Duration{
		"0": time.Second, "60": time.Minute, "604801": maxExpiry * time.Second, "4611686018427387904": maxExpiry * time.Second,
	} {
		before := time.Now()
		s.do(request{method: "POST", target: "/topics/room%2Fx?messageExpiry=" + given})
		if got := s.last().Expires.Sub(before); got < want || got > want+5*time.Second {
			t.Errorf("%s: expires after %v, want %v", given, got, want)
		}
	}
}

func TestBadPublishes(t *testing.T) {
	s := newSite(t)
	user := func(text string) http.Header {
		return http.Header{"X-Amz-Mqtt5-User-Properties": {base64.StdEncoding.EncodeToString([]byte(text))}}
	}
	for _, c := range []struct {
		target string
		header http.Header
		body   string
		status int
	}{
		{"/topics/elsewhere", nil, "", 403},
		{"/topics", nil, "", 404},
		{"/topics/", nil, "", 400},
		{"/topics/room%2F%00", nil, "", 400},
		{"/topics/room%2F%ff", nil, "", 400},
		{"/topics/room//x", nil, "", 400},
		{"/topics/../topics/room", nil, "", 400},
		{"/topics/%2e%2e/room", nil, "", 400},
		{"/topics/room/.", nil, "", 400},
		{"/topics/" + strings.Repeat("%2F", 300), nil, "", 400},
		{"/topics/" + strings.Repeat("x", 70000), nil, "", 400},
		{"/topics/room%2Fx?qos=1&x=%zz", nil, "", 400},
		{"/topics/room%2Fx?qos=one", nil, "", 400},
		{"/topics/room%2Fx?qos=1;retain=true", nil, "", 400},
		{"/topics/room%2Fx?responseTopic=%00", nil, "", 400},
		{"/topics/room%2Fx?contentType=" + strings.Repeat("x", 70000), nil, "", 400},
		{"/topics/room%2Fx", user(`{"a":"1"}`), "", 400},
		{"/topics/room%2Fx", user(`[{"a":1}]`), "", 400},
		{"/topics/room%2Fx", user(`[{"a":"1"}`), "", 400},
		{"/topics/room%2Fx", user(`[["a"]]`), "", 400},
		{"/topics/room%2Fx", user(`[{"a":{"b":"c"}}]`), "", 400},
		{"/topics/room%2Fx", user(`[{"a":"\u0000"}]`), "", 400},
		{"/topics/room%2Fx", user(strings.Repeat("[", 20000)), "", 400},
		{"/topics/room%2Fx", user("[" + strings.Repeat(`{"":""},`, 3300) + "{}]"), "", 400},
		{"/topics/room%2Fx", http.Header{"X-Amz-Mqtt5-Payload-Format-Indicator": {"UTF8_DATA"}}, "\xff", 400},
		{"/topics/room%2Fx", nil, strings.Repeat("x", 128<<10+1), 413},
	} {
		if status, body, _ := s.do(request{method: "POST", target: c.target, header: c.header, body: c.body}); status != c.status {
			t.Errorf("%.60s %v: %d %s, want %d", c.target, c.header, status, body, c.status)
		}
	}
	if len(s.published) > 0 {
		t.Errorf("published: %+v", s.published)
	}
}

// TestBodies: what is too large is refused before and while it is read, what
// does not come ends the connection.
func TestBodies(t *testing.T) {
	s := newSite(t)
	unknown := func(n int) *strings.Reader { return strings.NewReader(strings.Repeat("x", n)) }
	for _, c := range []struct {
		name   string
		r      request
		status int
		closes bool
	}{
		{"as much as may be", request{reader: iotest.OneByteReader(unknown(128 << 10))}, 200, false},
		{"more, of a length that is not told", request{reader: iotest.HalfReader(unknown(128<<10 + 1))}, 413, true},
		{"late", request{reader: iotest.ErrReader(fmt.Errorf("read: %w", os.ErrDeadlineExceeded))}, 408, true},
		{"cut off", request{reader: iotest.ErrReader(errors.New("unexpected EOF"))}, 400, true},
	} {
		c.r.method, c.r.target = "POST", "/topics/room%2Fx"
		status, body, header := s.do(c.r)
		if status != c.status || (header.Get("Connection") == "close") != c.closes {
			t.Errorf("%s: %d %s %v", c.name, status, body, header)
		}
	}
}
