package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"gopkg.in/yaml.v3"
)

// The files for Prometheus and Grafana, and the page of the docs, are of the metrics that
// the program has.

var monitoring = filepath.Join("..", "..", "systemd", "monitoring")

var (
	declared = regexp.MustCompile(`(?:gauge|counter)\("([a-z_]+)"|Metric\{Name: "([a-z_]+)",`)
	summed   = regexp.MustCompile(`^greengate_[a-z_]+_seconds(_bucket|_sum|_count)$`) // of a histogram
	used     = regexp.MustCompile(`\b(?:greengate|process|go)_[a-z_]+\b`)
)

// metricNames reads the names out of the source, and asks the library for its own.
func metricNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	files, err := filepath.Glob(filepath.Join("..", "..", "core", "admin", "metrics*.go"))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, ours...) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, m := range declared.FindAllStringSubmatch(read(t, file), -1) {
			if m[1] != "" {
				names["greengate_"+m[1]] = true
			} else {
				names[m[2]] = true
			}
		}
	}
	if len(names) < 60 {
		t.Fatalf("only %d metrics were found in the source", len(names))
	}
	library := prometheus.NewRegistry()
	library.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	families, err := library.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		names[f.GetName()] = true
	}
	return names
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAlertRules(t *testing.T) {
	file := filepath.Join(monitoring, "alerts.yaml")
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, file)), &rules); err != nil {
		t.Fatal(err)
	}
	names := metricNames(t)
	for _, rule := range rules.Groups[0].Rules {
		if rule.Alert == "" || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("%s does not say what is wrong and what to do", rule.Alert)
		}
		for _, name := range used.FindAllString(rule.Expr, -1) {
			if !known(names, name) {
				t.Errorf("%s: there is no metric %s", rule.Alert, name)
			}
		}
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not here (`cmd/demo/setup.sh browser` installs it): the rules were parsed, not checked")
	}
	for _, args := range [][]string{{"check", "rules", "--lint=all", "--lint-fatal", file}, {"test", "rules", filepath.Join("testdata", "alerts.test.yaml")}} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

func TestDashboard(t *testing.T) {
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, filepath.Join(monitoring, "dashboard.json"))), &board); err != nil {
		t.Fatal(err)
	}
	names, variables := metricNames(t), strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*")
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Log("promtool is not here: the expressions are not checked")
	}
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			for _, name := range used.FindAllString(target.Expr, -1) {
				if !known(names, name) {
					t.Errorf("%s: there is no metric %s", panel.Title, name)
				}
			}
			if promtool == "" {
				continue
			}
			rules, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "x", "rules": []any{map[string]any{"record": "x", "expr": variables.Replace(target.Expr)}}}}})
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "rules.yaml")
			if err := os.WriteFile(file, rules, 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(promtool, "check", "rules", file).CombinedOutput(); err != nil {
				t.Errorf("%s: %s\n%s", panel.Title, target.Expr, out)
			}
		}
	}
}

// known reports whether a series may bear that name.
func known(names map[string]bool, name string) bool {
	if m := summed.FindStringSubmatch(name); m != nil {
		name = strings.TrimSuffix(name, m[1])
	}
	return names[name]
}

// Every metric of ours stands in docs/observe.md, and nothing that is none.
func TestMetricsAreDocumented(t *testing.T) {
	text, names := read(t, filepath.Join("..", "..", "docs", "observe.md")), metricNames(t)
	for name := range names {
		if strings.HasPrefix(name, "greengate_") && !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/observe.md lacks %s", name)
		}
	}
	for _, m := range regexp.MustCompile("\\| `([a-z_]+)` \\|").FindAllStringSubmatch(text, -1) {
		if !names[m[1]] && strings.Contains(m[1], "_") {
			t.Errorf("docs/observe.md has %s, which the program has not", m[1])
		}
	}
}
