package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Local functions, as their authors and their operators meet them: code for AWS Lambda,
// unmodified, that is called along rows and calls home under its own name.

// trial builds the function of these tests once, beside the test binary.
var trial = sync.OnceValues(func() (string, error) { return buildGo("trial", "testdata/functions/trial") })

// buildGo builds a Go program for a function: without cgo, as for AWS.
func buildGo(name, dir string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(self), name)
	cmd := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-o", path, ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return path, nil
}

// function is an entry of the list of functions.
type function map[string]any

// functions writes the list of functions into the group file. Each has a folder of its
// own, functions/NAME; one without a command is the trial, which behaves as told.
func (s *site) functions(list ...function) {
	s.t.Helper()
	for _, f := range list {
		dir := filepath.Join(s.dir, "functions", f["name"].(string))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			s.t.Fatal(err)
		}
		if f["command"] == nil {
			s.place(trial, filepath.Join(dir, "bootstrap"))
			f["command"] = append([]string{"./bootstrap"}, strings.Fields(f["behaves"].(string))...)
			delete(f, "behaves")
		}
	}
	s.set(list, "functions")
}

// place puts a program that was built into its place.
func (s *site) place(build func() (string, error), to string) {
	s.t.Helper()
	path, err := build()
	if err == nil {
		_ = os.Remove(to) // there may be one from before
		err = os.Link(path, to)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// functionLine is what the status tells of a function.
type functionLine struct {
	Name, State        string
	Instances, Queued  int
	Calls, Errors      uint64
	Timeouts, Restarts uint64
	Quarantined        int
	LogsDropped        uint64 `json:"logs_dropped"`
	LastError          string `json:"last_error"`
	Durable            int
	Memory             int64 `json:"memory_bytes"`
}

// has returns what the status tells of a function.
func (g *gateway) has(name string) (line functionLine) {
	g.t.Helper()
	var s struct{ Functions []functionLine }
	if err := json.Unmarshal([]byte(g.greengate("status", "--json")), &s); err != nil {
		g.t.Fatal(err)
	}
	i := slices.IndexFunc(s.Functions, func(f functionLine) bool { return f.Name == name })
	if i < 0 {
		g.t.Fatalf("the status has no function %s: %+v", name, s.Functions)
	}
	return s.Functions[i]
}

// example copies a function of functions/examples to its place.
func (s *site) example(name, language string, files ...string) {
	s.t.Helper()
	dir := filepath.Join(s.dir, "functions", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join("../../functions/examples", language, file))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), text, 0o644)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

var aggregatorInGo = sync.OnceValues(func() (string, error) { return buildGo("car-aggregator", "../../functions/examples/go") })

// aggregators put the car aggregator in its place, by the language it is written in.
var aggregators = map[string]func(*site) function{
	"Go": func(s *site) function {
		s.example("cars", "go")
		s.place(aggregatorInGo, filepath.Join(s.dir, "functions/cars/bootstrap"))
		return function{"command": []string{"./bootstrap"}}
	},
	"Node": func(s *site) function {
		s.example("cars", "node", "app.js")
		modules, err := filepath.Abs("testdata/clients/node_modules") // those that `make test` installs
		if err == nil {
			err = os.Symlink(modules, filepath.Join(s.dir, "functions/cars/node_modules"))
		}
		if err != nil {
			s.t.Fatal(err)
		}
		return function{"command": []string{"node", "-e", "require('greengate-runtime')"}, "handler": "app.handler", "read": []string{modules}, "timeout": "10s"}
	},
	"Python": func(s *site) function {
		s.example("cars", "python", "app.py")
		// Debian's, which has Debian's boto3.
		return function{"command": []string{"/usr/bin/python3", "-m", "greengate_runtime"}, "handler": "app.handler", "timeout": "10s"}
	},
}

// The car aggregator of AWS's traffic-light tutorial counts the green lights, tells the
// count, and keeps it in a shadow, with the plain SDK of its language.
func TestCarAggregator(t *testing.T) {
	for language, install := range aggregators {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, light, "watcher")
			f := install(s)
			f["name"], f["pinned"] = "cars", true
			s.functions(f)
			s.rows(
				row{From: "shadow", Topic: shadowTopic(light, "", "update/documents"), To: "function:cars"},
				row{From: "function:cars", Topic: "cars/green", To: "watcher"},
				row{From: "function:cars", Shadow: "GG_CarAggregator", May: []string{"get", "update"}},
			)
			g := s.start()
			watcher, lights := s.connect("watcher"), s.connect(light)
			watcher.subscribe("cars/green")
			show := func(colours string) {
				for _, c := range colours {
					lights.publish(shadowTopic(light, "", "update"), fmt.Sprintf(`{"state": {"reported": {"property": %q}}}`, string(c)))
				}
			}
			show("RGYRGGY")
			watcher.hearsJSON("cars/green", `{"green":1}`)
			watcher.hearsJSON("cars/green", `{"green":2}`)
			if out := s.greengate("shadow", "get", "GG_CarAggregator"); !regexp.MustCompile(`"green": ?2`).MatchString(out) {
				t.Errorf("the shadow of the aggregator is %s", out)
			}
			s.says("shadow history GG_CarAggregator", `function cars`)
			eventually(t, "all calls are answered", func() bool { return g.has("cars").Calls == 7 })
			if f := g.has("cars"); f.Errors != 0 || f.Restarts != 0 || f.State != "running" {
				t.Errorf("the function is %+v", f)
			}
			// A new start counts on.
			g.stop()
			g = s.start()
			watcher, lights = s.connect("watcher"), s.connect(light)
			watcher.subscribe("cars/green")
			show("RG")
			watcher.hearsJSON("cars/green", `{"green":3}`)
			s.says("function logs cars", `counting on from 2`)
		})
	}
}

// hearsJSON is hears for a document, however it is spaced.
func (d *device) hearsJSON(topic, document string) {
	d.t.Helper()
	p := d.next()
	var got bytes.Buffer
	if p.Topic != topic || json.Compact(&got, p.Payload) != nil || got.String() != document {
		d.t.Fatalf("%s heard %s: %q, want %s: %s", d.thing, p.Topic, p.Payload, topic, document)
	}
}
