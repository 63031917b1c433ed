package main_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"greengate/core/admin/client"
)

// nasty is what a device may call things by.
const nasty = `<img src=x onerror=pwned=1><script>pwned=1</script>`

// newPageSite is a site with a status page, pins and a device that may not do all.
func newPageSite(t *testing.T) (*site, string) {
	t.Helper()
	s, page := newSite(t, "sensor", "display", "intruder"), freeAddress(t, "127.0.0.1")
	s.set(page, "admin", "listen")
	s.set(map[string]any{
		"driver":  "sim",
		"leds":    []map[string]any{{"name": "red", "pin": "GPIO17", "safe": "off"}},
		"buttons": []map[string]any{{"name": "bell", "pin": "GPIO22", "topic": "home/bell"}},
	}, "gpio")
	s.set([]map[string]any{{"name": "sleeper", "command": []string{"/bin/sleep", "600"}, "dir": t.TempDir()}}, "functions")
	s.rows(row{From: "sensor", Topic: "room/#", To: "display"}, row{From: "gpio:bell", Topic: "home/bell", To: "gpio:red"})
	return s, page
}

// startPage starts the gateway, and waits until it serves its page.
func (s *site) startPage(page string) *gateway {
	s.t.Helper()
	g := s.start()
	eventually(s.t, "the page is served at "+page, func() bool {
		c, err := net.Dial("tcp", page)
		return err == nil && c.Close() == nil
	})
	return g
}

// chatter publishes allowed and refused messages, with nasty topics among them, until
// the test ends.
func chatter(t *testing.T, s *site) {
	t.Helper()
	sensor, intruder, display := s.connect("sensor"), s.connect("intruder"), s.connect("display")
	display.subscribe("room/#")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			sensor.publish(fmt.Sprint("room/", n%5), "21")
			intruder.publish("door/"+nasty, "open")
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
}

func TestLivePage(t *testing.T) {
	b := openBrowser(t)
	s, page := newPageSite(t)
	s.startPage(page)
	token := strings.TrimSpace(s.greengate("admin", "token"))
	s.greengate("shadow", "update", "sensor", fmt.Sprintf(`{"state":{"desired":{"mode":"eco"},"reported":{"mode":"on","text":%q}}}`, nasty))
	chatter(t, s)
	b.call("Page.navigate", map[string]any{"url": "http://" + page + "/"}, nil)
	b.until("the page", `document.readyState === "complete" && document.getElementById("pills") !== null`)

	b.shows("pills", "no faults")
	b.shows("device-count", "3 of 3 connected")
	b.shows("shadows", `"mode": "eco"`)
	b.until("a dot that moves", `document.querySelectorAll("#flow circle.delivered").length > 0`)
	b.until("a red dot", `document.querySelectorAll("#flow circle.refused").length > 0`)
	b.shows("refused", nasty)
	b.shows("pins", "red: off")
	b.shows("functions", "sleeper")

	b.eval(`document.querySelector("#refused button").click()`)
	b.until("the reason of a refusal", `document.getElementById("explain").open && document.getElementById("explain-text").textContent.includes("intruder")`)
	b.screenshot("explain")
	b.eval(`document.getElementById("explain-close").click()`)
	b.screenshot("page")

	if got := b.eval(`String(typeof pwned) + document.querySelectorAll("img, #refused script, #shadows script").length`); got != "undefined0" {
		t.Errorf("what a device made has become a part of the page: %s", got)
	}
	if got := b.eval(`(() => { try { document.body.innerHTML = "<b>x</b>"; return "let through" } catch (e) { return "refused" } })()`); got != "refused" {
		t.Error("the browser lets markup into the page")
	}

	b.size(390, 844, true)
	b.until("room on a phone", `document.documentElement.scrollWidth <= 390`)
	b.screenshot("phone")
	b.size(1300, 1500, false)
	actAtPage(b, s, token)
}

// actAtPage logs in, presses a button and sets a desired value.
func actAtPage(b *browser, s *site, token string) {
	b.t.Helper()
	if n := b.eval(`[...document.querySelectorAll("button")].filter(b => b.textContent === "press").length`); n != "0" {
		b.t.Errorf("%s buttons act before anybody has logged in", n)
	}
	b.until("a place for the token", `document.querySelector("#session input") !== null`)
	b.eval(fmt.Sprintf(`document.querySelector("#session input").value = %q; document.querySelector("#session button").click()`, token))
	b.shows("session", "you may act")
	b.eval(`[...document.querySelectorAll("#pins button")].find(b => b.textContent === "press").click()`)
	eventually(b.t, "the press of the button has gone its way", func() bool {
		var st client.Status
		if err := json.Unmarshal([]byte(s.greengate("status", "--json")), &st); err != nil {
			b.t.Fatal(err)
		}
		return slices.ContainsFunc(st.Routes, func(r client.Route) bool { return strings.Contains(r.Text, "home/bell") && r.Accepted > 0 })
	})
	b.eval(`(() => { const c = document.querySelector(".shadow"); c.querySelector("textarea").value = '{"mode": "night"}'; c.querySelector("button").click(); })()`)
	eventually(b.t, "the desired value", func() bool { return strings.Contains(s.greengate("shadow", "get", "sensor"), `"night"`) })
	b.shows("shadows", `"mode": "night"`)
	b.screenshot("acting")
	b.eval(`[...document.querySelectorAll("#session button")].find(b => b.textContent === "Log out").click()`)
	b.until("the end of the session", `document.querySelector("#session input") !== null`)
}

// Not on loopback, the page is behind the certificate of the gateway; what the running
// gateway tells Prometheus is as its linter wants it.
func TestMetricsOfARunningGateway(t *testing.T) {
	s, page := newPageSite(t)
	_, port, _ := net.SplitHostPort(page)
	s.set("0.0.0.0:"+port, "admin", "listen")
	s.startPage(page)
	if code := s.connect("intruder").publish("door", "open"); code != 0x87 {
		t.Errorf("the refused message got %#x", code)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: s.tls(tls.Certificate{})}}
	get := func(path string) (int, string) {
		resp, err := client.Get("https://127.0.0.1:" + port + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, text := get(path); code != http.StatusOK || !strings.Contains(text, `{"name":"mqtt","ok":true`) {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	_, text := get("/metrics")
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	for _, line := range []string{
		`greengate_messages_refused_total{reason="no-row"} 1`, `greengate_device_connected{thing="intruder"} 1`,
		`greengate_pin_level{kind="led",pin="red"} 0`, `greengate_store_writable{store="shadow"} 1`,
		`greengate_certificate_not_after_timestamp_seconds{certificate="the server certificate"} `, `greengate_config_generation 1`,
	} {
		if !strings.Contains(text, "\n"+line) {
			t.Errorf("there is no %s in\n%s", line, text)
		}
	}
}

// A disk that takes nothing: /readyz says which store is not well, and a restart would not
// help.
func TestReadyzNamesTheStore(t *testing.T) {
	s, page := newPageSite(t)
	g := s.startPage(page)
	sensor := s.connect("sensor")
	get := func(path string) (int, string) {
		t.Helper()
		resp, err := http.Get("http://" + page + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	report := func() {
		if err := sensor.send("$aws/things/sensor/shadow/update", fmt.Sprintf(`{"state":{"reported":{"text":%q}}}`, strings.Repeat("x", 5000)), 0); err != nil {
			t.Fatal(err)
		}
	}
	g.fileLimit(1)
	report()
	var code int
	var text string
	eventually(t, "/readyz names the store", func() bool {
		code, text = get("/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(text, `{"name":"store of shadow","ok":false,"needed":true,"problem":"`)
	}, &text)
	if code, text := get("/healthz"); code != http.StatusOK || !strings.Contains(text, `{"name":"store of shadow","ok":false,"needed":false`) {
		t.Errorf("/healthz: %d %s", code, text)
	}
	if _, text := get("/metrics"); !strings.Contains(text, "\n"+`greengate_store_writable{store="shadow"} 0`) {
		t.Error("the metrics do not tell")
	}
	g.fileLimit(math.MaxUint64)
	eventually(t, "all is well again", func() bool {
		report()
		code, text = get("/readyz")
		return code == http.StatusOK
	}, &text)
}

// A port that the file names and that is taken keeps the gateway from starting.
func TestPagePortIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := newSite(t)
	s.set(l.Addr().String(), "admin", "listen")
	if said := s.fails(2, "run"); !strings.Contains(said, "open the status page at "+l.Addr().String()) || !strings.Contains(said, "address already in use") {
		t.Errorf("run said %s", said)
	}
}
