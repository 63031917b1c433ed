package endpoint_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/functions/endpoint"
)

func TestOwnRuntimes(t *testing.T) {
	python := []string{"/usr/bin/python3", "-m", "greengate_runtime"}
	node := []string{"node", "" /* its file */}
	for _, c := range []struct {
		name            string
		argv            []string
		handler, event  string
		binary          bool
		want            string // the answer
		failure, detail string // or the type of the error, and a part of its message
		ends            bool   // the process ends then
	}{
		{name: "Python, bytes", argv: python, handler: "echo.binary", event: "\x01\xff", binary: true, want: "\xff\x01"},
		{name: "Python, no JSON", argv: python, handler: "echo.handler", event: "{", failure: "Runtime.UnmarshalError", detail: "input"},
		{name: "Python, no JSON back", argv: python, handler: "echo.handler", event: `"unserialisable"`, failure: "Runtime.MarshalError", detail: "set"},
		{name: "Python, decimals", argv: python, handler: "echo.numbers", event: `["5","5.25","12345678901234567890","NaN","sNaN","1E+3"]`,
			want: `[5, 5.25, 12345678901234567890, NaN, NaN, 1000.0]`},
		{name: "Node.js, bytes", argv: node, handler: "echo.binary", event: "\x01\xff", binary: true, want: "\xff\x01"},
		{name: "Node.js, no JSON", argv: node, handler: "echo.handler", event: "{", failure: "Runtime.UnmarshalError", detail: "input"},
		{name: "Node.js, callback", argv: node, handler: "echo.old", event: `{}`, want: `"a/b"`},
		{name: "Node.js, succeed", argv: node, handler: "echo.succeed", event: `{}`, want: `"done"`},
		{name: "Node.js, silent", argv: node, handler: "echo.silent", event: `{}`, want: "null"},
		{name: "Node.js, by its name", argv: []string{"node", "-e", "require('greengate-runtime')"}, handler: "echo.old", event: `{}`, want: `"a/b"`},
		{name: "Node.js, module", argv: node, handler: "module.handler", event: `[1]`, want: "[1]"},
		{name: "Node.js, thrown loose", argv: node, handler: "echo.loose", event: `{}`, failure: "RangeError", detail: "loose", ends: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := functionHouse(t, func(o *endpoint.Options) {
				if c.binary {
					o.Encoding = "binary"
				}
			})
			argv := append([]string(nil), c.argv...)
			if len(argv) == 2 {
				argv[1] = filepath.Join(shims(t), "node", "greengate-runtime.js")
			}
			p := h.start(t, "testdata/functions", nil, append(argv, c.handler))
			got := h.calls.call(t, endpoint.Invocation{ID: "x", Payload: []byte(c.event), Subject: "a/b"})
			switch {
			case c.failure == "" && got.body != c.want:
				t.Errorf("got %+v, want %q", got, c.want)
			case c.failure != "" && (got.failure == nil || got.failure.Type != c.failure || !strings.Contains(got.failure.Message, c.detail)):
				t.Errorf("got %+v, %+v", got, got.failure)
			}
			if c.ends {
				wait(t, p.exit, "end")
			}
		})
	}
}

func TestHandlersThatAreNone(t *testing.T) {
	for handler, want := range map[string]string{"echo": "Runtime.MalformedHandlerName", "echo.nothing": "Runtime.HandlerNotFound"} {
		for _, argv := range [][]string{
			{"/usr/bin/python3", "-m", "greengate_runtime"}, {"node", filepath.Join(shims(t), "node", "greengate-runtime.js")},
			{"node", "-e", "require('greengate-runtime')"}, {"node", "-e", "require('greengate-runtime')", handler},
		} {
			h := functionHouse(t, func(o *endpoint.Options) {
				if argv[len(argv)-1] != handler {
					o.Handler = handler // by _HANDLER
				}
			})
			h.start(t, "testdata/functions", nil, argv)
			if f := wait(t, h.calls.init, "init error"); f.Type != want {
				t.Errorf("%q %s: %+v, want %s", argv, handler, f, want)
			}
		}
	}
}

// What stands behind the handler is the function's own, even where it looks like options.
func TestArguments(t *testing.T) {
	own := []string{"--rate", "5", "-x"}
	for name, argv := range map[string][]string{
		"Python": {"/usr/bin/python3", "-m", "greengate_runtime"}, "Node.js": {"node", filepath.Join(shims(t), "node", "greengate-runtime.js")},
		"Node.js, by its name": {"node", "-e", "require('greengate-runtime')", "--"},
	} {
		for _, handler := range []string{"", "echo.arguments"} { // that of the environment; the other comes first among the arguments
			t.Run(name+" "+handler, func(t *testing.T) {
				h := functionHouse(t, func(o *endpoint.Options) {
					if handler == "" {
						o.Handler = "echo.arguments"
					}
				})
				argv := slices.Clone(argv)
				if handler != "" {
					argv = append(argv, handler)
				}
				h.start(t, "testdata/functions", nil, append(argv, own...))
				got := h.calls.call(t, endpoint.Invocation{ID: "x", Payload: []byte("{}"), Subject: "a"})
				if strings.ReplaceAll(got.body, " ", "") != `["--rate","5","-x"]` {
					t.Errorf("got %+v", got)
				}
			})
		}
	}
}

// What a function logs is told, once: as in AWS, or as basicConfig of its own has it.
func TestPythonLog(t *testing.T) {
	for handler, want := range map[string]string{
		"echo.logs":     `^\[INFO\]\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\tx\theard a\n$`,
		"hello.handler": `^DEBUG:hello:heard a\n$`,
	} {
		h := functionHouse(t, func(o *endpoint.Options) { o.Handler = handler })
		p := h.start(t, "testdata/functions", nil, []string{"/usr/bin/python3", "-m", "greengate_runtime"})
		h.calls.next <- &endpoint.Invocation{ID: "x", Payload: []byte(`"a"`), Subject: "a", Deadline: time.Now().Add(patience)}
		if err := wait(t, p.exit, "end"); err != nil {
			t.Errorf("it ended: %v", err)
		}
		if !regexp.MustCompile(want).MatchString(p.out.String()) {
			t.Errorf("%s wrote %q, want %s", handler, p.out, want)
		}
	}
}

// home is a gateway of a test: it tells what was asked of it.
type home struct {
	mu    sync.Mutex
	asked []string
}

func (h *home) note(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, fmt.Sprintf(format, args...))
}

func (h *home) home() endpoint.Home {
	return endpoint.Home{
		Publish: func(_ context.Context, topic string, payload []byte) error {
			h.note("publish %s %s", topic, payload)
			if topic == "full" {
				return errors.New("the queue is full")
			}
			return nil
		},
		Shadow: func(_ context.Context, op, thing string, payload []byte) ([]byte, error) {
			h.note("%s %s %s", op, thing, payload)
			if thing == "nobody" {
				return nil, &endpoint.ShadowError{Code: 404, Message: "No shadow exists with name: 'nobody'"}
			}
			return []byte(`{"state":{"reported":{"a":"ä"}}}`), nil
		},
		Invoke: func(_ context.Context, function string, payload []byte, async bool) ([]byte, error) {
			h.note("invoke %s %s %v", function, payload, async)
			switch function {
			case "broken":
				return nil, &endpoint.FunctionError{Payload: []byte(`{"errorMessage":"no"}`)}
			case "stranger":
				return nil, errors.New("no row leads to function:stranger")
			}
			return []byte(`"answer"`), nil
		},
	}
}

// wantHome are the requests that the functions of Greengrass V1 below make.
const wantHome = `publish a/ä {"x": 1}
publish full lost
publish full told
get lamp 
update lamp {"state":{}}
delete lamp 
get nobody 
invoke other {"y": 2} false
invoke other {} true
invoke broken  false
invoke broken  true
invoke stranger  false`

func (h *home) check(t *testing.T) {
	t.Helper()
	if got := strings.Join(h.asked, "\n"); got != wantHome {
		t.Errorf("got\n%s\nwant\n%s", got, wantHome)
	}
}

// The calls of greengrasssdk, with its packages beside it or, where it is named,
// with itself.
func TestGreengrassPython(t *testing.T) {
	for name, variable := range map[string]string{"shims": "", "greengrasssdk": "GREENGATE_GREENGRASSSDK"} {
		t.Run(name, func(t *testing.T) {
			path := ""
			if variable != "" {
				if path = os.Getenv(variable); path == "" {
					t.Skipf("set %s to a folder with the package greengrasssdk", variable)
				}
			}
			at := &home{}
			h := functionHouse(t, func(o *endpoint.Options) {
				o.Home = at.home()
				o.Environment = map[string]string{"PYTHONPATH": path}
			})
			out := h.program(t, "testdata/functions", nil, "/usr/bin/python3", "greengrass_"+name+".py")
			if out != "all went well\n" {
				t.Errorf("it wrote %s", out)
			}
			at.check(t)
		})
	}
}

// The same with the SDK for Node.js, which npm has.
func TestGreengrassJavaScript(t *testing.T) {
	at := &home{}
	h := functionHouse(t, func(o *endpoint.Options) {
		o.Home = at.home()
		o.Environment = map[string]string{"NODE_PATH": runtimeModules(t)}
	})
	if out := h.program(t, "testdata/functions", nil, "node", "greengrass.js"); !strings.HasSuffix(out, "all went well\n") {
		t.Errorf("it wrote %s", out)
	}
	at.check(t)
}

// A function of Greengrass V1 may take its calls by the local calls, too.
func TestGreengrassWork(t *testing.T) {
	h := functionHouse(t, nil)
	p := h.start(t, "testdata/functions", nil, []string{"/usr/bin/python3", "greengrass_work.py"})
	wait(t, h.calls.ready, "Ready")
	if got := h.calls.call(t, endpoint.Invocation{ID: "one", Payload: []byte("event"), Subject: "a/b"}); got.body != "EVENT a/b" {
		t.Errorf("got %+v", got)
	}
	f := h.calls.call(t, endpoint.Invocation{ID: "two", Payload: []byte("fail"), Subject: "a/b"}).failure
	if f == nil || f.Message != "no" {
		t.Errorf("got %+v", f)
	}
	if err := wait(t, p.exit, "end"); err != nil {
		t.Errorf("it ended: %v", err)
	}
	h.noted(t)
}

func TestGreengrassInitError(t *testing.T) {
	h := functionHouse(t, nil)
	h.start(t, "testdata/functions", nil, []string{"/usr/bin/python3", "greengrass_work.py", "broken"})
	if f := wait(t, h.calls.init, "init error"); f.Type != "Runtime.InitError" || f.Message != "ValueError('broken')" {
		t.Errorf("got %+v", f)
	}
}

// Without the token of the instance nothing is done.
func TestGreengrassToken(t *testing.T) {
	at := &home{}
	h := open(t, func(o *endpoint.Options) { o.Home = at.home() })
	answer, text := h.do(t, "POST", "/2016-11-01/functions/arn:aws:lambda:::function:GGRouter", strings.NewReader("x"), "Authorization", "guess")
	if answer.StatusCode != 403 || len(at.asked) > 0 {
		t.Errorf("%s %s, asked %q", answer.Status, text, at.asked)
	}
	h.noted(t, "function-token")
}

// An old boto3 is taught where the gateway is; one that is told stays so.
func TestOldBoto3(t *testing.T) {
	d := &data{}
	h := functionHouse(t, func(o *endpoint.Options) { o.Home.Data = d.serve })
	h.start(t, "testdata/functions", nil, []string{"/usr/bin/python3", "-m", "greengate_runtime", "publisher.handler"})
	got := h.calls.call(t, endpoint.Invocation{ID: "x", Payload: []byte("{}"), Subject: "a"})
	var told []string
	if err := json.Unmarshal([]byte(got.body), &told); err != nil || len(told) != 2 || told[0] != "http://"+h.Address() || told[1] != "http://127.0.0.1:1" {
		t.Errorf("got %+v, %+v", got, got.failure)
	}
	if len(d.asked) != 1 || d.asked[0] != "POST /topics/a%2Fb? 1 <nil>" {
		t.Errorf("asked %q", d.asked)
	}
}

func TestWriteShims(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shims")
	if err := endpoint.WriteShims(dir); err != nil {
		t.Fatal(err)
	}
	names := []string{"python/greengate_runtime/__init__.py", "python/greengate_runtime/__main__.py", "python/greengrass_common/env_vars.py",
		"python/greengrass_ipc_python_sdk/ipc_client.py", "node/greengate-runtime.js", "node/aws-greengrass-ipc-sdk-js/index.js"}
	old := map[string]time.Time{}
	for _, name := range names {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o644 {
			t.Errorf("%s has the mode %v", name, info.Mode())
		}
		old[name] = info.ModTime()
	}
	// What is there stays; what was changed comes back.
	if err := os.WriteFile(filepath.Join(dir, names[4]), []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := endpoint.WriteShims(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if changed := !info.ModTime().Equal(old[name]); changed != (name == names[4]) {
			t.Errorf("%s was written again: %v", name, changed)
		}
		if info.Size() < 50 || info.Mode().Perm() != 0o644 {
			t.Errorf("%s has %d bytes and the mode %v", name, info.Size(), info.Mode())
		}
	}
	if err := endpoint.WriteShims("/proc/nothing"); err == nil || !strings.HasPrefix(err.Error(), "write the shims: ") {
		t.Errorf("got %v", err)
	}
}
