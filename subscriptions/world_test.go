package subscriptions_test

import (
	"math/rand/v2"
	"slices"
	"strings"

	"greengate/core/message"
	. "greengate/subscriptions"
)

// world is a random group. Its names are few and alike, so that topics and
// rows meet in all ways.
type world struct {
	*rand.Rand
	oracle
	ends []message.Endpoint
}

var (
	things = []string{"a", "b", "aa", "a-b", "d:1", "x-a"}
	texts  = append([]string{"", "c", "$aws", "x-aa", "a-b-a", "aaa", "$SYS", "${from}"}, things...)
	holes  = []string{"${from}", "${to}", "x-${from}", "${from}-${to}", "${to}${to}", "${to}-b", "${to}-${from}-${to}", "$${to}"}
)

// worldNames are the functions and pins of every world; what else w.ends has is a stranger.
var worldNames = Names{Functions: []string{"a"}, Pins: []string{"led"}}

func newWorld(seed uint64) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 7))}
	w.site.Core = "core"
	for i, t := range things[:1+w.IntN(len(things))] {
		d := Device{Thing: t, OwnShadows: w.IntN(3) > 0, NoShadow: w.IntN(5) == 0, Line: 100 + i}
		for _, l := range []string{"p", "q", "r"} {
			if w.IntN(3) == 0 {
				d.Labels = append(d.Labels, l)
			}
		}
		w.site.Devices = append(w.site.Devices, d)
		w.ends = append(w.ends, message.DeviceEndpoint(t))
	}
	w.ends = append(w.ends, message.DeviceEndpoint("stranger"), message.Endpoint{Kind: message.Cloud}, message.Endpoint{Kind: message.Shadow},
		message.Endpoint{Kind: message.Function, Name: "a"}, message.Endpoint{Kind: message.GPIO, Name: "led"}, message.Endpoint{Kind: message.Function, Name: "gone"})
	for range w.IntN(20) {
		r := w.row()
		if !slices.ContainsFunc(Check([]Row{r}, w.site, worldNames), func(f Fault) bool { return !f.Warning }) {
			r.Line = len(w.rows) + 1
			w.rows = append(w.rows, r)
		}
	}
	return w
}

func pick[T any](w *world, list []T) T { return list[w.IntN(len(list))] }

func (w *world) row() Row {
	if w.IntN(4) == 0 {
		r := Row{From: w.end(), Shadow: pick(w, append(things, "other", "core"))}
		for _, op := range []string{"get", "update", "delete", "watch"} {
			if w.IntN(2) == 0 {
				r.May = append(r.May, op)
			}
		}
		return r
	}
	return Row{From: w.end(), Topic: w.filter(), To: w.end()}
}

func (w *world) end() Ends {
	var ends Ends
	for range 1 + w.IntN(6)/4 {
		switch w.IntN(4) {
		case 0:
			ends = append(ends, "device:*")
		case 1:
			ends = append(ends, "label:"+pick(w, []string{"p", "q", "r", "nobody"}))
		default:
			ends = append(ends, pick(w, []string{"", "device:"})+pick(w, w.ends).String())
		}
	}
	return ends
}

func (w *world) filter() string {
	if w.IntN(8) == 0 {
		return w.shadowTopic(pick(w, append(things, "${from}", "${to}", "+")))
	}
	var levels []string
	for range 1 + w.IntN(4) {
		levels = append(levels, pick(w, []string{pick(w, texts[:len(texts)-len(things)-1]), pick(w, things), pick(w, holes), "+"}))
	}
	if w.IntN(3) == 0 {
		levels = append(levels, "#")
	}
	return strings.Join(levels, "/")
}

func (w *world) shadowTopic(thing string) string {
	return "$aws/things/" + thing + "/shadow/" + pick(w, []string{"", "", "name/n/", "name//"}) +
		pick(w, []string{"get", "update", "delete", "watch"}) + pick(w, []string{"", "", "/accepted", "/rejected", "/delta", "/documents", "/x"})
}

// probe returns a source and a topic, half of the time such as a row has.
func (w *world) probe() (message.Endpoint, string) {
	if w.IntN(2) == 0 || len(w.rows) == 0 {
		return pick(w, w.ends), w.topic()
	}
	r := pick(w, w.rows)
	from, to := pick(w, w.ends), pick(w, w.ends)
	for range 10 {
		if !w.is(from, r.From) {
			from = pick(w, w.ends)
		}
		if !w.is(to, r.To) {
			to = pick(w, w.ends)
		}
	}
	topic := strings.NewReplacer("${from}", from.Name, "${to}", to.Name, "+", pick(w, texts), "#", pick(w, texts)).Replace(r.Topic)
	if r.Shadow != "" {
		topic = w.shadowTopic(r.Shadow)
	}
	if message.CheckTopic(topic) != nil {
		topic = "c"
	}
	return from, topic
}

func (w *world) topic() string {
	if w.IntN(4) == 0 {
		return w.shadowTopic(pick(w, append(things, "other", "core")))
	}
	var levels []string
	for range 1 + w.IntN(4) {
		levels = append(levels, pick(w, texts))
	}
	if topic := strings.Join(levels, "/"); topic != "" {
		return topic
	}
	return "/"
}
