package main_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A real headless Chromium, driven over its debugging pipe: a JSON document and a NUL
// each way (chromedevtools.github.io/devtools-protocol).

// browser is a Chromium with one page.
type browser struct {
	t       testing.TB
	stop    func()
	to      io.Writer
	answers chan browserAnswer
	last    int
	session string
}

type browserAnswer struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// openBrowser starts Chromium until the test ends, or skips the test.
func openBrowser(t *testing.T) *browser {
	t.Helper()
	program := findBrowser()
	if program == "" {
		t.Skip("there is no chromium here: `cmd/demo/setup.sh browser` installs Debian's")
	}
	return startBrowser(t, program)
}

// findBrowser returns the program; empty when there is none.
func findBrowser() string {
	program, _ := exec.LookPath("chromium")
	return program
}

// startBrowser starts a command that becomes Chromium.
func startBrowser(t testing.TB, command ...string) *browser {
	t.Helper()
	downR, downW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	upR, upW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// The sandbox needs rights that root in a container has not; the page is our own.
	cmd := exec.Command(command[0], append(command[1:], "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--hide-scrollbars", "--no-first-run", "--user-data-dir="+filepath.Join(t.TempDir(), "browser"),
		"--remote-debugging-pipe", "--ignore-certificate-errors", "about:blank")...)
	cmd.ExtraFiles = []*os.File{downR, upW} // 3 and 4
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = downR.Close(), upW.Close()
	b := &browser{t: t, to: downW, answers: make(chan browserAnswer, 64)}
	b.stop = sync.OnceFunc(func() {
		_ = downW.Close()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // its own group
		_ = cmd.Wait()
		_ = upR.Close()
	})
	t.Cleanup(b.stop)
	go b.read(upR)
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var session struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	b.session = session.SessionID
	b.size(1300, 1500, false)
	return b
}

func (b *browser) read(from io.Reader) {
	defer close(b.answers)
	for r := bufio.NewReader(from); ; {
		text, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var a browserAnswer
		if json.Unmarshal(text[:len(text)-1], &a) == nil && a.ID > 0 { // the rest are events
			b.answers <- a
		}
	}
}

func (b *browser) call(method string, parameters map[string]any, into any) {
	b.t.Helper()
	b.last++
	text, err := json.Marshal(map[string]any{"id": b.last, "method": method, "params": parameters, "sessionId": b.session})
	if b.session == "" {
		text, err = json.Marshal(map[string]any{"id": b.last, "method": method, "params": parameters})
	}
	if err == nil {
		_, err = b.to.Write(append(text, 0))
	}
	if err != nil {
		b.t.Fatal(err)
	}
	a := await(b.t, "the browser answers "+method, b.answers)
	if a.Error != nil || a.ID != b.last {
		b.t.Fatalf("%s: %+v", method, a.Error)
	}
	if into != nil {
		if err := json.Unmarshal(a.Result, into); err != nil {
			b.t.Fatalf("%s: %v in %s", method, err, a.Result)
		}
	}
}

// eval returns the value of a script as text.
func (b *browser) eval(script string) string {
	b.t.Helper()
	var answer struct {
		Result           struct{ Value any }
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	b.call("Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true}, &answer)
	if x := answer.ExceptionDetails; x != nil {
		b.t.Fatalf("%s: %s", script, x.Exception.Description)
	}
	return fmt.Sprint(answer.Result.Value)
}

// until waits for a script to be true.
func (b *browser) until(what, script string) {
	b.t.Helper()
	eventually(b.t, what, func() bool { return b.eval(script) == "true" })
}

// shows waits until the element shows the text.
func (b *browser) shows(id, text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("%q in #%s", text, id), fmt.Sprintf("(document.getElementById(%q)?.textContent || '').includes(%q)", id, text))
}

func (b *browser) size(width, height int, phone bool) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}, nil)
}

// screenshot keeps a picture of the whole page where $GREENGATE_SCREENSHOTS says.
func (b *browser) screenshot(name string) {
	b.t.Helper()
	var picture struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &picture)
	image, err := base64.StdEncoding.DecodeString(picture.Data)
	if err != nil || !strings.HasPrefix(string(image), "\x89PNG") || len(image) < 10_000 {
		b.t.Fatalf("the picture of the page has %d bytes: %v", len(image), err)
	}
	if folder := os.Getenv("GREENGATE_SCREENSHOTS"); folder != "" {
		if err := os.WriteFile(filepath.Join(folder, name+".png"), image, 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
}
