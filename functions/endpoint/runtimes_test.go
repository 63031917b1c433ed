package endpoint_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"greengate/functions/endpoint"
)

// goFunction is set for the test's own program when it is to be a function.
const goFunction = "GREENGATE_TEST_FUNCTION"

func TestMain(m *testing.M) {
	switch os.Getenv(goFunction) {
	case "":
		os.Exit(m.Run())
	case "echo":
		lambda.Start(echo)
	}
}

// echo is the Go function of the tests, as testdata/functions has it in Python
// and JavaScript.
func echo(ctx context.Context, event any) (map[string]any, error) {
	if event == "fail" {
		return nil, errors.New("no such key")
	}
	if event == "exit" {
		os.Exit(3)
	}
	c, _ := lambdacontext.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	fmt.Println("got", c.AwsRequestID)
	return map[string]any{
		"event": event, "subject": c.ClientContext.Custom["subject"], "id": c.AwsRequestID, "arn": c.InvokedFunctionArn,
		"name": lambdacontext.FunctionName, "memory": fmt.Sprint(lambdacontext.MemoryLimitInMB),
		"inTime": time.Until(deadline) > 0 && time.Until(deadline) <= time.Minute,
	}, nil
}

// runtime is a client of the Runtime API with the function of the tests.
type runtime struct {
	name   string
	argv   func(t *testing.T, handler string) []string // the program for a handler; empty: it has only the one
	env    func(t *testing.T) []string
	failed string // the type of the error of a handler that fails
	broken string // a handler whose module cannot be loaded; "": there is none
}

func noEnv(*testing.T) []string { return nil }

var runtimes = []runtime{
	{"aws-lambda-go", func(t *testing.T, _ string) []string { return []string{os.Args[0]} },
		func(*testing.T) []string { return []string{goFunction + "=echo"} }, "errorString", ""},
	{"aws-lambda-ric for Node.js", func(t *testing.T, handler string) []string {
		return []string{"node", filepath.Join(runtimeModules(t), "aws-lambda-ric/bin/index.mjs"), handler}
	}, noEnv, "TypeError", "broken.handler"},
	{"awslambdaric for Python", func(t *testing.T, handler string) []string {
		return []string{"/usr/bin/python3", "-m", "awslambdaric", handler}
	}, awslambdaric, "KeyError", "broken.handler"},
	{"greengate_runtime", func(t *testing.T, handler string) []string {
		return []string{"/usr/bin/python3", "-m", "greengate_runtime", handler}
	}, noEnv, "KeyError", "broken.handler"},
	{"greengate-runtime.js", func(t *testing.T, handler string) []string {
		return []string{"node", filepath.Join(shims(t), "node", "greengate-runtime.js"), handler}
	}, noEnv, "TypeError", "broken.handler"},
}

// runtimeModules is where the npm clients of testdata/clients are installed.
func runtimeModules(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "greengate-tools/runtimes/node_modules")
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("%v (`make clients` installs the real clients)", err)
	}
	return dir
}

// awslambdaric is AWS's client for Python, with a stand-in for its part in C. It
// is to be had from PyPI alone, so where it is not named these tests are skipped.
func awslambdaric(t *testing.T) []string {
	dir := os.Getenv("GREENGATE_AWSLAMBDARIC")
	if dir == "" {
		t.Skip("set GREENGATE_AWSLAMBDARIC to a folder with the package awslambdaric")
	}
	standIn, err := filepath.Abs("testdata/awslambdaric")
	if err != nil {
		t.Fatal(err)
	}
	return []string{"PYTHONPATH=" + dir + ":" + standIn}
}

// shims is where the shims are, for this test.
func shims(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := endpoint.WriteShims(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// functionHouse is an endpoint for the functions of testdata.
func functionHouse(t *testing.T, change func(*endpoint.Options)) *house {
	dir, err := filepath.Abs("testdata/functions")
	if err != nil {
		t.Fatal(err)
	}
	return open(t, func(o *endpoint.Options) {
		o.Dir, o.Shims, o.Handler = dir, shims(t), ""
		if change != nil {
			change(o)
		}
	})
}

// process is a function that runs.
type process struct {
	out  *buffer
	exit chan error
}

// start starts a function; it ends with the test.
func (h *house) start(t *testing.T, dir string, env []string, argv []string) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{out: new(buffer), exit: make(chan error, 1)}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, h.env(env...), p.out, p.out
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		p.exit <- cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		if t.Failed() {
			t.Logf("the function wrote: %s", p.out)
		}
	})
	return p
}

func TestRuntimes(t *testing.T) {
	for _, r := range runtimes {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			env := r.env(t)
			h := functionHouse(t, nil)
			p := h.start(t, "testdata/functions", env, r.argv(t, "echo.handler"))
			for id, event := range map[string]string{"one": `{"color":"grün","n":[1,2.5,null]}`, "two": `"text"`} {
				got := h.calls.call(t, endpoint.Invocation{ID: id, Payload: []byte(event), Subject: "ampel/ä", Deadline: time.Now().Add(time.Minute)})
				var answer, want any
				if err := json.Unmarshal([]byte(got.body), &answer); err != nil {
					t.Fatalf("%+v: %v", got, err)
				}
				if err := json.Unmarshal([]byte(fmt.Sprintf(`{"event":%s,"subject":"ampel/ä","id":%q,"arn":"arn:aws:lambda:us-east-1:000000000000:function:car",
					"name":"car","memory":"64","inTime":true}`, event, id)), &want); err != nil {
					t.Fatal(err)
				}
				if fmt.Sprint(answer) != fmt.Sprint(want) {
					t.Errorf("got %v, want %v", answer, want)
				}
			}
			f := h.calls.call(t, endpoint.Invocation{ID: "three", Payload: []byte(`"fail"`), Subject: "a"}).failure
			if f == nil || f.Type != r.failed || !strings.Contains(f.Message, "no such key") || !json.Valid(f.Raw) {
				t.Errorf("the failure is %+v", f)
			}
			// It works on after a failure, and its end is its own.
			if got := h.calls.call(t, endpoint.Invocation{ID: "four", Payload: []byte(`{}`), Subject: "a"}); !strings.Contains(got.body, "four") {
				t.Errorf("after a failure: %+v", got)
			}
			h.calls.next <- &endpoint.Invocation{ID: "five", Payload: []byte(`"exit"`), Subject: "a", Deadline: time.Now().Add(time.Minute)}
			var exit *exec.ExitError
			if err := wait(t, p.exit, "end"); !errors.As(err, &exit) {
				t.Errorf("it ended: %v", err)
			}
			for _, id := range []string{"one", "two", "four"} {
				if !strings.Contains(p.out.String(), "got "+id) {
					t.Errorf("it wrote %q", p.out)
				}
			}
			if len(h.calls.ready) != 1 || len(h.calls.init) != 0 {
				t.Errorf("Ready was told %d times, InitFailed %d times", len(h.calls.ready), len(h.calls.init))
			}
			h.noted(t)
		})
	}
}

func TestBrokenModule(t *testing.T) {
	for _, r := range runtimes {
		if r.broken == "" {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			env := r.env(t)
			h := functionHouse(t, nil)
			p := h.start(t, "testdata/functions", env, r.argv(t, r.broken))
			f := wait(t, h.calls.init, "init error")
			if f.Type != "Runtime.ImportModuleError" || !strings.Contains(f.Message, "no") {
				t.Errorf("got %+v", f)
			}
			if err := wait(t, p.exit, "end"); err == nil {
				t.Error("it ended well")
			}
			if len(h.calls.ready) > 0 {
				t.Error("Ready was told")
			}
		})
	}
}
