package admin_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"greengate/core/admin"
	"greengate/core/admin/client"
)

// ask sends a request and returns the answer with its body read.
func ask(t *testing.T, c *http.Client, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	url := open(t, newPage(t))
	for _, path := range []string{"/", "/metrics", "/healthz", "/api/status", "/none", "/../etc/passwd"} {
		resp, _ := ask(t, http.DefaultClient, "GET", url+path, "")
		policy := resp.Header.Get("Content-Security-Policy")
		for _, word := range []string{"default-src 'none'", "frame-ancestors 'none'", "script-src 'sha256-", "style-src 'sha256-", "require-trusted-types-for 'script'", "base-uri 'none'", "form-action 'none'"} {
			if !strings.Contains(policy, word) {
				t.Errorf("%s: the policy lacks %s: %s", path, word, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || resp.Header.Get("X-Frame-Options") != "DENY" || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, resp.Header)
		}
	}
	// The name of a stranger's that leads to this machine.
	for host, want := range map[string]int{"evil.example:8080": 421, "localhost:1": 200, "[::1]": 200, "127.0.0.1": 200, "192.168.1.7:8080": 421, "": 400} {
		if host == "" {
			continue // net/http's client fills it in
		}
		if resp, _ := ask(t, http.DefaultClient, "GET", url+"/api/status", "", "Host", host); resp.StatusCode != want {
			t.Errorf("Host %s: %d", host, resp.StatusCode)
		}
	}
}

// The file asks nobody but its own server for anything.
func TestPageIsWhole(t *testing.T) {
	_, text := ask(t, http.DefaultClient, "GET", open(t, newPage(t))+"/", "")
	for _, word := range []string{"innerHTML", "insertAdjacent", "document.write", "eval(", "<link", "src=", "@import", " style=", " onclick="} {
		if strings.Contains(text, word) {
			t.Errorf("the page has %q", word)
		}
	}
	if n := strings.Count(text, "http"); n != strings.Count(text, "http://www.w3.org/2000/svg") {
		t.Errorf("the page names another host (%d times http)", n)
	}
}

// actingPage is a page with a token and something that only those do who may.
func actingPage(t *testing.T) (url, token, file string, done func() int) {
	t.Helper()
	token, hash := admin.NewToken()
	file = filepath.Join(t.TempDir(), "admin-token")
	if err := os.WriteFile(file, []byte(hash+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, n := newPage(t, func(o *admin.PageOptions) { o.Token = file }), 0
	p.HandleActing("POST /api/act", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { n++ }))
	return open(t, p), token, file, func() int { return n }
}

// raw sends bytes and returns the first line of the answer.
func raw(t *testing.T, url, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(conn).ReadString('\n') // an answer that breaks off shows as it is
	return line
}

const asJSON = "application/json"

func TestActing(t *testing.T) {
	url, token, file, done := actingPage(t)
	jar, _ := cookiejar.New(nil) // has no error
	c := &http.Client{Jar: jar}
	act := func(headers ...string) int {
		resp, _ := ask(t, c, "POST", url+"/api/act", "", headers...)
		return resp.StatusCode
	}
	if code := act(); code != http.StatusUnauthorized {
		t.Errorf("without a session: %d", code)
	}
	for kind, want := range map[string]int{"text/plain": 415, "application/x-www-form-urlencoded": 415, "": 415} {
		if resp, _ := ask(t, c, "POST", url+"/api/login", `{"token":"`+token+`"}`, "Content-Type", kind); resp.StatusCode != want {
			t.Errorf("a login as %q: %d", kind, resp.StatusCode)
		}
	}
	resp, body := ask(t, c, "POST", url+"/api/login", `{"token":"`+token+`"}`, "Content-Type", asJSON)
	cookie := resp.Header.Get("Set-Cookie")
	if resp.StatusCode != 200 || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") {
		t.Fatalf("login: %d %s, cookie %s", resp.StatusCode, body, cookie)
	}
	_, word, _ := strings.Cut(body, `"csrf":"`)
	word, _, _ = strings.Cut(word, `"`)
	for name, headers := range map[string][]string{
		"no word":      nil,
		"wrong word":   {"X-Csrf-Token", "x"},
		"another site": {"X-Csrf-Token", word, "Sec-Fetch-Site", "cross-site"},
		"other origin": {"X-Csrf-Token", word, "Origin", "http://evil.example"},
	} {
		if code := act(headers...); code != http.StatusForbidden || done() != 0 {
			t.Errorf("%s: %d", name, code)
		}
	}
	if code := act("X-Csrf-Token", word, "Sec-Fetch-Site", "same-origin"); code != 200 || done() != 1 {
		t.Errorf("with all: %d", code)
	}
	if text, _ := os.ReadFile(file); strings.Contains(string(text), token) {
		t.Error("the token itself is on disk")
	}
	_, hash := admin.NewToken()
	if err := os.WriteFile(file, []byte(hash), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := act("X-Csrf-Token", word); code != http.StatusUnauthorized {
		t.Errorf("a new token has not ended the session: %d", code)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if resp, body := ask(t, c, "POST", url+"/api/login", `{"token":""}`, "Content-Type", asJSON); resp.StatusCode != 403 || !strings.Contains(body, "greengate admin token") {
		t.Errorf("without a token: %d %s", resp.StatusCode, body)
	}
}

// Who guesses is told to stop, and does not keep out who has the token.
func TestGuessing(t *testing.T) {
	url, token, _, _ := actingPage(t)
	for n := range 7 {
		want := http.StatusUnauthorized
		if n >= 5 {
			want = http.StatusTooManyRequests
		}
		if resp, _ := ask(t, http.DefaultClient, "POST", url+"/api/login", `{"token":"x"}`, "Content-Type", asJSON); resp.StatusCode != want {
			t.Errorf("guess %d: %d", n, resp.StatusCode)
		}
	}
	if resp, _ := ask(t, http.DefaultClient, "POST", url+"/api/login", `{"token":"`+token+`"}`, "Content-Type", asJSON); resp.StatusCode != http.StatusOK {
		t.Errorf("the right one: %d", resp.StatusCode)
	}
}

func TestOversizedRequests(t *testing.T) {
	url, _, _, _ := actingPage(t)
	if answer := raw(t, url, "POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 413 ") {
		t.Errorf("a body of 1 MiB: %s", answer)
	}
	// One that does not say how long it is, and whose client reads when it has ended.
	chunk := "8000\r\n" + strings.Repeat(" ", 0x8000) + "\r\n"
	head := "POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
	if answer := raw(t, url, head+chunk+chunk+"1\r\nx\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
		t.Errorf("an endless body: %s", answer)
	}
	if answer := raw(t, url, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: "+strings.Repeat("x", 64<<10)+"\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 431 ") {
		t.Errorf("a head of 64 KiB: %s", answer)
	}
	if _, text := get(t, url+"/metrics"); !strings.Contains(text, `greengate_admin_refused_total{reason="body"} 1`) {
		t.Error("what was refused is not counted")
	}
}

// Whatever nonsense comes to the door is answered, or cut off, and counted.
func TestTurnedAwayIsCounted(t *testing.T) {
	url, _, _, _ := actingPage(t)
	const head = " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
	for _, c := range []struct{ sent, answer, reason string }{
		{"GET /none" + head + "\r\n", "HTTP/1.1 404", "http-404"},
		{"GET /api/status/%2e%2e/%2e%2e/etc/passwd" + head + "\r\n", "HTTP/1.1 404", "http-404"},
		{"GET /../../etc/passwd" + head + "\r\n", "HTTP/1.1 307", ""}, // to /etc/passwd, which is not there
		{"POST /metrics" + head + "Content-Length: 0\r\n\r\n", "HTTP/1.1 405", "http-405"},
		{"POST /api/login" + head + "Content-Type: application/json\r\nContent-Length: 1\r\n\r\n{", "HTTP/1.1 400", "login"},
		{"POST /api/act" + head + "Content-Length: 0\r\n\r\n", "HTTP/1.1 401", "session"},
		{"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "HTTP/1.1 421", "host"},
		{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "HTTP/1.1 400", "no-request"}, // TLS
		{"GET /" + strings.Repeat("x", 40_000) + head + "\r\n", "HTTP/1.1 431", "no-request"},
	} {
		before := turnedAway(t, url)
		if line := raw(t, url, c.sent); !strings.HasPrefix(line, c.answer) {
			t.Errorf("%.60q: %q, want %s", c.sent, line, c.answer)
		}
		if c.reason == "" {
			continue
		}
		for end := time.Now().Add(time.Minute); turnedAway(t, url)[c.reason] != before[c.reason]+1; { // when the connection has ended
			if time.Now().After(end) {
				t.Errorf("%.60q: %v, before %v, want one more of %s", c.sent, turnedAway(t, url), before, c.reason)
				break
			}
		}
	}
}

// turnedAway are the counts of what was.
func turnedAway(t *testing.T, url string) map[string]float64 {
	t.Helper()
	_, text := get(t, url+"/metrics")
	counts := map[string]float64{}
	if family := read(t, text)["greengate_admin_refused_total"]; family != nil {
		for _, m := range family.Metric {
			counts[m.Label[0].GetValue()] = m.Counter.GetValue()
		}
	}
	return counts
}

// Everywhere but on loopback there is TLS, and the cookie goes over nothing else.
func TestOutsideLoopbackIsTLS(t *testing.T) {
	helper := httptest.NewUnstartedServer(nil)
	helper.StartTLS()
	defer helper.Close()
	token, hash := admin.NewToken()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(hash), 0o600); err != nil {
		t.Fatal(err)
	}
	var exhausted atomic.Bool
	p := newPage(t, func(o *admin.PageOptions) {
		o.Listen, o.Token, o.TLS = "0.0.0.0:0", file, &tls.Config{Certificates: helper.TLS.Certificates}
		o.Admit = func(net.Conn) bool { return !exhausted.Load() }
	})
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(open(t, p), "http://"))
	c := helper.Client()
	resp, _ := ask(t, c, "POST", "https://127.0.0.1:"+port+"/api/login", `{"token":"`+token+`"}`, "Content-Type", asJSON)
	if cookie := resp.Header.Get("Set-Cookie"); resp.StatusCode != 200 || !strings.HasPrefix(cookie, "__Host-") || !strings.Contains(cookie, "Secure") {
		t.Errorf("%d, cookie %s", resp.StatusCode, cookie)
	}
	if resp, _ := ask(t, http.DefaultClient, "GET", "http://127.0.0.1:"+port+"/healthz", ""); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("without TLS: %d", resp.StatusCode)
	}
	exhausted.Store(true)
	if conn, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{InsecureSkipVerify: true}); err == nil {
		_ = conn.Close()
		t.Error("an address that has had its handshakes gets another")
	}
	if n := p.Refused()["handshakes"]; n != 1 {
		t.Errorf("%d handshakes are counted as refused, want 1", n)
	}
}

// A port that is taken is told in the status.
func TestTakenPortIsAFault(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := newPage(t, func(o *admin.PageOptions) { o.Listen = l.Addr().String() })
	if p.Listen() == nil {
		t.Fatal("a port has two listeners")
	}
	var s client.Status
	p.Report(&s)
	if len(s.Faults) != 1 || !strings.Contains(s.Faults[0].Message, "in use") || s.Faults[0].NextStep == "" || len(s.Listeners) != 0 {
		t.Errorf("got %+v", s.Faults)
	}
	run(t, p.Run) // and it waits, and ends
}
