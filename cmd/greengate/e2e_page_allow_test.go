package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"greengate/core/admin"
)

// Somebody sees a refused flow, looks at the row that would allow it, and adds it.
func TestAllowAtThePage(t *testing.T) {
	b := openBrowser(t)
	s, page := newPageSite(t)
	s.add("panel")
	s.write(read(t, s.file) + "\n# the end of the file, as its owner wrote it\n")
	g := s.startPage(page)
	token := strings.TrimSpace(s.greengate("admin", "token"))
	panel := s.connect("panel")
	panel.subscribe("door/#")
	chatter(t, s)
	b.call("Page.navigate", map[string]any{"url": "http://" + page + "/"}, nil)
	b.shows("refused", nasty)
	why := `document.querySelector("#refused button").click()`
	b.eval(why)
	b.shows("explain-text", "RECEIVER")
	ask := `(() => { const f = document.querySelector("#explain-text form"); f.querySelector("input").value = "panel"; f.querySelector("button").click(); })()`
	b.eval(ask)
	b.shows("explain-text", "Who has logged in can add it here.")
	b.eval(`document.getElementById("explain-close").click()`)

	b.eval(fmt.Sprintf(`document.querySelector("#session input").value = %q; document.querySelector("#session button").click()`, token))
	b.shows("session", "you may act")
	b.eval(why)
	b.until("the question who is to receive", `document.querySelector("#explain-text form") !== null`)
	b.eval(ask)
	click := func(button string) {
		t.Helper()
		b.until("the button "+button, fmt.Sprintf(`[...document.querySelectorAll("#explain-text button")].some(b => b.textContent === %q)`, button))
		b.eval(fmt.Sprintf(`[...document.querySelectorAll("#explain-text button")].find(b => b.textContent === %q).click()`, button))
	}
	click("Allow it")
	b.shows("explain-text", "in "+s.file+" and is in force at once")
	b.screenshot("allow")
	b.size(390, 844, true)
	b.until("room for it on a phone", `document.documentElement.scrollWidth <= 390 && document.getElementById("explain").getBoundingClientRect().right <= 390 && document.getElementById("explain").scrollWidth <= document.getElementById("explain").clientWidth`)
	b.screenshot("allow-phone")
	click("Add the row")
	b.shows("explain-text", "It is allowed now, by line ")
	b.screenshot("allowed")
	panel.hears("door/"+nasty, "open")
	text := read(t, s.file)
	if !strings.Contains(text, `topic: "door/`+nasty+`"`) || !strings.Contains(text, "to: panel") || !strings.HasSuffix(text, "# the end of the file, as its owner wrote it\n") {
		t.Errorf("the file is now\n%s", text)
	}
	s.greengate("check")
	for _, want := range []string{`op=allow`, `by="status page"`, "address=127.0.0.1:", "from: intruder", "the group file was taken up"} {
		if !strings.Contains(g.log.String(), want) {
			t.Errorf("the log lacks %s", want)
		}
	}
}

// person is somebody who speaks to the page without a browser.
type person struct {
	t            *testing.T
	url          string
	cookie, word string
}

func (p *person) post(path, body string) (code int, answer string) {
	p.t.Helper()
	r, err := http.NewRequest("POST", p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Cookie", p.cookie)
	r.Header.Set("X-Csrf-Token", p.word)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if c := resp.Cookies(); len(c) > 0 {
		p.cookie = c[0].Name + "=" + c[0].Value
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func (p *person) login(token string) {
	p.t.Helper()
	code, text := p.post("/api/login", fmt.Sprintf(`{"token":%q}`, token))
	var s admin.Session
	if err := json.Unmarshal([]byte(text), &s); code != 200 || err != nil || s.Word == "" {
		p.t.Fatalf("login: %d %s", code, text)
	}
	p.word = s.Word
}

func TestAllowRefuses(t *testing.T) {
	s, page := newPageSite(t)
	s.startPage(page)
	before := read(t, s.file)
	p := &person{t: t, url: "http://" + page}
	const good = `{"from":"intruder","topic":"door","to":"display","row":"- {from: intruder, topic: door, to: display}"}`
	if code, text := p.post("/api/allow", good); code != 401 {
		t.Errorf("without a session: %d %s", code, text)
	}
	p.login(strings.TrimSpace(s.greengate("admin", "token")))
	word := p.word
	p.word = "x"
	if code, text := p.post("/api/allow", good); code != 403 {
		t.Errorf("without the word of the session: %d %s", code, text)
	}
	p.word = word
	for _, c := range []struct {
		body string
		code int
		says string
	}{
		{`{`, 400, "the request is not"},
		{strings.Repeat("x", 70_000), 413, "too large"},
		{`{"from":"intruder","topic":"door","to":"display","row":"- {from: intruder, topic: \"#\", to: display}"}`, 409, "another one now"},
		{`{"from":"intruder","topic":"door","row":"- {from: intruder, topic: door, to: RECEIVER}"}`, 422, "who is to receive"},
		{`{"from":"nobody","topic":"door","to":"display","row":"x"}`, 422, "no device of this group"},
		{`{"from":"intruder","topic":"door/#","to":"display","row":"x"}`, 422, "--topic"},
		{`{"from":"sensor","topic":"room/1","to":"display","row":"x"}`, 409, "allowed already"},
		{`{"from":"intruder","topic":"door","to":"gpio:none","row":"- {from: intruder, topic: door, to: gpio:none}"}`, 422, "no pin of this group"},
	} {
		if code, text := p.post("/api/allow", c.body); code != c.code || !strings.Contains(text, c.says) {
			t.Errorf("%.90s: %d %s", c.body, code, text)
		}
	}
	if after := read(t, s.file); after != before {
		t.Errorf("the file was changed:\n%s", after)
	}
	if code, text := p.post("/api/allow", good); code != 200 || !strings.Contains(text, `"generation":2`) {
		t.Errorf("the good one: %d %s", code, text)
	}
}

// A service may not write its own group file: then the page says what a person does.
func TestAllowWhereTheFileIsRoots(t *testing.T) {
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("there is no setpriv here")
	}
	s, page := newPageSite(t)
	token := strings.TrimSpace(s.greengate("admin", "token"))
	if err := os.Chmod(s.dir, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(s.dir, 0o755) })
	run := s.prepare("run")
	if os.Geteuid() == 0 { // whom no mode of a folder stops
		run.Args = append([]string{setpriv, "--bounding-set=-dac_override", run.Path}, run.Args[1:]...)
		run.Path = setpriv
	}
	s.startBy(run)
	eventually(t, "the page is served", func() bool {
		c, err := net.Dial("tcp", page)
		return err == nil && c.Close() == nil
	})
	before := read(t, s.file)
	p := &person{t: t, url: "http://" + page}
	p.login(token)
	resp, err := http.Get(p.url + "/api/allow")
	if err != nil {
		t.Fatal(err)
	}
	var may bytes.Buffer
	_, _ = may.ReadFrom(resp.Body)
	_ = resp.Body.Close()
	code, text := p.post("/api/allow", `{"from":"intruder","topic":"door","to":"display","row":"- {from: intruder, topic: door, to: display}"}`)
	if code != 422 {
		t.Errorf("%d", code)
	}
	for _, said := range []string{may.String(), text} {
		for _, want := range []string{"cannot write " + s.file, "under subscriptions:", "greengate reload"} {
			if !strings.Contains(said, want) {
				t.Errorf("%s does not say %s", said, want)
			}
		}
	}
	if !strings.Contains(may.String(), `"writable":false`) || !strings.Contains(text, "- {from: intruder, topic: door, to: display}") || read(t, s.file) != before {
		t.Errorf("%s\n%s", may.String(), text)
	}
}
