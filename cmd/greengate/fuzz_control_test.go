package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"greengate/core/admin/client"
)

// FuzzControl sends the control socket of a whole gateway anything. It answers with one of
// few statuses and never with a fault of its own, in words; nothing panics; and the table
// in force stays what the group file says.
func FuzzControl(f *testing.F) {
	for _, text := range controlSeeds {
		f.Add([]byte(text))
	}
	g := openControl(f)
	rows := g.current().rows
	f.Fuzz(func(t *testing.T, raw []byte) {
		q, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil || len(raw) > 64<<10 {
			return // net/http refuses it
		}
		ctx, cancel := context.WithTimeout(q.Context(), 10*time.Second)
		defer cancel()
		switch path := q.URL.Path; {
		case path == "/v1/watch": // it would not end
			cancel()
		case strings.HasPrefix(path, "/v1/gpio/"): // a press may be long
			var short context.CancelFunc
			ctx, short = context.WithTimeout(ctx, 5*time.Millisecond)
			defer short()
		}
		w := httptest.NewRecorder()
		g.admin.ServeHTTP(w, q.WithContext(ctx))
		judgeControl(t, q, w, ctx.Err() != nil)
		if n := g.current().rows; n != rows {
			t.Fatalf("%s %s: there are %d rows in force, not %d", q.Method, q.URL, n, rows)
		}
	})
}

func judgeControl(t *testing.T, q *http.Request, w *httptest.ResponseRecorder, gone bool) {
	statuses := []int{200, 301, 307, 400, 404, 405, 409, 413, 415, 422, 429}
	if gone {
		statuses = append(statuses, 500, 503) // to nobody
	}
	if !slices.Contains(statuses, w.Code) {
		t.Errorf("%s %s: %d %.300s", q.Method, q.URL, w.Code, w.Body)
	}
	if w.Header().Get("Content-Type") != "application/json" {
		return
	}
	if !json.Valid(w.Body.Bytes()) {
		t.Errorf("%s %s: %.300q is not JSON", q.Method, q.URL, w.Body)
	}
	var told client.Failure
	if w.Code != http.StatusOK && (json.Unmarshal(w.Body.Bytes(), &told) != nil || told.Error == "") {
		t.Errorf("%s %s: %d without a reason: %.300q", q.Method, q.URL, w.Code, w.Body)
	}
}

const controlGroup = `version: 1
group: home
core: c_Core
broker: {listen: ["127.0.0.1:0"]}
discovery: {listen: ["127.0.0.1:0"], announce: false}
admin: {listen: ""}
devices:
  - {thing: switch, labels: [a], certificate: "sha256:%064x"}
  - {thing: lamp, certificate: "sha256:%064x"}
subscriptions:
  - {from: switch, topic: light/#, to: lamp}
  - {from: "label:a", topic: up, to: cloud}
gpio:
  driver: sim
  leds: [{name: red, pin: GPIO17, thing: lamp, key: property, on: R}]
  buttons: [{name: bell, pin: GPIO22, topic: bell}]
cloud: {endpoint: localhost, port: 1, certificate: no.pem, key: no.pem, ca: no.pem}
`

// openControl runs a gateway until the test ends.
func openControl(tb testing.TB) *gateway {
	dir := tb.TempDir()
	file := filepath.Join(dir, "site", groupFile)
	var out bytes.Buffer
	a := &app{stdout: &out, stderr: &out}
	if code := a.main(context.Background(), []string{"init", filepath.Dir(file), "--core", "c_Core", "--key", "p-256"}); code != exitDone {
		tb.Fatal(&out)
	}
	if err := os.WriteFile(file, fmt.Appendf(nil, controlGroup, 1, 2), 0o600); err != nil {
		tb.Fatal(err)
	}
	a.config = file
	c, err := a.load()
	if err != nil {
		tb.Fatal(err)
	}
	g, err := openGateway(context.Background(), c, slog.New(slog.DiscardHandler), new(slog.LevelVar))
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
		g.close()
	})
	return g
}

var controlSeeds = func() (seeds []string) {
	for _, path := range []string{
		"status", "stores", "goroutines", "explain?from=switch&topic=light/on&to=lamp", "watch?topic=a/%23&payload=true", "functions", "functions/x/logs?lines=9", "functions/quarantine?n=5&function=x",
		"learn?exact=1", "learn/usage", "gpio", "shadow?thing=lamp", "shadow?thing=lamp&name=n", "shadow/history?thing=lamp&limit=5&before=9", "shadow/diff?thing=lamp", "shadows?thing=lamp",
		"spool", "spool/list?limit=9", "spool/export",
	} {
		seeds = append(seeds, "GET /v1/"+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	for path, body := range map[string]string{
		"reload": "", "plan": controlGroup, "functions/x/invoke": `{"payload":"e30=","topic":"a"}`, "functions/requeue": `{"all":true}`, "functions/discard": `{"ids":[1]}`, "learn/start?for=1h": "", "learn/stop": "",
		"gpio/set?name=red&level=on": "", "gpio/press?name=bell&hold=1ms&times=2": "", "gpio/identify?name=red": "", "shadow?thing=lamp": `{"state":{"desired":{"a":1}}}`,
		"shadow/revert?thing=lamp&version=1": "", "spool/requeue": `{"all":true}`, "spool/discard": `{"seqs":[1]}`,
	} {
		seeds = append(seeds, fmt.Sprintf("POST /v1/%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body))
	}
	return append(seeds, "DELETE /v1/shadow?thing=lamp HTTP/1.1\r\nHost: x\r\n\r\n", "GET //v1/../v1/status HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT x:1 HTTP/1.1\r\n\r\n")
}()
