package admin

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"runtime/metrics"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
)

// Metric is a family of figures for Prometheus. Its name and unit are after the
// conventions: base units, _total for what only rises.
type Metric struct {
	Name, Help string
	Counter    bool // otherwise a gauge; a histogram where an EmitHistogram takes it
	Labels     []string

	once sync.Once
	made *prometheus.Desc
}

// desc is the metric in the words of the library.
func (m *Metric) desc() *prometheus.Desc {
	m.once.Do(func() { m.made = prometheus.NewDesc(m.Name, m.Help, m.Labels, nil) })
	return m.made
}

// Emit takes a figure of m, with a value for each label of m.
type Emit func(m *Metric, value float64, labels ...string)

// Histogram counts observations by their size.
type Histogram struct {
	Count   uint64
	Sum     float64            // of all, in the unit of the metric
	Buckets map[float64]uint64 // how many are at most so large
}

// EmitHistogram takes a histogram of m, with a value for each label of m.
type EmitHistogram func(m *Metric, h Histogram, labels ...string)

// Bounds of an answer.
const (
	mostSeries  = 1000 // of a metric; how many were left out is a metric too
	mostScrapes = 4    // at the same time; more get 503
)

// Collect adds a source of figures, which is asked at each scrape, beside the others. A
// metric has one source.
func (p *Page) Collect(source func(Emit)) {
	p.metrics.add(func(a *answer) { source(a.emit) })
}

// CollectHistograms is Collect for histograms.
func (p *Page) CollectHistograms(source func(EmitHistogram)) {
	p.metrics.add(func(a *answer) { source(a.emitHistogram) })
}

// scrapes serve /metrics out of a registry of their own: the library's default one has
// what other packages put there.
type scrapes struct {
	page     *Page
	registry *prometheus.Registry
	busy     chan struct{}
	rows     rowLabels
}

func (m *scrapes) init(p *Page) {
	m.page, m.registry, m.busy = p, prometheus.NewRegistry(), make(chan struct{}, mostScrapes)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, source := range []func(Emit){m.fromStatus, p.ownFigures, collections} {
		p.Collect(source)
	}
}

func (m *scrapes) add(ask func(*answer)) { m.registry.MustRegister(source(ask)) }

var errScrapes = errors.New("too many ask for the metrics at the same time")

func (m *scrapes) serve(w http.ResponseWriter, r *http.Request) {
	select {
	case m.busy <- struct{}{}:
	default:
		w.Header().Set("Retry-After", "1")
		m.page.refuse(w, http.StatusServiceUnavailable, "scrapes", errScrapes)
		return
	}
	// OpenMetrics, protobuf or the text format, as the caller would have it.
	format := expfmt.NegotiateIncludingOpenMetrics(r.Header)
	text, err := m.gather(format)
	if err != nil {
		// What could be gathered is told all the same.
		m.page.log.Error("Did not gather all metrics", "err", err)
	}
	w.Header().Set("Content-Type", string(format))
	_, _ = w.Write(text) // a caller who has gone needs no answer
}

// gather asks all sources and encodes what they tell. It has made room for another when
// it returns: who reads his answer slowly is not to keep others waiting. The text is a
// tenth of what it is made of, so promhttp, which encodes as the caller reads, is not
// used: a hundred who read slowly would have a hundred times all of that.
func (m *scrapes) gather(format expfmt.Format) ([]byte, error) {
	defer func() { <-m.busy }()
	families, err := m.registry.Gather()
	var text bytes.Buffer
	to := expfmt.NewEncoder(&text, format)
	for _, f := range families {
		err = errors.Join(err, to.Encode(f))
	}
	if end, ok := to.(expfmt.Closer); ok {
		err = errors.Join(err, end.Close())
	}
	return text.Bytes(), err
}

// source is a Collector of the library. It describes nothing: which series there are
// shows when they come, and then the registry checks them.
type source func(*answer)

func (source) Describe(chan<- *prometheus.Desc) {}

// Collect is called on a goroutine of the registry, where a panic would end the gateway.
func (s source) Collect(to chan<- prometheus.Metric) {
	a := &answer{to: to, series: map[*Metric]int{}}
	defer func() {
		if r := recover(); r != nil {
			to <- prometheus.NewInvalidMetric(leftOut.desc(), fmt.Errorf("a source of metrics panics: %v", r))
		}
	}()
	s(a)
	for m, n := range a.series {
		if n > mostSeries {
			a.send(leftOut, prometheus.GaugeValue, float64(n-mostSeries), m.Name)
		}
	}
}

// answer is what one source tells in one scrape.
type answer struct {
	to     chan<- prometheus.Metric
	series map[*Metric]int
}

var leftOut = &Metric{Name: "greengate_metric_series_left_out", Labels: []string{"metric"},
	Help: "Series of a metric that this answer left out, because it has too many."}

// room reports whether one more series of m may be told.
func (a *answer) room(m *Metric) bool {
	a.series[m]++
	return a.series[m] <= mostSeries
}

func (a *answer) emit(m *Metric, value float64, labels ...string) {
	kind := prometheus.GaugeValue
	if m.Counter {
		kind = prometheus.CounterValue
	}
	if a.room(m) {
		a.send(m, kind, value, labels...)
	}
}

func (a *answer) send(m *Metric, kind prometheus.ValueType, value float64, labels ...string) {
	made, err := prometheus.NewConstMetric(m.desc(), kind, value, valid(labels)...)
	a.give(m, made, err)
}

func (a *answer) emitHistogram(m *Metric, h Histogram, labels ...string) {
	if a.room(m) {
		made, err := prometheus.NewConstHistogram(m.desc(), h.Count, h.Sum, h.Buckets, valid(labels)...)
		a.give(m, made, err)
	}
}

// give tells a series, or in its place what is wrong with it: the others are told.
func (a *answer) give(m *Metric, made prometheus.Metric, err error) {
	if err != nil {
		made = prometheus.NewInvalidMetric(m.desc(), err)
	}
	a.to <- made
}

// valid makes labels of what devices have made.
func valid(labels []string) []string {
	for i, label := range labels {
		labels[i] = strings.ToValidUTF8(label, "\uFFFD")
	}
	return labels
}

var (
	viewersNow  = gauge("admin_event_streams", "Viewers of the live page.")
	viewersLost = counter("admin_frames_skipped_total", "Frames that viewers of the live page did not get because they read too slowly.")
	turnedAway  = counter("admin_refused_total", "Connections and requests that the admin address turned away.", "reason")
	goCycles    = &Metric{Name: "go_gc_cycles_total", Counter: true, Help: "Garbage collections since the start."}
)

// ownFigures are those of the page itself.
func (p *Page) ownFigures(emit Emit) {
	n, skipped := p.viewers.figures()
	emit(viewersNow, float64(n))
	emit(viewersLost, float64(skipped))
	for reason, n := range p.tally.all() {
		emit(turnedAway, float64(n), reason)
	}
}

// collections counts those of garbage, which the library tells as the count of a summary.
func collections(emit Emit) {
	cycles := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}
	if metrics.Read(cycles); cycles[0].Value.Kind() == metrics.KindUint64 {
		emit(goCycles, float64(cycles[0].Value.Uint64()))
	}
}
