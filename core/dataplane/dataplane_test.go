package dataplane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greengate/core/message"
)

func TestShadows(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct {
		method, target, body string
		status               int
		want                 string
	}{
		{"GET", "/things/sensor/shadow", "", 200, `"name":"","request":"get"`},
		{"GET", "/things/sensor/shadow?name=$a:b", "", 200, `"name":"$a:b","request":"get"`},
		{"POST", "/things/sensor/shadow?name=n", "{1}", 200, `"name":"n","request":"{1}"`},
		{"DELETE", "/things/sensor/shadow", "", 200, `"request":"delete"`},
		{"GET", "/things/%73ensor/shadow", "", 200, `"request":"get"`},
		{"GET", "/things/other/shadow", "", 403, `"message":"Forbidden"`},
		{"GET", "/things/sensor%2Fshadow", "", 404, ""},
		{"GET", "/things/sensor%2F../shadow", "", 403, ""}, // a thing of that name
		{"GET", "/things/sensor/shadow/", "", 404, ""},
		{"GET", "/things/../shadow", "", 400, ""},
		{"GET", "/things/sensor/shadow?name=", "", 400, ""},
		{"POST", "/things/sensor/shadow", strings.Repeat("x", 128<<10+1), 413, ""},
		{"GET", "/api/things/shadow/ListNamedShadowsForThing/sensor?pageSize=7&nextToken=t", "", 200, `"nextToken":"t","results":[],"timestamp":7`},
		{"GET", "/api/things/shadow/ListNamedShadowsForThing/sensor?pageSize=0", "", 400, ""},
		{"GET", "/api/things/shadow/ListNamedShadowsForThing/other", "", 403, ""},
	} {
		status, body, _ := s.do(request{method: c.method, target: c.target, body: c.body})
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s: %d %s, want %d and %s", c.method, c.target, status, body, c.status, c.want)
		}
	}
}

func TestRetained(t *testing.T) {
	s := newSite(t)
	_, body, _ := s.do(request{method: "GET", target: "/retainedMessage/room%2F1", from: "display"})
	if want := `{"topic":"room/1","payload":"AP8=","qos":1,"lastModifiedTime":1700000000123,"userProperties":"W3siYSI6IjEifSx7ImEiOiIyIn1d"}`; body != want {
		t.Errorf("%s, want %s", body, want)
	}
	for target, want := range map[string]int{"/retainedMessage/room%2F1": 403, "/retainedMessage/room%2F9": 404, "/retainedMessage/room%2F%2B": 400, "/retainedMessage/": 400} {
		if status, body, _ := s.do(request{method: "GET", target: target}); status != want {
			t.Errorf("%s: %d %s, want %d", target, status, body, want)
		}
	}
	var topics []string
	for token, pages := "", 0; pages == 0 || token != ""; pages++ {
		status, body, _ := s.do(request{method: "GET", target: "/retainedMessage?maxResults=2&nextToken=" + token, from: "display"})
		var page retainedPage
		if err := json.Unmarshal([]byte(body), &page); status != 200 || err != nil || len(page.RetainedTopics) > 2 || pages > 3 {
			t.Fatalf("%d %s %v", status, body, err)
		}
		for _, r := range page.RetainedTopics {
			topics = append(topics, r.Topic)
		}
		token = page.NextToken
	}
	if want := []string{"room/0", "room/1", "room/2", "room/3", "room/4"}; !slices.Equal(topics, want) {
		t.Errorf("the pages have %q", topics)
	}
	if _, body, _ := s.do(request{method: "GET", target: "/retainedMessage"}); body != `{"retainedTopics":[]}` {
		t.Errorf("who may read nothing gets %s", body)
	}
}

// TestFaults: what goes wrong behind the API is an error of AWS's too, and our
// own faults are told to the log and not to the client.
func TestFaults(t *testing.T) {
	s := newSite(t)
	s.fails(errors.New("the secret of the disk"))
	for _, r := range []request{{method: "POST", target: "/topics/room%2Fx"}, {method: "GET", target: "/things/sensor/shadow"}} {
		status, body, header := s.do(r)
		if status != 500 || header.Get("x-amzn-errortype") != "InternalFailureException" || strings.Contains(body, "secret") {
			t.Errorf("%s: %d %s %v", r.target, status, body, header)
		}
	}
	if n := strings.Count(s.log.String(), "the secret of the disk"); n != 2 {
		t.Errorf("the log tells it %d times: %s", n, &s.log)
	}
	s.fails(&Error{Status: 409, Type: "ConflictException", Message: "Version conflict"})
	if status, body, header := s.do(request{method: "POST", target: "/things/sensor/shadow"}); status != 409 || header.Get("x-amzn-errortype") != "ConflictException" || !strings.Contains(body, "Version conflict") {
		t.Errorf("%d %s %v", status, body, header)
	}
}

// TestTooSlow: who waits for a disk that does not answer gets a 503, and its
// place is free again.
func TestTooSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(o *Options) {
			o.Limits.AtOnce, o.Limits.Wait = 1, 3*time.Second
			o.Publish = func(ctx context.Context, _ message.Endpoint, m *message.Message) (bool, error) {
				if m.QoS == 1 {
					<-ctx.Done()
				}
				return true, ctx.Err()
			}
		})
		begin := time.Now()
		status, body, header := s.do(request{method: "POST", target: "/topics/room%2Fx?qos=1"})
		if took := time.Since(begin); status != 503 || header.Get("x-amzn-errortype") != "ServiceUnavailableException" || took != 3*time.Second {
			t.Errorf("%d %s after %v", status, body, took)
		}
		if status, body, _ := s.do(request{method: "POST", target: "/topics/room%2Fx"}); status != 200 {
			t.Errorf("then %d %s", status, body)
		}
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(o *Options) { o.Limits.Rate = 20 })
		for range 20 {
			if status, body, _ := s.do(request{method: "POST", target: "/topics/room%2Fx"}); status != 200 {
				t.Fatalf("%d %s", status, body)
			}
		}
		status, _, header := s.do(request{method: "POST", target: "/nothing"})
		if status != 429 || header.Get("x-amzn-errortype") != "ThrottlingException" {
			t.Errorf("one too many: %d %v", status, header)
		}
		if status, _, _ := s.do(request{method: "GET", target: "/retainedMessage", from: "display"}); status != 200 {
			t.Errorf("another client: %d", status)
		}
		time.Sleep(100 * time.Millisecond) // the clock of the bubble: two requests' worth
		for i, want := range []int{200, 200, 429} {
			if status, _, _ := s.do(request{method: "POST", target: "/topics/room%2Fx"}); status != want {
				t.Errorf("request %d after a tenth of a second: %d, want %d", i, status, want)
			}
		}
		for range maxIdleClients + 10 {
			time.Sleep(time.Second)
			p, err := s.clients.enter(message.DeviceEndpoint(newID()), 1)
			if err != nil {
				t.Fatal(err)
			}
			p.leave()
		}
		if n := len(s.clients.all); n > maxIdleClients {
			t.Errorf("%d clients are remembered", n)
		}
	})
}

// TestAtOnce bounds what one client, and all together, have at work.
func TestAtOnce(t *testing.T) {
	release, arrived := make(chan struct{}), make(chan struct{}, 8)
	s := newSite(t, func(o *Options) {
		o.Limits.AtOnce, o.Limits.InAll = 2, 3
		o.Publish = func(_ context.Context, _ message.Endpoint, m *message.Message) (bool, error) {
			arrived <- struct{}{}
			<-release
			return true, nil
		}
	})
	var busy sync.WaitGroup
	for _, from := range []string{"sensor", "sensor", "other"} {
		busy.Go(func() { s.do(request{method: "POST", target: "/topics/room%2Fx", from: from}) })
		<-arrived
	}
	for from, want := range map[string]int{"sensor": 429, "third": 503} {
		status, body, header := s.do(request{method: "POST", target: "/topics/room%2Fx", from: from})
		if status != want || header.Get("Connection") != "close" {
			t.Errorf("%s: %d %s %v", from, status, body, header)
		}
	}
	close(release)
	busy.Wait()
	if status, _, _ := s.do(request{method: "POST", target: "/topics/room%2Fx"}); status != 200 {
		t.Errorf("afterwards %d", status)
	}
}

// TestNothingIsSilent: each refusal is noted and counted, and told once.
func TestNothingIsSilent(t *testing.T) {
	s := newSite(t)
	for range 3 {
		s.do(request{method: "GET", target: "/nothing"})
		s.do(request{method: "PUT", target: "/topics/room%2Fx"})
		s.do(request{method: "POST", target: "/topics/room%2Fx?qos=7"})
		s.do(request{method: "GET", target: "/retainedMessage/room%2F1"})
		s.do(request{method: "POST", target: "/topics/elsewhere"}) // the gate has counted it
		s.do(request{method: "POST", target: "/topics/room%2Fx"})
	}
	counts := map[string]int{}
	for _, reason := range s.notes {
		counts[reason]++
	}
	if got, want := fmt.Sprint(counts), "map[rest-forbidden:3 rest-invalid:3 rest-method:3 rest-path:3]"; got != want {
		t.Errorf("noted %s, want %s", got, want)
	}
	st := s.Stats()
	if got, want := fmt.Sprint(st.Served, st.Refused), "map[Publish:3] map[ForbiddenException:6 InvalidRequestException:3 MethodNotAllowedException:3 ResourceNotFoundException:3]"; got != want {
		t.Errorf("counted %s, want %s", got, want)
	}
	for reason := range counts {
		if n := strings.Count(s.log.String(), reason); n != 1 {
			t.Errorf("the log tells %s %d times:\n%s", reason, n, &s.log)
		}
	}
}
