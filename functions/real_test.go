package functions

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/functions/sandbox"
)

// victim, in the environment, names the folder in which this test program then works off
// durable calls until it is killed, instead of running its tests.
const victim = "GREENGATE_FUNCTIONS_VICTIM"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.LaunchCommand {
		sandbox.LaunchMain()
	}
	if dir := os.Getenv(victim); dir != "" {
		fmt.Fprintln(os.Stderr, callUntilKilled(dir))
		os.Exit(1)
	}
	if order := os.Getenv(doomed); order != "" {
		fmt.Fprintln(os.Stderr, callUntilFailpoint(order))
		os.Exit(1)
	}
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// built is the folder of the function of testdata/actor.
var built struct {
	once sync.Once
	dir  string
	err  error
}

// actor builds the function of the tests, with aws-lambda-go as it is.
func actor(t testing.TB) (dir string) {
	t.Helper()
	if dir := os.Getenv(victim + "_ACTOR"); dir != "" {
		return dir
	}
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "actor"); built.err != nil {
			return
		}
		if built.err = os.Chmod(built.dir, 0o755); built.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", filepath.Join(built.dir, "bootstrap"), "./testdata/actor")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.dir
}

var theSandbox = sync.OnceValues(func() (*sandbox.Sandbox, error) { return sandbox.New(sandbox.Options{}) })

// newReal is newRig with real processes.
func newReal(t testing.TB, dir string, o Options, functions ...Config) *rig {
	t.Helper()
	s, err := theSandbox()
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, dir, nil, o, functions...)
	r.m.launcher = realLauncher{s}
	return r
}

// acting is the configuration of a real function.
func acting(t testing.TB, name string, change ...func(*Config)) Config {
	dir := actor(t)
	return config(name, append([]func(*Config){func(c *Config) {
		c.Command, c.Dir, c.Timeout = []string{"./bootstrap"}, dir, 20*time.Second
	}}, change...)...)
}

func (r *rig) invoke(function, event string) Result {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	got, err := r.m.Invoke(ctx, function, []byte(event), "a/b")
	if err != nil {
		r.t.Fatalf("%s: %v\n%s", event, err, r.log())
	}
	return got
}

func TestRealFunction(t *testing.T) {
	r := newReal(t, t.TempDir(), Options{Region: "eu-west-1", Account: "123456789012"},
		acting(t, "f", pinned, func(c *Config) { c.Environment = map[string]string{"OWN": "1"}; c.ReplyTo = "out" })).start()
	got := r.invoke("f", `{"do": "context"}`)
	var c map[string]any
	if err := json.Unmarshal(got.Payload, &c); err != nil {
		t.Fatalf("%v: %s, %+v", err, got.Payload, got.Failure)
	}
	if c["subject"] != "a/b" || c["name"] != "f" || c["own"] != "1" || c["arn"] != "arn:aws:lambda:eu-west-1:123456789012:function:f" ||
		c["left"].(float64) < 10000 || c["left"].(float64) > 20000 || !strings.HasPrefix(c["home"].(string), r.dir) {
		t.Errorf("context %v", c)
	}
	for i := range 10 {
		r.put("f", fmt.Sprintf(`{"n": %d}`, i))
	}
	r.want(map[string]int{"done": 10})
	var want []string
	for i := range 10 {
		want = append(want, fmt.Sprintf(`f out {"do":"","n":%d}`, i))
	}
	if got := r.answers(); !slices.Equal(got, want) {
		t.Errorf("replied %q, want %q", got, want)
	}
	if got := r.invoke("f", `{"do": "count"}`); string(got.Payload) != "12" {
		t.Errorf("its state: %s calls, want 12", got.Payload)
	}
	got = r.invoke("f", `{"do": "fail", "n": 5}`)
	if got.Failure == nil || got.Failure.Message != "no 5" || got.Failure.Type != "errorString" && got.Failure.Type != "wrapError" {
		t.Errorf("failure %+v", got.Failure)
	}
	if s := r.stats(); s.Calls != 13 || s.Errors != 1 || s.Memory <= 0 || s.P50 <= 0 || s.P50 > s.Max || s.Refused != 0 {
		t.Errorf("stats %+v", s)
	}
}

// Each of these hurts nobody else, and the function works again afterwards.
func TestRealFunctionsThatMisbehave(t *testing.T) {
	for _, c := range []struct{ event, want string }{
		{`{"do": "hang"}`, "Task timed out after 1.00 seconds"},
		{`{"do": "exit"}`, "exit status 3"},
		{`{"do": "eat"}`, "memory"},
	} {
		t.Run(c.event, func(t *testing.T) {
			t.Parallel()
			r := newReal(t, t.TempDir(), Options{}, acting(t, "f", func(cfg *Config) {
				cfg.Concurrency, cfg.Memory, cfg.Timeout = 1, 64<<20, time.Second
				if strings.Contains(c.event, "eat") {
					cfg.Timeout = 20 * time.Second
				}
			})).start()
			got := r.invoke("f", c.event)
			if got.Failure == nil || !strings.Contains(got.Failure.Message, c.want) {
				t.Errorf("failure %+v, want %q", got.Failure, c.want)
			}
			if got := r.invoke("f", `{"do": "count"}`); string(got.Payload) != "1" {
				t.Errorf("afterwards %s, %+v", got.Payload, got.Failure)
			}
			if s := r.stats(); s.Restarts != 1 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

func TestRealFunctionThatDoesNotStart(t *testing.T) {
	r := newReal(t, t.TempDir(), Options{},
		acting(t, "f", func(c *Config) { c.Environment = map[string]string{"INIT": "exit"} }),
		acting(t, "g", func(c *Config) { c.Command = []string{"./nothing"} })).start()
	got := r.invoke("f", `{}`)
	if got.Failure == nil || !strings.Contains(got.Failure.Message, "exit status 4") {
		t.Errorf("failure %+v", got.Failure)
	}
	if !slices.Contains(texts(got.Logs), "no database") {
		t.Errorf("logs %q", texts(got.Logs))
	}
	if got := r.invoke("g", `{}`); got.Failure == nil || !strings.Contains(got.Failure.Message, "nothing") {
		t.Errorf("failure %+v", got.Failure)
	}
}

// What a function prints is in its log, that of the gateway, and the result of Invoke,
// and there after a restart.
func TestRealOutput(t *testing.T) {
	dir := t.TempDir()
	r := newReal(t, dir, Options{}, acting(t, "f")).start()
	got := r.invoke("f", `{"do": "print", "n": 3}`)
	want := []string{"line 0", "line 1", "line 2", "to stderr"}
	sorted := texts(got.Logs)
	slices.Sort(sorted) // two streams
	if !slices.Equal(sorted, want) {
		t.Errorf("logs of the call %q", texts(got.Logs))
	}
	if log := r.log(); !strings.Contains(log, `level=INFO msg="A function wrote" component=function function=f line="line 1" stream=stdout`) {
		t.Errorf("the log of the gateway: %s", log)
	}
	r.stop()
	r = newReal(t, dir, Options{}, acting(t, "f")).start()
	lines, err := r.m.Logs("f", 2)
	if err != nil || len(lines) != 2 {
		t.Errorf("after a restart: %+v, %v", lines, err)
	}
}

// The scratch folder is a function's own; the logs and the database are not.
func TestRealFiles(t *testing.T) {
	r := newReal(t, t.TempDir(), Options{}, acting(t, "f", pinned)).start()
	for _, c := range []struct {
		path string
		may  bool
	}{
		{"mine", true}, {r.dir + "/functions/logs/f.log", false}, {r.dir + "/functions/shims/x", false}, {r.dir + "/functions/scratch/x", false},
	} {
		path := c.path
		if c.may {
			var where map[string]any
			if err := json.Unmarshal(r.invoke("f", `{"do": "context"}`).Payload, &where); err != nil {
				t.Fatal(err)
			}
			path = where["home"].(string) + "/mine"
		}
		got := r.invoke("f", fmt.Sprintf(`{"do": "write", "path": %q}`, path))
		// It may have a root of its own, in which the write works and is nowhere.
		after, _ := os.ReadFile(path)
		if written := string(after) == "x"; written != c.may {
			t.Errorf("write %s: %+v, written %v, want %v", path, got.Failure, written, c.may)
		}
	}
}

// Stop waits for what runs, and leaves no process.
func TestRealStop(t *testing.T) {
	r := newReal(t, t.TempDir(), Options{}, acting(t, "f"), acting(t, "g", pinned)).start()
	r.put("f", `{"do": "sleep", "n": 300}`)
	r.until("it runs", func() bool { return r.stats().Running == 1 })
	begun := time.Now()
	r.stop()
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the end took %v", took)
	}
	if got := r.verdicts(); got["done"] != 1 {
		t.Errorf("settled %v", got)
	}
	for _, s := range r.m.Stats() {
		if s.Instances != 0 {
			t.Errorf("left over: %+v", s)
		}
	}
}

// bareActor is the function as nobody but the operating system starts it.
func bareActor(ctx context.Context, dir, api string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "bootstrap"))
	cmd.Dir = dir
	cmd.Env = []string{"AWS_LAMBDA_RUNTIME_API=" + api, "_HANDLER=x"}
	return cmd
}

// A function that writes without end slows nobody but itself, and is cut.
func TestRealFlood(t *testing.T) {
	r := newReal(t, t.TempDir(), Options{Bounds: Bounds{LogSize: 64 << 10, LogRate: 1}}, acting(t, "f"), acting(t, "g", pinned)).start()
	r.put("f", `{"do": "print", "n": 50000}`)
	for range 20 {
		r.put("g", `{}`)
	}
	r.want(map[string]int{"done": 21})
	r.until("what it wrote is read", func() bool { return r.stats().LogsDropped >= 48000 })
	for _, name := range []string{"f.log", "f.log.1"} {
		if info, err := os.Stat(filepath.Join(r.dir, "functions/logs", name)); err == nil && info.Size() > 64<<10 {
			t.Errorf("%s has %d bytes", name, info.Size())
		}
	}
}
