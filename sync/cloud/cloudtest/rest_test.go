package cloudtest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"greengate/sync/cloud/cloudtest"
)

// caller is an HTTPS client with a thing's certificate.
type caller struct {
	http.Client
	t    *testing.T
	base string
}

func newCaller(t *testing.T, c *cloudtest.Cloud, thing, addr string, protocols ...string) *caller {
	t.Helper()
	settings, err := c.ClientTLS(thing)
	if err != nil {
		t.Fatal(err)
	}
	settings.NextProtos = protocols
	transport := &http.Transport{TLSClientConfig: settings}
	t.Cleanup(transport.CloseIdleConnections)
	return &caller{http.Client{Transport: transport}, t, "https://" + addr}
}

func (x *caller) do(method, path, body string) (status int, answer string, header http.Header) {
	x.t.Helper()
	r, err := http.NewRequestWithContext(within(x.t), method, x.base+path, strings.NewReader(body))
	if err != nil {
		x.t.Fatal(err)
	}
	resp, err := x.Do(r)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error(), nil
	}
	return resp.StatusCode, string(b), resp.Header
}

func TestDataPlane(t *testing.T) {
	c := start(t, cloudtest.Options{})
	for name, x := range map[string]*caller{
		"port 8443":         newCaller(t, c, "one", c.DataAddr()),
		"port 443 and ALPN": newCaller(t, c, "two", c.Addr(), "x-amzn-http-ca"),
	} {
		t.Run(name, func(t *testing.T) {
			x.t = t
			thing := "lamp" + name[len(name)-1:]
			watcher := connect(t, c, "watcher"+thing)
			watcher.subscribe("$aws/things/"+thing+"/shadow/#", "news/#")
			status, answer, header := x.do("POST", "/things/"+thing+"/shadow", `{"state":{"desired":{"on":1}},"clientToken":"t"}`)
			if status != 200 || header.Get("Content-Type") != "application/json" || header.Get("x-amzn-requestid") == "" {
				t.Errorf("update: %d %s %v", status, answer, header)
			}
			sameJSON(t, "update", []byte(answer), `{"state":{"desired":{"on":1}},"metadata":{"desired":{"on":{"timestamp":1}}},"version":1,"timestamp":1,"clientToken":"t"}`)
			if order, _ := watcher.answers("$aws/things/"+thing+"/shadow", 3); order[0] != "update/accepted" {
				t.Errorf("over MQTT: %v", order)
			}
			if status, answer, _ = x.do("GET", "/things/"+thing+"/shadow", ""); status != 200 || !strings.Contains(answer, `"delta":{"on":1}`) {
				t.Errorf("get: %d %s", status, answer)
			}
			if status, answer, header = x.do("POST", "/things/"+thing+"/shadow", `{"state":{},"version":7}`); status != 409 ||
				header.Get("x-amzn-errortype") != "ConflictException" || !strings.Contains(answer, `"message":"Version conflict"`) {
				t.Errorf("conflict: %d %s %v", status, answer, header)
			}
			if status, answer, _ = x.do("GET", "/things/"+thing+"/shadow?name=none", ""); status != 404 {
				t.Errorf("get a named one: %d %s", status, answer)
			}
			if status, _, _ = x.do("PUT", "/things/"+thing+"/shadow", ""); status != 405 {
				t.Errorf("PUT: %d", status)
			}
			if status, answer, _ = x.do("DELETE", "/things/"+thing+"/shadow", ""); status != 200 {
				t.Errorf("delete: %d %s", status, answer)
			}
			if status, answer, _ = x.do("POST", "/topics/news/today?qos=1", "hello"); status != 200 {
				t.Errorf("publish: %d %s", status, answer)
			}
			order, got := watcher.answers("$aws/things/"+thing+"/shadow", 2) // errors and get publish nothing
			if order[0] != "delete/accepted" || string(got["news/today"]) != "hello" {
				t.Errorf("over MQTT: %v", order)
			}
		})
	}
	for _, r := range c.Received() {
		if !r.HTTPS || r.Topic != "news/today" || r.QoS != 1 {
			t.Errorf("received %+v", r)
		}
	}
}

func TestListIsPaged(t *testing.T) {
	c := start(t, cloudtest.Options{Limits: cloudtest.NoRates()})
	x := newCaller(t, c, "core", c.DataAddr())
	for i := range 7 {
		if _, err := c.UpdateShadow("lamp", fmt.Sprintf("s%d", i), []byte(`{"state":{}}`)); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	token, pages := "", 0
	for ; pages < 10; pages++ {
		_, answer, _ := x.do("GET", "/api/things/shadow/ListNamedShadowsForThing/lamp?pageSize=3&nextToken="+token, "")
		var page struct {
			Results   []string
			NextToken string
		}
		if err := json.Unmarshal([]byte(answer), &page); err != nil {
			t.Fatal(err)
		}
		if names, token = append(names, page.Results...), page.NextToken; token == "" {
			break
		}
	}
	if fmt.Sprint(names) != "[s0 s1 s2 s3 s4 s5 s6]" || pages != 2 {
		t.Errorf("%d more pages of %v", pages, names)
	}
	if _, answer, _ := x.do("GET", "/api/things/shadow/ListNamedShadowsForThing/nobody", ""); !strings.Contains(answer, `"results":[]`) {
		t.Errorf("list of an unknown thing: %s", answer)
	}
}

func TestDataPlaneFaults(t *testing.T) {
	c := start(t, cloudtest.Options{Limits: cloudtest.NoRates()})
	x := newCaller(t, c, "core", c.DataAddr())
	update := func() (int, string) {
		status, answer, _ := x.do("POST", "/things/lamp/shadow", `{"state":{}}`)
		return status, answer
	}
	for _, code := range []int{409, 429, 500, 503} {
		c.Change(func(f *cloudtest.Faults) { f.ShadowCode, f.ShadowCount = code, 1 })
		if status, answer := update(); status != code {
			t.Errorf("status %d %s, want %d", status, answer, code)
		}
	}
	c.Change(func(f *cloudtest.Faults) { f.ShadowLost = cloudtest.Always })
	if status, answer := update(); status != 0 || c.Status().Shadows != 0 {
		t.Errorf("a lost request: %d %s", status, answer)
	}
	c.Change(func(f *cloudtest.Faults) { f.ShadowLost, f.ShadowAnswerLost = 0, cloudtest.Always })
	if status, answer := update(); status != 0 || c.Status().Shadows != 1 {
		t.Errorf("a lost answer: %d %s", status, answer)
	}
	c.Heal()
	c.SetPolicy("core", cloudtest.Policy{DenyShadow: true, DenyPublish: []string{"secret"}})
	if status, _ := update(); status != 403 {
		t.Errorf("a denied update: %d", status)
	}
	if status, _, _ := x.do("POST", "/topics/secret", ""); status != 403 {
		t.Errorf("a denied publish: %d", status)
	}
	c.Revoke("core")
	x.CloseIdleConnections()
	if status, answer, _ := x.do("GET", "/things/lamp/shadow", ""); status != 0 {
		t.Errorf("a revoked certificate: %d %s", status, answer)
	}
}
