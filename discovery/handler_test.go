package discovery

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/core/pki"
)

const discoverDev = "GET /greengrass/discover/thing/dev:1_a-b HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n"

// pythonV1Length and pythonV1Status are how the Python SDK v1 of AWS reads a
// head (discoveryInfoProvider.py).
var (
	pythonV1Length = regexp.MustCompile(`content-length: ([0-9]+)\r\n`)
	pythonV1Status = regexp.MustCompile(`^HTTP/1\.1 ([0-9]{3}) `)
	anyLength      = regexp.MustCompile(`(?i)content-length:`)
)

// checkHead fails unless every client of AWS can read that answer; it returns
// status and body.
func checkHead(t *testing.T, answer string) (status int, body string) {
	t.Helper()
	head, body, ok := strings.Cut(answer, "\r\n\r\n")
	if !ok {
		t.Fatalf("no end of the head in %q", answer)
	}
	head += "\r\n"
	line := pythonV1Status.FindStringSubmatch(head)
	length := pythonV1Length.FindStringSubmatch(head)
	if line == nil || length == nil {
		t.Fatalf("the Python SDK v1 cannot read the head %q", head)
	}
	if n := len(anyLength.FindAllString(head, -1)); n != 1 {
		t.Errorf("%d lengths in the head %q", n, head)
	}
	if strings.Contains(strings.ToLower(head), "transfer-encoding") {
		t.Errorf("the head is chunked: %q", head)
	}
	if length[1] != strconv.Itoa(len(body)) {
		t.Errorf("the length is %s, the body %d bytes", length[1], len(body))
	}
	if !strings.Contains(head, "\r\ncontent-type: application/json\r\n") || !json.Valid([]byte(body)) {
		t.Errorf("the answer is not JSON: %q", answer)
	}
	status, _ = strconv.Atoi(line[1])
	return status, body
}

func TestDiscoveryTellsTheCore(t *testing.T) {
	s := newSite(t)
	status, body := checkHead(t, s.say("dev:1_a-b", discoverDev))
	if status != 200 {
		t.Fatalf("status %d: %s", status, body)
	}
	ca, _ := json.Marshal(string(s.ca.pem))
	want := `{"GGGroups":[{"GGGroupId":"home","Cores":[{"thingArn":"arn:aws:iot:eu-west-1:123456789012:thing/home_Core",` +
		`"Connectivity":[{"Id":"127.0.0.1","HostAddress":"127.0.0.1","PortNumber":8883,"Metadata":""}]}],"CAs":[` + string(ca) + `]}]}`
	if body != want {
		t.Errorf("body\n%s\nwant\n%s", body, want)
	}
	if used := s.ids.usedNow(); used != "dev:1_a-b" {
		t.Errorf("used certificates: %q", used)
	}
	if st := s.Stats(); st.Served != 1 || len(st.Refused) != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestErrorsAreJSONThatAllClientsRead(t *testing.T) {
	s := newSite(t)
	stranger := newAuthority(t)
	for _, c := range []struct {
		name, thing, request string
		status               int
		reason, header       string
	}{
		{"not on record", "gone", discoverDev, 401, pki.NotOnRecord, "x-amzn-errortype: UnauthorizedException"},
		{"unknown path, not on record", "gone", "GET / HTTP/1.1\r\nHost: gw\r\n\r\n", 401, pki.NotOnRecord, "connection: close"},
		{"another thing", "other", discoverDev, 403, reasonOtherThing, "x-amzn-errortype: ForbiddenException"},
		{"no such path", "other", "GET /nothing HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n", 404, reasonUnknownPath, "x-amzn-errortype: ResourceNotFoundException"},
		{"no thing", "other", "GET /greengrass/discover/thing/ HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n", 404, reasonUnknownPath, ""},
		{"more path", "other", "GET /greengrass/discover/thing/other/x HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n", 404, reasonUnknownPath, ""},
		{"slashes that are none", "other", "GET /greengrass%2Fdiscover/thing/other HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n", 404, reasonUnknownPath, ""},
		{"escaped twice", "dev:1_a-b", "GET /greengrass/discover/thing/dev%253A1_a-b HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n", 403, reasonOtherThing, ""},
		{"large body", "other", "POST /x HTTP/1.1\r\nHost: gw\r\nContent-Length: 2000000\r\n\r\n" + strings.Repeat("x", 2000000), 404, reasonUnknownPath, "connection: close"},
		{"a body", "other", "POST /greengrass/discover/thing/other HTTP/1.1\r\nHost: gw\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", 405, reasonMethod, "allow: GET, HEAD"},
		{"nonsense", "other", "nonsense\r\n\r\n", 400, reasonBadRequest, "connection: close"},
		{"bad escape", "other", "GET /greengrass/discover/thing/%zz HTTP/1.1\r\nHost: gw\r\n\r\n", 400, reasonBadRequest, ""},
		{"NUL", "other", "GET /greengrass\x00 HTTP/1.1\r\nHost: gw\r\n\r\n", 400, reasonBadRequest, ""},
		{"no host", "other", "GET /greengrass/discover/thing/other HTTP/1.1\r\n\r\n", 400, reasonBadRequest, ""},
		{"two lengths", "other", "GET / HTTP/1.1\r\nHost: gw\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, reasonBadRequest, ""},
		{"large head", "other", "GET / HTTP/1.1\r\nHost: gw\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", 431, reasonBadRequest, ""},
		{"large path", "other", "GET /" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\nHost: gw\r\n\r\n", 431, reasonBadRequest, ""},
		{"HTTP/2 by heart", "other", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, reasonBadRequest, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := s.Stats().Refused[c.reason]
			answer := s.say(c.thing, c.request)
			status, body := checkHead(t, answer)
			var told struct{ Message string }
			if err := json.Unmarshal([]byte(body), &told); err != nil || told.Message == "" {
				t.Errorf("the body %s has no message", body)
			}
			if status != c.status || !strings.Contains(answer, c.header) {
				t.Errorf("want %d and %q, got %s", c.status, c.header, answer)
			}
			if after := s.Stats().Refused[c.reason]; after != before+1 {
				t.Errorf("reason %s was counted %d times", c.reason, after-before)
			}
		})
	}
	t.Run("foreign certificate", func(t *testing.T) {
		c := s.client("other")
		c.Certificates = []tls.Certificate{stranger.issue(t, "other")}
		conn := s.dial(c)
		io.WriteString(conn, discoverDev)
		if status, _ := checkHead(t, readAll(t, conn)); status != 401 {
			t.Errorf("status %d", status)
		}
	})
	if used := s.ids.usedNow(); used != "" {
		t.Errorf("refused clients have used certificates: %q", used)
	}
}

func TestWaysToWriteAThing(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{
		"/greengrass/discover/thing/dev:1_a-b", "/greengrass/discover/thing/dev%3A1_a-b",
		"/greengrass/discover/thing/dev%3a1%5Fa%2Db", "/greengrass/discover/thing/dev:1_a-b?x=1", "https://gw:8443/greengrass/discover/thing/dev:1_a-b",
	} {
		if status, body := checkHead(t, s.say("dev:1_a-b", "GET "+path+" HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n")); status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	head := s.say("other", "HEAD /greengrass/discover/thing/other HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(head, "HTTP/1.1 200 OK\r\n") || !strings.HasSuffix(head, "\r\n\r\n") || strings.Contains(head, "content-length: 0\r\n") {
		t.Errorf("HEAD: %q", head)
	}
	if old := s.say("other", "GET /greengrass/discover/thing/other HTTP/1.0\r\n\r\n"); !strings.HasPrefix(old, "HTTP/1.1 200 OK\r\n") {
		t.Errorf("HTTP/1.0: %q", old)
	}
}

func TestNetHTTPClientKeepsItsConnectionUntilRemoved(t *testing.T) {
	s := newSite(t)
	transport := &http.Transport{TLSClientConfig: s.client("other"), ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	var reused bool
	get := func() int {
		trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }}
		r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", "https://"+s.addr+"/greengrass/discover/thing/other", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		io.Copy(io.Discard, answer.Body)
		return answer.StatusCode
	}
	for i := range 5 {
		if status := get(); status != 200 || reused != (i > 0) {
			t.Fatalf("request %d: status %d, connection used again: %v", i, status, reused)
		}
	}
	s.ids.remove("other")
	if status := get(); status != 401 || !reused {
		t.Errorf("a removed device got %d on the connection that it had (used again: %v)", status, reused)
	}
	if get(); reused {
		t.Error("a stranger kept its connection")
	}
}

func TestManyAtOnce(t *testing.T) {
	// All are of one address: on a busy machine a handshake may take longer than one of several has.
	s := newSite(t, func(_ *Options, l *limits) { l.conns, l.crowded = 4, time.Hour })
	c := s.client("other")
	const clients, each = 20, 5
	var all sync.WaitGroup
	failed := make(chan error, clients*each)
	for range clients {
		all.Go(func() {
			transport := &http.Transport{TLSClientConfig: c}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
			for range each {
				r, err := client.Get("https://" + s.addr + "/greengrass/discover/thing/other")
				if err == nil {
					_, err = io.Copy(io.Discard, r.Body)
					r.Body.Close()
				}
				if err == nil && r.StatusCode != 200 {
					err = fmt.Errorf("status %d", r.StatusCode)
				}
				if err != nil {
					failed <- err
				}
			}
		})
	}
	all.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	if served := s.Stats().Served; served != clients*each {
		t.Errorf("served %d of %d", served, clients*each)
	}
}
