package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The plan of the house, as a table: which of our packages each room may
// import. docs/ARCHITECTURE.md says why; this test keeps it. A new package
// needs a row here before it can be built into the house.
//
// Tests are exempt: a room may be tried out with the real things around it.
var rooms = map[string][]string{
	"cmd/greengate": {everything},
	"cmd/iotsim":    {"sync/cloud/cloudtest"},
	// Loads the modules of PKCS#11 tokens, so that greengate need not.
	"cmd/greengate-token": {"core/token/module"},
	"cmd/bill":            {},
	// The demo stands for a customer's devices: it has what they have.
	"cmd/demo": {},
	// The soak knows a built greengate from outside.
	"cmd/soak": {"core/admin/client", "sync/cloud/cloudtest", "testvm/freeport"},
	// What greengate is compared with stands beside it: it knows the program, not the house.
	"cmd/peers": {"testvm/freeport"},

	"configs": {
		"core/broker", "core/admin", "core/admin/client", "core/message", "core/pki", "core/dataplane", "core/token",
		"subscriptions", "localshadow", "gpio", "functions", "discovery",
		"sync/cloud", "sync/telemetry", "sync/shadows", "sync/fleet",
	},
	"configs/greengrassv1": {"configs", "core/message", "subscriptions", "functions"},

	"core/message": {},
	"core/router":  {"core/message"},
	"core/broker":  {"core/message", "core/pki", "core/router", "core/sqlite"},
	// The conformance of the broker with the standards: tests only.
	"core/broker/conformance": {},
	"core/dataplane":          {"core/message"},
	"core/admin":              {"core/admin/client"},
	"core/admin/client":       {},
	"core/audit":              {},
	"core/lifecycle":          {},
	"core/pki":                {},
	"core/sqlite":             {},
	"core/token":              {},
	"core/token/module":       {"core/token"},
	"core/token/tokentest":    {},

	"subscriptions":        {"core/message"},
	"localshadow":          {"core/message", "core/sqlite"},
	"gpio":                 {"core/message", "gpio/simbus"},
	"gpio/simbus":          {},
	"functions":            {"core/message", "core/sqlite", "functions/endpoint", "functions/sandbox"},
	"functions/endpoint":   {"core/message"},
	"functions/sandbox":    {},
	"discovery":            {"core/pki"},
	"sync/cloud":           {"core/message"},
	"sync/cloud/cloudtest": {"core/message", "sync/cloud"},
	"sync/telemetry":       {"core/message", "core/sqlite"},
	"sync/shadows":         {"localshadow", "core/message", "core/sqlite"},
	"sync/fleet":           {"core/message"},
	// The machine's programs are part of the tests; the package itself has nothing else.
	"testvm":                 {},
	"testvm/freeport":        {},
	"testvm/gpio":            {},
	"testvm/install":         {},
	"testvm/install/traffic": {"testvm/mqtt"},
	"testvm/machine":         {},
	"testvm/mqtt":            {},
	"testvm/pi3":             {},
	"testvm/streams":         {},
	"testvm/systemd":         {},
	"testvm/writer":          {"testvm/mqtt", "testvm/streams", "sync/cloud/cloudtest"},
}

// everything in a row of rooms lets that package wire all the others.
const everything = "*"

// doors names, for each library that could spread through the house, the one
// room that may import it.
var doors = map[string]string{
	mochi:                         "core/broker",
	"github.com/mattn/go-sqlite3": "core/sqlite",
	"periph.io/x":                 "gpio",
	"github.com/eclipse/paho":     "sync/cloud",
	"github.com/prometheus":       "core/admin",
	"github.com/miekg/pkcs11":     "core/token/module",
}

const mochi = "github.com/mochi-mqtt/server"

// demo is the one package that may also speak MQTT with paho: it is somebody
// else's device.
const demo = "cmd/demo"

// peers may also serve with a bare mochi, to compare with it.
const peers = "cmd/peers"

// pkg is what the laws look at in one package: `go list -json` knows more.
type pkg struct {
	Dir, ImportPath, Doc string
	GoFiles, CgoFiles    []string
	Imports              []string // without those of its tests
}

func TestArchitecture(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, broken := range violations(p) {
			t.Errorf("%s: %s", p.ImportPath, broken)
		}
	}
}

// TestArchitectureSeesBreaches keeps the test above from passing for the wrong
// reason: each law is broken once, on paper.
func TestArchitectureSeesBreaches(t *testing.T) {
	for _, c := range []struct {
		name, room string
		imports    []string
		law        string
	}{
		{"upwards", "core/router", []string{"greengate/subscriptions"}, "core imports nothing outside core"},
		{"to the top", "subscriptions", []string{"greengate/configs"}, "imports point down only"},
		{"from the top", "configs", []string{"greengate/cmd/greengate"}, "imports point down only"},
		{"sideways", "discovery", []string{"greengate/subscriptions"}, "a capability imports no other"},
		{"shadows of another wing", "sync/fleet", []string{"greengate/localshadow"}, "a capability imports no other"},
		{"within core, not in the table", "core/message", []string{"greengate/core/pki"}, "may not import core/pki"},
		{"second door to mochi", "core/router", []string{"github.com/mochi-mqtt/server/v2"}, "one door"},
		{"second door to paho", "core/broker", []string{"github.com/eclipse/paho.golang/paho"}, "one door"},
		{"second door to sqlite", "sync/telemetry", []string{"github.com/mattn/go-sqlite3"}, "one door"},
		{"second door to the token", "sync/cloud", []string{"github.com/miekg/pkcs11"}, "one door"},
		{"second door to periph", "functions", []string{"periph.io/x/conn/v3/gpio"}, "one door"},
		{"a demo that cheats", "cmd/demo", []string{"greengate/core/pki"}, "nothing but the public interfaces"},
		{"a comparison with the house inside", peers, []string{"greengate/core/broker"}, "may not import core/broker"},
		{"a second door in the comparison", peers, []string{"github.com/mattn/go-sqlite3"}, "one door"},
		{"a room without a row", "cellar", nil, "no row in the table"},
		{"a word that says nothing", "core/util", nil, "is called util"},
		{"the wing as a package", "sync", nil, "is called sync"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := pkg{ImportPath: module + c.room, Doc: "Package x.", GoFiles: []string{"x.go"}, Imports: c.imports}
			got := strings.Join(violations(p), "\n")
			if !strings.Contains(got, c.law) {
				t.Errorf("%s importing %q: got %q, want the law %q", c.room, c.imports, got, c.law)
			}
		})
	}
	if got := violations(pkg{ImportPath: module + "gpio", GoFiles: []string{"x.go"}}); len(got) != 1 || !strings.Contains(got[0], "package comment") {
		t.Errorf("a package without a comment: got %q", got)
	}
	for _, fine := range []pkg{
		{ImportPath: module + "sync/shadows", Doc: "x", GoFiles: []string{"x.go"}, Imports: []string{"greengate/localshadow"}},
		{ImportPath: module + "core/broker", Doc: "x", GoFiles: []string{"x.go"}, Imports: []string{"github.com/mochi-mqtt/server/v2/packets"}},
		{ImportPath: module + peers, Doc: "x", GoFiles: []string{"x.go"}, Imports: []string{"github.com/mochi-mqtt/server/v2"}},
		{ImportPath: module + demo, Doc: "x", GoFiles: []string{"x.go"}, Imports: []string{"github.com/eclipse/paho.golang/autopaho"}},
	} {
		if got := violations(fine); len(got) != 0 {
			t.Errorf("%s importing %q is lawful, got %q", fine.ImportPath, fine.Imports, got)
		}
	}
}

const module = "greengate/"

// violations returns the sentence of each law that p breaks.
func violations(p pkg) (broken []string) {
	room := strings.TrimPrefix(p.ImportPath, module)
	if name := path.Base(room); slices.Contains([]string{"sync", "util", "common"}, name) {
		broken = append(broken, fmt.Sprintf("it is called %s: no package is called sync, util or common (sync/ is a wing without .go files of its own)", name))
	}
	allowed, known := rooms[room]
	if !known {
		return append(broken, "it has no row in the table of arch_test.go, which says what each package may import")
	}
	if p.Doc == "" && len(p.GoFiles)+len(p.CgoFiles) > 0 {
		broken = append(broken, "it has no package comment: every package says what it is and who may import it")
	}
	for _, i := range p.Imports {
		if target, ours := strings.CutPrefix(i, module); ours {
			if !slices.Contains(allowed, target) && !slices.Contains(allowed, everything) {
				broken = append(broken, fmt.Sprintf("it may not import %s: %s", target, law(room, target)))
			}
			continue
		}
		for library, door := range doors {
			if strings.HasPrefix(i, library) && room != door && !strings.HasPrefix(room, door+"/") && room != demo && !(room == peers && library == mochi) {
				broken = append(broken, fmt.Sprintf("it imports %s: the library has one door, %s", i, door))
			}
		}
	}
	return broken
}

// law returns the sentence that an import of target by room breaks.
func law(room, target string) string {
	switch from, to := floor(room), floor(target); {
	case room == demo:
		return "the demo stands for a customer's devices and uses nothing but the public interfaces"
	case from == core && to != core:
		return "core imports nothing outside core"
	case to > from:
		return "imports point down only (cmd > configs > capabilities > core)"
	case from == capability && to == capability:
		return "a capability imports no other, but sync/shadows localshadow"
	}
	return "the table of arch_test.go does not allow it"
}

// The floors of the house, from the ground up.
const (
	core = iota
	capability
	config
	cmd
)

func floor(room string) int {
	switch top, _, _ := strings.Cut(room, "/"); top {
	case "cmd":
		return cmd
	case "configs":
		return config
	case "core":
		return core
	}
	return capability
}

func listPackages(t *testing.T) []pkg {
	t.Helper()
	list := exec.Command("go", "list", "-e", "-json=Dir,ImportPath,Doc,GoFiles,CgoFiles,Imports", "greengate/...")
	list.Dir = filepath.Join("..", "..")
	var stderr bytes.Buffer
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("read the answer of go list: %v", err)
		}
		all = append(all, p)
	}
	// An empty list would let every law pass.
	if !slices.ContainsFunc(all, func(p pkg) bool { return p.ImportPath == module+"core/message" }) {
		t.Fatalf("go list found %d packages, and core/message is not among them", len(all))
	}
	return all
}
