package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// The random worlds of the gate: their names are few and alike, so that topics, rows and
// subscriptions meet in all ways.

// proofWitness is the device that is never removed, and hears what functions answer.
const proofWitness = "Witness"

var (
	proofThings = []string{"a", "b", "aa", "a-b", "d:1", "x-a", proofWitness}
	proofLabels = []string{"p", "q", "r"}
	proofWords  = []string{"", "c", "$aws", "x-aa", "a-b-a", "aaa", "${from}"}
	proofHoles  = []string{"${from}", "${to}", "x-${from}", "${from}-${to}", "${to}${to}", "${to}-b", "$${to}"}
	proofOps    = []string{"get", "update", "delete", "watch"}
)

// proofDice makes random tables, topics and filters.
type proofDice struct{ *rand.Rand }

// one in n.
func (r proofDice) one(n int) bool { return r.IntN(n) == 0 }

func (r proofDice) of(list ...string) string { return list[r.IntN(len(list))] }

// table makes a group. The devices of keep stay in it.
func (r proofDice) table(prints map[string]string, keep []string) *proofTable {
	t := &proofTable{Own: r.one(2)}
	for _, thing := range proofThings {
		if r.one(8) && !slices.Contains(keep, thing) {
			continue
		}
		t.Devices = append(t.Devices, r.device(thing, prints[thing]))
	}
	for range 4 + r.IntN(20) {
		t.Rows = append(t.Rows, r.row(t))
	}
	return t
}

func (r proofDice) device(thing, print string) proofDevice {
	d := proofDevice{Thing: thing, Print: print}
	for _, l := range proofLabels {
		if r.one(3) {
			d.Labels = append(d.Labels, l)
		}
	}
	if r.one(6) {
		d.Shadow = "none"
	}
	if r.one(3) {
		own := r.one(2)
		d.Own = &own
	}
	return d
}

// altered is a table that differs from t in little. The devices of keep stay in it.
func (r proofDice) altered(t *proofTable, prints map[string]string, keep []string) *proofTable {
	n := &proofTable{Own: t.Own != r.one(4)}
	for _, thing := range proofThings {
		d := t.device("device:" + thing)
		switch {
		case d == nil && r.one(2) || d != nil && r.one(5) && !slices.Contains(keep, thing):
		case d == nil || r.one(3):
			n.Devices = append(n.Devices, r.device(thing, prints[thing]))
		default:
			n.Devices = append(n.Devices, *d)
		}
	}
	for _, row := range t.Rows {
		switch {
		case r.one(5):
		case r.one(4), !n.has(row.From), !n.has(row.To):
			n.Rows = append(n.Rows, r.row(n))
		default:
			n.Rows = append(n.Rows, row)
		}
	}
	return n
}

// has tells whether the devices that a side of a row names are in the group.
func (t *proofTable) has(side []string) bool {
	return !slices.ContainsFunc(side, func(end string) bool {
		switch {
		case slices.Contains(proofThings, end):
			end = "device:" + end
		case end == "device:*", !strings.HasPrefix(end, "device:"):
			return false
		}
		return t.device(end) == nil
	})
}

func (r proofDice) row(t *proofTable) proofRow {
	if r.one(4) {
		row := proofRow{From: r.ends(t), Shadow: r.of(append([]string{"other", "c_Core"}, proofThings...)...)}
		row.From = slices.DeleteFunc(row.From, func(e string) bool { return e == proofShadow })
		if len(row.From) == 0 {
			row.From = []string{"device:*"}
		}
		for _, op := range proofOps {
			if r.one(2) {
				row.May = append(row.May, op)
			}
		}
		return row
	}
	row := proofRow{From: r.ends(t), To: r.ends(t), Topic: r.filter(true)}
	// A placeholder is for devices only.
	for _, side := range []struct {
		hole string
		ends *[]string
	}{{"${from}", &row.From}, {"${to}", &row.To}} {
		if strings.Contains(row.Topic, side.hole) {
			*side.ends = slices.DeleteFunc(*side.ends, func(e string) bool { return slices.Contains(proofServices, e) })
			if len(*side.ends) == 0 {
				*side.ends = []string{r.of("device:*", "label:p")}
			}
		}
	}
	row.Durable = r.one(2) && slices.ContainsFunc(row.To, func(e string) bool { return strings.HasPrefix(e, "function:") })
	return row
}

// ends are a side of a row.
func (r proofDice) ends(t *proofTable) (ends []string) {
	for range 1 + r.IntN(6)/4 {
		switch r.IntN(6) {
		case 0:
			ends = append(ends, "device:*")
		case 1, 2:
			ends = append(ends, "label:"+r.of(proofLabels...))
		case 3:
			ends = append(ends, r.of(proofServices...))
		default:
			d := t.Devices[r.IntN(len(t.Devices))].Thing
			if strings.Contains(d, ":") || r.one(2) {
				d = "device:" + d
			}
			ends = append(ends, d)
		}
	}
	return ends
}

// filter makes a topic filter, of a row when holes are wanted.
func (r proofDice) filter(holes bool) string {
	if r.one(7) {
		return r.shadowTopic(r.of(append([]string{"+", "other"}, proofThings...)...))
	}
	if r.one(10) {
		return "#"
	}
	var levels []string
	for range 1 + r.IntN(3) {
		switch n := r.IntN(8); {
		case n < 2:
			levels = append(levels, "+")
		case n < 4 && holes:
			levels = append(levels, r.of(proofHoles...))
		case n < 6:
			levels = append(levels, r.of(proofThings...))
		default:
			levels = append(levels, r.of(proofWords[:len(proofWords)-1]...))
		}
	}
	if r.one(3) {
		levels = append(levels, "#")
	}
	if f := strings.Join(levels, "/"); f != "" {
		return f
	}
	return "c"
}

func (r proofDice) shadowTopic(thing string) string {
	return "$aws/things/" + thing + "/shadow/" + r.of("", "", "name/n/") +
		r.of("get", "update", "update", "delete", "watch") + r.of("", "", "", "/accepted", "/rejected", "/delta", "/documents", "/x")
}

// way picks a source and a topic, mostly such as a row of the table has. source says which
// ends count.
func (r proofDice) way(t *proofTable, sources []string) (from, topic string) {
	from = r.of(sources...)
	if len(t.Rows) > 0 && !r.one(5) {
		row := t.Rows[r.IntN(len(t.Rows))]
		for range 8 {
			if !t.names(row.From, from) {
				from = r.of(sources...)
			}
		}
		to := r.of(proofThings...)
		for range 8 {
			if !t.names(row.To, "device:"+to) {
				to = r.of(proofThings...)
			}
		}
		topic = row.Topic
		if row.Shadow != "" {
			topic = r.shadowTopic(row.Shadow)
		}
		topic = strings.NewReplacer("${from}", strings.TrimPrefix(from, "device:"), "${to}", to,
			"+", r.of(proofThings...), "/#", r.of("", "/c", "/a/b"), "#", r.of("c", "a/b")).Replace(topic)
	} else {
		topic = strings.NewReplacer("+", r.of(proofThings...), "#", r.of(proofWords...)).Replace(r.filter(false))
	}
	if topic == "" {
		topic = "c"
	}
	return from, topic
}

// proofFile is the group file of a table: JSON, which is YAML, with the rows by which the
// test itself learns where things stand.
func proofFile(t *proofTable, functions, held, bell string) []byte {
	type object = map[string]any
	rows := t.Rows
	for _, d := range t.Devices {
		rows = append(slices.Clip(rows), proofRow{From: []string{"device:" + d.Thing}, Topic: proofMark(d.Thing), To: []string{"device:" + d.Thing}})
	}
	var local []object
	for _, end := range proofFunctions {
		name := strings.TrimPrefix(end, "function:")
		local = append(local, object{"name": name, "command": []string{"./bootstrap", "proof", held + name}, "dir": functions, "encoding": "binary", "pinned": true,
			"reply_to": proofAnswer + name, "timeout": "1h", "queue": object{"max": 100000, "max_size": "64MiB"}})
		rows = append(rows, proofRow{From: []string{proofWitness}, Topic: proofMark(name), To: []string{end}},
			proofRow{From: []string{end}, Topic: proofAnswer + name, To: []string{proofWitness}})
	}
	text, err := json.MarshalIndent(object{
		"version": 1, "group": "home", "core": "c_Core", "own_shadows": t.Own, "devices": t.Devices, "subscriptions": rows,
		"broker":    object{"listen": []string{"127.0.0.1:0"}},
		"discovery": object{"listen": []string{"127.0.0.1:0"}, "announce": false},
		"admin":     object{"listen": ""},
		"functions": local,
		"gpio": object{"driver": "sim", "pwm": []object{{"name": "dimmer", "pin": "GPIO18"}},
			"buttons": []object{{"name": "bell", "pin": "GPIO22", "pull": "up", "topic": bell, "debounce": "1ms"}}},
	}, "", " ")
	if err != nil {
		panic(err)
	}
	return text
}

// proofMark is a topic on which an end hears its own marks, proofAnswer begins that of the
// answers of functions. No row of a random table leads there.
func proofMark(name string) string { return "$mark/" + name }

const (
	proofAnswer  = "$answer/"
	proofAnswers = proofAnswer + "+"
)

// String has the devices and rows a line each.
func (t *proofTable) String() string {
	lines := []string{fmt.Sprint("own_shadows: ", t.Own)}
	line := func(v any) {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		lines = append(lines, string(text))
	}
	for _, d := range t.Devices {
		d.Print = ""
		line(d)
	}
	for _, r := range t.Rows {
		line(r)
	}
	return strings.Join(lines, "\n  ")
}
