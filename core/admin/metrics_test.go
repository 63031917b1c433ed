package admin_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	dto "github.com/prometheus/client_model/go"

	"greengate/core/admin"
	"greengate/core/admin/client"
)

// newPage returns a page on a free port of this machine, with a watch that sees nothing.
func newPage(t *testing.T, change ...func(*admin.PageOptions)) *admin.Page {
	t.Helper()
	o := admin.PageOptions{
		Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
		Watch: func(string, func(client.Event)) (func(), error) { return func() {}, nil },
	}
	for _, f := range change {
		f(&o)
	}
	return admin.NewPage(o)
}

// open serves p until the test ends, and returns its URL.
func open(t *testing.T, p *admin.Page) string {
	t.Helper()
	if err := p.Listen(); err != nil {
		t.Fatal(err)
	}
	address := p.Addr().String()
	run(t, p.Run)
	return "http://" + address
}

// get returns the answer to a request without more.
func get(t *testing.T, url string) (code int, body string) {
	t.Helper()
	resp, err := http.Get(url)
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

// full is a status in which everything is told.
func full(s *client.Status) {
	now := time.Now()
	s.Group, s.Core, s.Version = "home", "gw", "1"
	s.Config.LoadedAt = now
	s.Cloud = client.Cloud{Configured: true, Connected: true, Attempts: 2}
	s.Devices = []client.Device{{Thing: "A", Connected: true, Waiting: 3}, {Thing: "B"}}
	s.Spool = client.Spool{Messages: 5, FullInSeconds: 60, DrainedInSeconds: -1}
	s.Ledger = client.Ledger{Accepted: 10, Delivered: 6, Refused: 4}
	s.Refusals = []client.Reason{{Reason: "no-row", Count: 4}}
	s.Drops = []client.Reason{{Reason: "row-gone", Count: 1}}
	s.Routes = []client.Route{
		{Line: 3, Text: `{from: A, topic: "x\y", to: B}`, Ledger: client.Ledger{Delivered: 2}},
		{Line: 4, Text: `{from: A, topic: "x\y", to: B}`, Ledger: client.Ledger{Delivered: 4}},
	}
	s.Shadows = client.Shadows{Count: 1, Rejected: map[string]uint64{"409": 2}, Sync: &client.SyncStats{InStep: 1, Conflicts: 3, Rejected: map[string]uint64{"413": 1}}}
	s.GPIO = []client.Pin{
		{Name: "red", Kind: "led", Level: "on", Violations: map[string]uint64{"min-off": 1}},
		{Name: "room", Kind: "sensor", Level: "21.5", At: &now, Values: []client.Reading{{Quantity: "temperature", Value: 21.5, Unit: "C"}}},
	}
	s.Faults = []client.Fault{{Component: "pki", Message: "x"}, {Component: "pki", Message: "y"}}
}

// read parses metrics as Prometheus does.
func read(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return families
}

func TestMetrics(t *testing.T) {
	p := newPage(t)
	p.Register(admin.ReporterFunc(full))
	code, text := get(t, open(t, p)+"/metrics")
	if code != http.StatusOK {
		t.Fatalf("%d: %s", code, text)
	}
	read(t, text)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
	for _, line := range []string{
		`greengate_device_connected{thing="A"} 1`, `greengate_devices_connected 1`, `greengate_device_waiting_messages{thing="A"} 3`,
		`greengate_messages_total{verdict="refused"} 4`, `greengate_messages_refused_total{reason="no-row"} 4`,
		`greengate_route_messages_total{row="{from: A, topic: \"x\\y\", to: B}",verdict="delivered"} 6`, // of both lines
		`greengate_shadow_sync_conflicts_total 3`, `greengate_shadow_requests_rejected_total{code="409"} 2`,
		`greengate_spool_full_forecast_seconds 60`, `greengate_cloud_connected 1`, `greengate_pin_level{kind="led",pin="red"} 1`,
		`greengate_sensor_value{quantity="temperature",sensor="room",unit="C"} 21.5`, `greengate_faults{component="pki"} 2`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("there is no %s in\n%s", line, text)
		}
	}
	if strings.Contains(text, "greengate_spool_drained_forecast_seconds") {
		t.Error("a forecast of never is told as a time")
	}
	for _, name := range []string{"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "go_goroutines"} {
		if !strings.Contains(text, "\n"+name+" ") {
			t.Errorf("there is no %s", name)
		}
	}
}

// However large the site is, and however odd its names are, the answer stays small and
// can be read.
func TestMetricsAreBounded(t *testing.T) {
	p := newPage(t)
	p.Register(admin.ReporterFunc(func(s *client.Status) {
		for i := range 5000 {
			s.Devices = append(s.Devices, client.Device{Thing: fmt.Sprint("d", i)})
			s.Routes = append(s.Routes, client.Route{Text: fmt.Sprint(strings.Repeat("r", 500), i), Ledger: client.Ledger{Delivered: 1}})
		}
	}))
	odd := &admin.Metric{Name: "greengate_odd", Help: "Odd.", Labels: []string{"name"}}
	p.Collect(func(emit admin.Emit) {
		for _, name := range []string{"a\xffb", "line\nline", `quote"\`, "twice", "twice"} {
			emit(odd, 1, name)
		}
	})
	url := open(t, p)
	for range 2 {
		_, text := get(t, url+"/metrics")
		families := read(t, text)
		if n := len(families["greengate_device_connected"].Metric); n != 1000 {
			t.Errorf("%d series of devices", n)
		}
		rows := families["greengate_route_messages_waiting"].Metric
		if len(rows) != 201 { // 200 and the others
			t.Errorf("%d rows", len(rows))
		}
		if !strings.Contains(text, `greengate_route_messages_total{row="other",verdict="delivered"} 4800`) {
			t.Error("the rows without a label of their own are not counted together")
		}
		if !strings.Contains(text, `greengate_metric_series_left_out{metric="greengate_device_connected"} 4000`) {
			t.Error("what was left out is not told")
		}
		if n := len(families["greengate_odd"].Metric); n != 4 {
			t.Errorf("%d odd series", n)
		}
	}
}

// Who asks gets the format that he would have: Prometheus asks for OpenMetrics or protobuf.
func TestMetricFormats(t *testing.T) {
	p := newPage(t)
	p.Register(admin.ReporterFunc(full))
	took := &admin.Metric{Name: "greengate_took_seconds", Help: "Took.", Labels: []string{"store"}}
	p.CollectHistograms(func(emit admin.EmitHistogram) {
		emit(took, admin.Histogram{Count: 3, Sum: 1.5, Buckets: map[float64]uint64{0.1: 1, 1: 2}}, "spool")
	})
	url := open(t, p) + "/metrics"
	for accept, want := range map[string]expfmt.FormatType{
		"":          expfmt.TypeTextPlain,
		"text/html": expfmt.TypeTextPlain,
		"application/openmetrics-text;version=1.0.0":                                                 expfmt.TypeOpenMetrics,
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited": expfmt.TypeProtoDelim,
	} {
		r, err := http.NewRequest("GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", accept)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		format := expfmt.ResponseFormat(resp.Header)
		if got := expfmt.Format(resp.Header.Get("Content-Type")).FormatType(); got != want {
			t.Errorf("%q gets %s", accept, resp.Header.Get("Content-Type"))
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		switch {
		case err != nil:
			t.Error(err)
		case want == expfmt.TypeOpenMetrics:
			if !strings.HasSuffix(string(body), "\n# EOF\n") || !strings.Contains(string(body), `greengate_took_seconds_bucket{store="spool",le="0.1"} 1`) {
				t.Errorf("%q gets\n%s", accept, body)
			}
		default:
			from, found := expfmt.NewDecoder(bytes.NewReader(body), format), false
			for f := new(dto.MetricFamily); from.Decode(f) == nil; f = new(dto.MetricFamily) {
				found = found || f.GetName() == "greengate_took_seconds" && f.Metric[0].Histogram.GetSampleCount() == 3
			}
			if !found {
				t.Errorf("%q gets\n%q", accept, body)
			}
		}
	}
}

// A source that is wrong spoils its own figures, not those of the others, and is logged.
func TestBrokenSource(t *testing.T) {
	var log bytes.Buffer
	p := newPage(t, func(o *admin.PageOptions) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	p.Collect(func(admin.Emit) { panic("broken") })
	few := &admin.Metric{Name: "greengate_few", Help: "Few.", Labels: []string{"name"}}
	p.Collect(func(emit admin.Emit) { emit(few, 1); emit(few, 2, "good") })
	_, text := get(t, open(t, p)+"/metrics")
	if !strings.Contains(text, `greengate_few{name="good"} 2`) || !strings.Contains(text, "greengate_devices 0") {
		t.Errorf("the others are not told:\n%s", text)
	}
	for _, want := range []string{"broken", "greengate_few"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not tell of %s:\n%s", want, &log)
		}
	}
}

func TestHealth(t *testing.T) {
	p := newPage(t)
	broken := map[string]bool{}
	for name, vital := range map[string]admin.Vital{"path": admin.Alive, "store": admin.Ready, "cloud": admin.Worth} {
		p.Check(name, vital, func() error {
			if broken[name] {
				return admin.Problem{Fault: client.Fault{Message: name + " is broken", NextStep: "mend it"}}
			}
			return nil
		})
	}
	url := open(t, p)
	for _, c := range []struct {
		broken          string
		healthz, readyz int
	}{{"", 200, 200}, {"cloud", 200, 200}, {"store", 200, 503}, {"path", 503, 503}} {
		clear(broken)
		broken[c.broken] = true
		live, text := get(t, url+"/healthz")
		ready, more := get(t, url+"/readyz")
		if live != c.healthz || ready != c.readyz {
			t.Errorf("with %q broken: %d and %d", c.broken, live, ready)
		}
		for _, body := range []string{text, more} {
			if c.broken != "" && (!strings.Contains(body, c.broken+" is broken") || !strings.Contains(body, "mend it")) {
				t.Errorf("the answer does not say what is broken: %s", body)
			}
		}
	}
}
