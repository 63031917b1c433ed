package subscriptions_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"greengate/core/message"
	. "greengate/subscriptions"
)

// plantSite has sensors, of which two are in the hall, and a switch.
var plantSite = Site{Core: "core", Devices: []Device{
	{Thing: "s1", Labels: []string{"sensor", "hall"}}, {Thing: "s2", Labels: []string{"sensor", "hall"}},
	{Thing: "s3", Labels: []string{"sensor"}}, {Thing: "switch"}, {Thing: "dumb", NoShadow: true},
}}

// parseFlows reads lines `from topic to`; to `-` is not known.
func parseFlows(t *testing.T, text string) (flows []Flow) {
	t.Helper()
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		f := Flow{From: endpoint(t, words[0]), Topic: words[1]}
		if words[2] != "-" {
			f.To = endpoint(t, words[2])
		}
		flows = append(flows, f)
	}
	return flows
}

func generalise(t *testing.T, flows []Flow, site Site, exact bool) *Proposal {
	t.Helper()
	p, err := Generalise(flows, site, exact)
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := p.Verify(flows, site)
	if err != nil || len(wrong) > 0 {
		t.Fatalf("the rows %s refuse %v, %v", rowTexts(p.Rows), wrong, err)
	}
	return p
}

func rowTexts(rows []Proposed) string {
	texts := make([]string, len(rows))
	for i, r := range rows {
		texts[i] = r.Text
	}
	return strings.Join(texts, "\n")
}

func TestGeneralise(t *testing.T) {
	for _, c := range []struct{ name, flows, want string }{
		{"one flow stays as it is", "switch a/switch/b s1", `{from: switch, topic: a/switch/b, to: s1}`},
		{"a label and ${from}", "s1 data/s1 switch\ns2 data/s2 switch\ns3 data/s3 switch",
			`{from: label:sensor, topic: "data/${from}", to: switch}`},
		{"a label has all its wearers or is none", "s1 data/s1 switch\ns3 data/s3 switch",
			`{from: [s1, s3], topic: "data/${from}", to: switch}`},
		{"the label that fits", "s1 data/s1 switch\ns2 data/s2 switch", `{from: label:hall, topic: "data/${from}", to: switch}`},
		{"a label and one more", "s1 x switch\ns2 x switch\nswitch x switch", `{from: [label:hall, switch], topic: x, to: switch}`},
		{"device:* and ${to}", "cloud cmd/s1 s1\ncloud cmd/s2 s2\ncloud cmd/s3 s3\ncloud cmd/switch switch\ncloud cmd/dumb dumb",
			`{from: cloud, topic: "cmd/${to}", to: "device:*"}`},
		{"part of a level", "s1 dev-s1/x switch\ns2 dev-s2/x switch", `{from: label:hall, topic: "dev-${from}/x", to: switch}`},
		{"not part of a word", "s1 as1/x switch\ns2 as2/x switch",
			"{from: s1, topic: as1/x, to: switch}\n{from: s2, topic: as2/x, to: switch}"},
		{"both ends", "s1 from/s1/to/s2 s2\ns2 from/s2/to/s1 s1", `{from: label:hall, topic: "from/${from}/to/${to}", to: label:hall}`},
		{"+ for three words", "s1 d/t/x switch\ns1 d/h/x switch\ns1 d/p/x switch", `{from: s1, topic: d/+/x, to: switch}`},
		{"two words are two rows", "s1 d/t/x switch\ns1 d/h/x switch",
			"{from: s1, topic: d/h/x, to: switch}\n{from: s1, topic: d/t/x, to: switch}"},
		{"no + that lets one device use the words of others", "s1 room1/t switch\ns2 room2/t switch\ns3 room3/t switch",
			"{from: s1, topic: room1/t, to: switch}\n{from: s2, topic: room2/t, to: switch}\n{from: s3, topic: room3/t, to: switch}"},
		{"+ and a label", "s1 d/s1/t switch\ns1 d/s1/h switch\ns1 d/s1/p switch\ns2 d/s2/t switch\ns2 d/s2/h switch",
			`{from: label:hall, topic: "d/${from}/+", to: switch}`},
		{"a group that talks", "s1 chat s2\ns2 chat s1\ns1 chat s3\ns3 chat s1\ns2 chat s3\ns3 chat s2",
			`{from: label:sensor, topic: chat, to: label:sensor}`},
		{"shadow of another", "switch $aws/things/s1/shadow/update shadow\nshadow $aws/things/s1/shadow/update/accepted switch\nshadow $aws/things/s1/shadow/update/delta switch",
			`{from: switch, shadow: s1, may: [update, watch]}`},
		{"who listens to answers gets no right to ask", "shadow $aws/things/s1/shadow/update/accepted switch",
			`{from: shadow, topic: "$aws/things/s1/shadow/update/accepted", to: switch}`},
		{"own shadows", "s1 $aws/things/s1/shadow/get shadow\ns2 $aws/things/s2/shadow/get shadow\nshadow $aws/things/s1/shadow/get/accepted s1",
			"{from: label:hall, topic: \"$aws/things/${from}/shadow/#\", to: shadow}\n{from: shadow, topic: \"$aws/things/${to}/shadow/#\", to: label:hall}"},
		{"nothing", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.ReplaceAll(rowTexts(generalise(t, parseFlows(t, c.flows), plantSite, false).Rows), `"label:`, `label:`)
			got = strings.ReplaceAll(strings.ReplaceAll(got, `sensor"`, "sensor"), `hall"`, "hall")
			lines := strings.Split(got, "\n")
			slices.Sort(lines)
			if got = strings.Join(lines, "\n"); strings.ReplaceAll(got, `"`, "") != strings.ReplaceAll(c.want, `"`, "") {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestGeneraliseSaysWhatStaysRefused(t *testing.T) {
	p := generalise(t, parseFlows(t, `
s1 alone/s1 -
s2 alone/s2 -
s1 $aws/things/dumb/shadow/get shadow
s1 $aws/things/s2/shadow/get/accepted s2
stranger a s1
s1 a/${from} s2
s1 fine s2`), plantSite, false)
	if got, want := rowTexts(p.Rows), "{from: s1, topic: fine, to: s2}"; got != want {
		t.Errorf("rows %s, want %s", got, want)
	}
	if got, want := rowTexts(p.Open), `{from: label:hall, topic: "alone/${from}", to: RECEIVER}`; strings.ReplaceAll(got, `"`, "") != strings.ReplaceAll(want, `"`, "") {
		t.Errorf("open rows %s, want %s", got, want)
	}
	for _, want := range []string{
		"alone/s1: nobody had subscribed", "alone/s2: nobody had subscribed", "dumb/shadow/get: dumb has no shadow",
		"get/accepted: only the shadow service publishes", "a: stranger is no device", "a/${from}: a row would read ${",
	} {
		if !slices.ContainsFunc(p.Refused, func(r StillRefused) bool {
			return strings.HasSuffix(r.Topic, strings.SplitN(want, ": ", 2)[0]) && strings.HasPrefix(r.Reason, strings.SplitN(want, ": ", 2)[1])
		}) {
			t.Errorf("nothing says %q: %+v", want, p.Refused)
		}
	}
	if len(p.Refused) != 6 {
		t.Errorf("%d refused, want 6: %+v", len(p.Refused), p.Refused)
	}
}

// randomFlows are flows as a site has them, with names in their topics.
func (w *world) randomFlows() (flows []Flow) {
	for range w.IntN(40) {
		f := Flow{From: pick(w, w.ends), To: pick(w, w.ends)}
		f.Topic = strings.NewReplacer("${from}", f.From.Name, "${to}", f.To.Name, "+", "w").Replace(w.filter())
		if strings.HasSuffix(f.Topic, "#") || w.IntN(3) == 0 {
			f.Topic = w.topic()
		}
		if w.IntN(3) == 0 {
			f.Topic = pick(w, []string{"data/", "x/y/"}) + f.From.Name + pick(w, []string{"", "/1", "/2", "/3", "/4"})
		}
		if message.CheckTopic(f.Topic) == nil {
			flows = append(flows, f)
		}
	}
	return flows
}

// Every flow is allowed by the table's own Lookup, or said to be refused; and
// what else is allowed is said by the row that allows it.
func TestGeneraliseProperty(t *testing.T) {
	wider, rows := 0, 0
	for seed := range uint64(300) {
		w := newWorld(seed)
		flows := w.randomFlows()
		for _, exact := range []bool{true, false} {
			p := generalise(t, flows, w.site, exact)
			rows += len(p.Rows)
			wider += w.judgeProposal(t, p, flows, exact)
		}
	}
	if rows < 1000 || wider == 0 {
		t.Errorf("%d rows and %d flows more prove little", rows, wider)
	}
}

func (w *world) judgeProposal(t *testing.T, p *Proposal, flows []Flow, exact bool) (wider int) {
	t.Helper()
	asked := map[Flow]bool{}
	topics := map[string]bool{"data/w": true, "x/y/a/5": true}
	for _, f := range flows {
		asked[f], topics[f.Topic] = true, true
		for _, e := range w.ends {
			topics[strings.ReplaceAll(f.Topic, f.From.Name, e.Name)] = true
		}
	}
	var table []Row
	for _, r := range p.Rows {
		if exact && (strings.ContainsAny(r.Row.Topic, "+#")) {
			t.Errorf("an exact row has a wildcard: %s", r.Text)
		}
		// What a person pastes is the row that was judged.
		if read := parseRows(t, "- "+r.Text); len(read) != 1 || !reflect.DeepEqual(rowParts(read[0]), rowParts(r.Row)) {
			t.Fatalf("%s is read as %+v, and is %+v", r.Text, read, r.Row)
		}
		table = append(table, r.Row)
	}
	compiled, err := Compile(table, w.site)
	if err != nil {
		t.Fatal(err)
	}
	for topic := range topics {
		if message.CheckTopic(topic) != nil {
			continue
		}
		for _, from := range w.ends {
			m := compiled.Lookup(from, topic)
			if m == nil {
				continue
			}
			for _, to := range w.ends {
				f := Flow{From: from, Topic: topic, To: to}
				row, ok := m.Allows(to)
				if !ok || row == len(table) || asked[f] {
					continue
				}
				wider++
				if len(p.Rows[row].Besides) == 0 {
					t.Fatalf("%v is allowed by %s, which says nothing of it\n%v", f, p.Rows[row].Text, flows)
				}
				if exact && from != to && p.Rows[row].Row.Shadow == "" {
					t.Fatalf("%v is allowed by %s, and the rows are to be exact\n%v", f, p.Rows[row].Text, flows)
				}
			}
		}
	}
	return wider
}

func rowParts(r Row) []string {
	return slices.Concat(r.From, []string{r.Topic, r.Shadow}, r.May, r.To)
}

// No row can be left out.
func TestGeneraliseNeedsEachRow(t *testing.T) {
	for seed := range uint64(100) {
		w := newWorld(seed)
		flows := w.randomFlows()
		p := generalise(t, flows, w.site, false)
		for i := range p.Rows {
			less := *p
			less.Rows = slices.Delete(slices.Clone(p.Rows), i, i+1)
			if wrong, err := less.Verify(flows, w.site); err != nil || len(wrong) == 0 && p.Rows[i].Row.Shadow == "" && p.Rows[i].Flows > 0 && !strings.Contains(rowTexts(p.Rows), "shadow/#") {
				t.Errorf("%s can be left out of\n%s", p.Rows[i].Text, rowTexts(p.Rows))
			}
		}
	}
}

// A site of 200 devices that all talk to all is one row, found in short time.
func TestGeneraliseLarge(t *testing.T) {
	var site Site
	var flows []Flow
	for i := range 200 {
		site.Devices = append(site.Devices, Device{Thing: fmt.Sprintf("d%d", i)})
	}
	for _, a := range site.Devices {
		for _, b := range site.Devices {
			flows = append(flows, Flow{message.DeviceEndpoint(a.Thing), "chat/" + a.Thing, message.DeviceEndpoint(b.Thing)})
		}
		for k := range 10 {
			flows = append(flows, Flow{message.DeviceEndpoint(a.Thing), fmt.Sprintf("data/%s/v%d/now", a.Thing, k), message.DeviceEndpoint("d0")})
		}
	}
	p := generalise(t, flows, site, false)
	if got := rowTexts(p.Rows); len(p.Rows) != 2 {
		t.Errorf("got %s", got)
	}
}
