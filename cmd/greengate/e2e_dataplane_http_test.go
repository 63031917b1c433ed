package main_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
)

// The data plane without an SDK: what plain HTTP clients and mean ones meet.

// dataHTTP is a plain HTTPS client with that certificate.
func (s *site) dataHTTP(cert tls.Certificate) func(method, path string, body string) (*http.Response, string) {
	s.t.Helper()
	transport := &http.Transport{TLSClientConfig: s.tls(cert)}
	s.t.Cleanup(transport.CloseIdleConnections)
	client := http.Client{Timeout: patience, Transport: transport}
	return func(method, path, body string) (*http.Response, string) {
		s.t.Helper()
		r, err := http.NewRequest(method, "https://"+s.discovery+path, strings.NewReader(body))
		if err != nil {
			s.t.Fatal(err)
		}
		answer, err := client.Do(r)
		if err != nil {
			s.t.Fatalf("%s %s: %v", method, path, err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			s.t.Fatal(err)
		}
		return answer, string(text)
	}
}

func TestDataPlaneErrorsAreTyped(t *testing.T) {
	t.Parallel()
	s, g := dataSite(t)
	sensor, foreigner := s.dataHTTP(s.identity("sensor")), s.dataHTTP(foreign(t, "sensor"))
	for _, c := range []struct {
		ask          func(string, string, string) (*http.Response, string)
		method, path string
		status       int
		kind         string
	}{
		{foreigner, "POST", "/topics/room%2Fx", 401, "UnauthorizedException"},
		{foreigner, "GET", "/openapi.json", 401, "UnauthorizedException"},
		{sensor, "POST", "/topics/elsewhere", 403, "ForbiddenException"},
		{sensor, "POST", "/topics/$aws%2Fthings%2Fdisplay%2Fshadow%2Fupdate", 403, "ForbiddenException"},
		{sensor, "GET", "/things/display/shadow", 403, "ForbiddenException"},
		{sensor, "GET", "/nothing", 404, "ResourceNotFoundException"},
		{sensor, "GET", "/topics/room%2Fx", 405, "MethodNotAllowedException"},
		{sensor, "OPTIONS", "/topics/room%2Fx", 405, "MethodNotAllowedException"},
		{sensor, "PUT", "/things/sensor/shadow", 405, "MethodNotAllowedException"},
		{sensor, "HEAD", "/things/sensor/shadow", 405, "MethodNotAllowedException"},
		{sensor, "POST", "/topics/room/../x", 400, "InvalidRequestException"},
		{sensor, "POST", "/topics/room%2Fx%00", 400, "InvalidRequestException"},
		{sensor, "POST", "/topics/room%2Fx?qos=2", 400, "InvalidRequestException"},
	} {
		answer, body := c.ask(c.method, c.path, "x")
		var told struct{ Message string }
		if c.method != "HEAD" && (json.Unmarshal([]byte(body), &told) != nil || told.Message == "") {
			t.Errorf("%s %s: the body is %q", c.method, c.path, body)
		}
		h := answer.Header
		if answer.StatusCode != c.status || h.Get("X-Amzn-Errortype") != c.kind || len(h.Get("X-Amzn-Requestid")) != 36 || h.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %d %v, want %d %s", c.method, c.path, answer.StatusCode, h, c.status, c.kind)
		}
	}
	if out := g.greengate("status"); !strings.Contains(out, "rest-method 4") || !strings.Contains(out, "rest-invalid 3") || !strings.Contains(out, "rest-path 1") {
		t.Errorf("status does not tell what was refused:\n%s", out)
	}
}

// TestDataPlanePublishIsSafe: what was answered with 200 at QoS 1 outlives the
// gateway, for a device that is away.
func TestDataPlanePublishIsSafe(t *testing.T) {
	t.Parallel()
	const n = 50
	s, g := dataSite(t)
	display := s.connect("display", kept)
	display.subscribe("room/#")
	display.leave()
	sensor := s.dataHTTP(s.identity("sensor"))
	for i := range n {
		if answer, body := sensor("POST", "/topics/room%2Fn?qos=1", fmt.Sprint(i)); answer.StatusCode != 200 {
			t.Fatalf("%d %s", answer.StatusCode, body)
		}
	}
	g.die()
	s.start()
	display = s.connect("display", kept)
	for i := range n {
		display.hears("room/n", fmt.Sprint(i))
	}
}

// TestDataPlaneRetainedThatIsTooLarge: what is not answered with is not delivered.
func TestDataPlaneRetainedThatIsTooLarge(t *testing.T) {
	t.Parallel()
	s, g := dataSite(t)
	s.connect("sensor").publish("room/large", strings.Repeat("x", 128<<10+1), func(p *paho.Publish) { p.Retain = true })
	display := s.dataHTTP(s.identity("display"))
	before := g.status().Ledger
	if answer, body := display("GET", "/retainedMessage/room%2Flarge", ""); answer.StatusCode != 400 {
		t.Errorf("%d %.100s", answer.StatusCode, body)
	}
	g.counts(before)
}

// TestDataPlaneObeysTheTableInForce: rows and certificates that are gone count
// at once, on connections that stand.
func TestDataPlaneObeysTheTableInForce(t *testing.T) {
	t.Parallel()
	s, g := dataSite(t)
	sensor, display := s.dataHTTP(s.identity("sensor")), s.dataHTTP(s.identity("display"))
	want := func(status int, ask func(string, string, string) (*http.Response, string), method, path string) {
		t.Helper()
		if answer, body := ask(method, path, `{"state":{"desired":{"x":1}}}`); answer.StatusCode != status {
			t.Errorf("%s %s: %d %s, want %d", method, path, answer.StatusCode, body, status)
		}
	}
	want(200, sensor, "POST", "/topics/room%2Fx?retain=true")
	want(200, display, "GET", "/retainedMessage/room%2Fx")
	want(200, display, "POST", "/things/sensor/shadow")
	s.rows()
	g.reload()
	want(403, sensor, "POST", "/topics/room%2Fx")
	want(403, display, "GET", "/retainedMessage/room%2Fx")
	want(403, display, "POST", "/things/sensor/shadow")
	want(200, sensor, "GET", "/things/sensor/shadow") // it is its own
	g.greengate("device", "remove", "sensor")
	want(401, sensor, "GET", "/things/sensor/shadow")
}

// TestDataPlaneNamesTheCertificate: the journal tells who changed a shadow.
func TestDataPlaneNamesTheCertificate(t *testing.T) {
	t.Parallel()
	s, g := dataSite(t)
	display := s.dataHTTP(s.identity("display"))
	if answer, body := display("POST", "/things/sensor/shadow", `{"state":{"desired":{"x":1}}}`); answer.StatusCode != 200 {
		t.Fatalf("%d %s", answer.StatusCode, body)
	}
	if out := g.greengate("shadow", "history", "sensor"); !strings.Contains(out, "display") {
		t.Errorf("the history does not name the display:\n%s", out)
	}
}

// TestDataPlaneThrottles: one client that asks too much does not stop others,
// nor discovery.
func TestDataPlaneThrottles(t *testing.T) {
	t.Parallel()
	s, _ := dataSite(t)
	sensor, display := s.dataHTTP(s.identity("sensor")), s.dataHTTP(s.identity("display"))
	for limit := time.Now().Add(patience); ; {
		answer, _ := sensor("GET", "/retainedMessage", "") // counts for ten
		if answer.StatusCode == 429 {
			if kind := answer.Header.Get("X-Amzn-Errortype"); kind != "ThrottlingException" {
				t.Errorf("the error is %q", kind)
			}
			break
		}
		if answer.StatusCode != 200 || time.Now().After(limit) {
			t.Fatalf("%d", answer.StatusCode)
		}
	}
	if answer, body := display("GET", "/things/display/shadow", ""); answer.StatusCode != 404 {
		t.Errorf("another client: %d %s", answer.StatusCode, body)
	}
	if code, body := s.discover(s.identity("sensor"), "sensor"); code != 200 {
		t.Errorf("discovery: %d %s", code, body)
	}
}

// TestDataPlaneSlowBodies: a client that sends bodies and never ends them holds
// no more than its share, and gets an answer.
func TestDataPlaneSlowBodies(t *testing.T) {
	t.Parallel()
	s, _ := dataSite(t)
	config := s.tls(s.identity("sensor"))
	refused := make(chan string, 40)
	for range 40 {
		conn, err := tls.Dial("tcp", s.discovery, config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /topics/room%%2Fx HTTP/1.1\r\nHost: gw\r\nContent-Length: 1000\r\n\r\nhalf")
		go func() { // 32 wait for the rest of their bodies until the test ends
			head := make([]byte, 64)
			if n, err := conn.Read(head); err == nil {
				refused <- string(head[:n])
			}
		}()
	}
	for range 8 {
		if head := await(t, "a slow client is refused", refused); !strings.HasPrefix(head, "HTTP/1.1 429 ") {
			t.Errorf("a slow client is told %q", head)
		}
	}
	if answer, body := s.dataHTTP(s.identity("display"))("GET", "/things/display/shadow", ""); answer.StatusCode != 404 {
		t.Errorf("another client: %d %s", answer.StatusCode, body)
	}
	if code, body := s.discover(s.identity("sensor"), "sensor"); code != 200 {
		t.Errorf("discovery: %d %s", code, body)
	}
}
