package greengrassv1

import (
	"slices"
	"strings"
	"testing"

	"greengate/configs/greengrassv1/testdata/factory"
	"greengate/subscriptions"
)

// importFolder imports what is in a folder.
func importFolder(t testing.TB, dir string, o Options) *Result {
	t.Helper()
	files, err := Collect([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Import(files, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func tableOf(t testing.TB, r *Result) *subscriptions.Table {
	t.Helper()
	table, err := subscriptions.Compile(r.Config.Subscriptions, r.Config.Site())
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// siteOf reads devices and rows back from a file that was written.
func siteOf(r *Result) (devices []siteDevice, rows []siteRow) {
	for _, d := range r.Config.Devices {
		devices = append(devices, siteDevice{thing: d.Thing, labels: d.Labels})
	}
	for _, w := range r.Config.Subscriptions {
		rows = append(rows, siteRow{from: w.From, to: w.To, topic: w.Topic})
	}
	return devices, rows
}

// The factory: 2,000 rows become a page, and the two files, read back and compiled, are
// one table on every topic that differs.
func TestFoldIsTheSameTable(t *testing.T) {
	dir := t.TempDir()
	if err := factory.Write(dir); err != nil {
		t.Fatal(err)
	}
	plain, folded := importFolder(t, dir, Options{}), importFolder(t, dir, Options{Fold: true})
	c := folded.Report.Counts
	if c.Devices != factory.Devices || c.Rows != factory.Subscriptions || c.LeftOut != factory.LeftOut || c.Repeated != factory.Repeated ||
		c.Written != c.Rows-c.LeftOut-c.Repeated || plain.Report.Counts.FileRows != c.Written {
		t.Errorf("counts %+v, without folding %+v", c, plain.Report.Counts)
	}
	if c.FileRows != len(folded.Config.Subscriptions) || c.FileRows > 40 {
		t.Errorf("folded to %d rows, %d in the file; want at most 40:\n%s", c.FileRows, len(folded.Config.Subscriptions), folded.File)
	}
	if len(folded.Config.Warnings) > 0 {
		t.Errorf("warnings: %v", folded.Config.Warnings)
	}
	devicesA, a := siteOf(plain)
	devicesB, b := siteOf(folded)
	p := proofOf(devicesA, a, devicesB, b)
	if len(p.sources) < factory.Devices || len(p.topics) < 500 {
		t.Fatalf("the proof asks %d sources about %d topics only", len(p.sources), len(p.topics))
	}
	if d := difference(tableOf(t, plain), tableOf(t, folded), p); d != "" {
		t.Errorf("the folded table differs: %s", d)
	}
	// The comparison sees a single row that is gone, or one too many.
	for i := range a {
		if i%97 != 0 {
			continue
		}
		less, err := compile(devicesA, slices.Delete(slices.Clone(a), i, i+1))
		if err != nil {
			t.Fatal(err)
		}
		if difference(less, tableOf(t, folded), p) == "" {
			t.Errorf("without the row %s nothing differs", a[i].text())
		}
	}
}

func TestFold(t *testing.T) {
	devices := []siteDevice{{thing: "aa1"}, {thing: "aa2"}, {thing: "aa3"}, {thing: "aa4"}, {thing: "b"}}
	all := func(f func(name string) siteRow) (rows []siteRow) {
		for _, d := range devices[:4] {
			rows = append(rows, f(d.thing))
		}
		return rows
	}
	one := func(from, topic, to string) siteRow {
		return siteRow{from: []string{from}, topic: topic, to: []string{to}, rows: 1}
	}
	for _, c := range []struct {
		name string
		rows []siteRow
		want []string
	}{
		{"a template", all(func(n string) siteRow { return one(n, "s/"+n+"/#", "cloud") }), []string{`{from: "label:aa", topic: "s/${from}/#", to: cloud}`}},
		{"the other way", all(func(n string) siteRow { return one("cloud", "cmd/"+n, n) }), []string{`{from: cloud, topic: "cmd/${to}", to: "label:aa"}`}},
		{"own shadows", all(func(n string) siteRow { return one("shadow", "$aws/things/"+n+"/shadow/update/delta", n) }),
			[]string{`{from: shadow, topic: "$aws/things/${to}/shadow/update/delta", to: "label:aa"}`}},
		{"one topic", all(func(n string) siteRow { return one(n, "all", "b") }), []string{`{from: "label:aa", topic: all, to: b}`}},
		{"few are a list", all(func(n string) siteRow { return one(n, "all", "b") })[:2], []string{`{from: [aa1, aa2], topic: all, to: b}`}},
		{"to several", []siteRow{one("b", "x", "cloud"), one("b", "x", "aa1"), one("b", "y", "aa1")}, []string{`{from: b, topic: x, to: [aa1, cloud]}`, `{from: b, topic: "y", to: aa1}`}},
		{"to all others, not to itself", func() (rows []siteRow) {
			for _, a := range devices {
				for _, b := range devices {
					if a.thing != b.thing {
						rows = append(rows, one(a.thing, "chat", b.thing))
					}
				}
			}
			return rows
		}(), nil},
		{"to all with itself", func() (rows []siteRow) {
			for _, a := range devices {
				for _, b := range devices {
					rows = append(rows, one(a.thing, "chat/"+a.thing, b.thing))
				}
			}
			return rows
		}(), []string{`{from: "label:all", topic: "chat/${from}", to: "label:all"}`}},
		{"a name by chance", []siteRow{one("b", "b/b", "aa1"), one("b", "b/c", "aa1")}, []string{`{from: b, topic: b/b, to: aa1}`, `{from: b, topic: b/c, to: aa1}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &site{devices: slices.Clone(devices), rows: c.rows, report: &Report{}}
			if err := s.fold(); err != nil {
				t.Fatal(err)
			}
			if len(s.report.Missing) > 0 {
				t.Errorf("not the same: %+v", s.report.Missing)
			}
			var got []string
			for _, r := range s.rows {
				got = append(got, r.text())
			}
			if c.want != nil && !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// The proof must not be fooled by what looks alike.
func TestDifference(t *testing.T) {
	devices := []siteDevice{{thing: "a", labels: []string{"l"}}, {thing: "b", labels: []string{"l"}}, {thing: "other"}}
	row := func(from, topic, to string) siteRow {
		return siteRow{from: []string{from}, topic: topic, to: []string{to}}
	}
	for _, c := range []struct {
		name string
		a, b []siteRow
		same bool
	}{
		{"the same", []siteRow{row("a", "x", "b")}, []siteRow{row("a", "x", "b")}, true},
		{"one covers the other", []siteRow{row("a", "x/#", "b")}, []siteRow{row("a", "x/#", "b"), row("a", "x/y", "b")}, true},
		{"wider", []siteRow{row("a", "x/y", "b")}, []siteRow{row("a", "x/+", "b")}, false},
		{"# and +", []siteRow{row("a", "x/#", "b")}, []siteRow{row("a", "x/+", "b")}, false},
		{"# is x too", []siteRow{row("a", "x/#", "b")}, []siteRow{row("a", "x/+/#", "b")}, false},
		{"# in two", []siteRow{row("a", "x/#", "b")}, []siteRow{row("a", "x/+/#", "b"), row("a", "x", "b")}, true},
		{"# in all lengths but the longer ones", []siteRow{row("a", "x/#", "b")}, []siteRow{row("a", "x", "b"), row("a", "x/+", "b"), row("a", "x/+/+", "b")}, false},
		{"$ and #", []siteRow{row("a", "#", "b")}, []siteRow{row("a", "#", "b"), row("a", "$x", "b")}, false},
		{"a label", []siteRow{row("a", "x", "other"), row("b", "x", "other")}, []siteRow{row("label:l", "x", "other")}, true},
		{"a label too many", []siteRow{row("a", "x", "other")}, []siteRow{row("label:l", "x", "other")}, false},
		{"the sender too", []siteRow{row("a", "x", "b"), row("b", "x", "a")}, []siteRow{row("label:l", "x", "label:l")}, false},
		{"${from}", []siteRow{row("a", "x/a", "other"), row("b", "x/b", "other")}, []siteRow{row("label:l", "x/${from}", "other")}, true},
		{"${from} is not +", []siteRow{row("label:l", "x/${from}", "other")}, []siteRow{row("label:l", "x/+", "other")}, false},
		{"${to}", []siteRow{row("other", "x/a", "a"), row("other", "x/b", "b")}, []siteRow{row("other", "x/${to}", "label:l")}, true},
		{"a name that is the word", []siteRow{row("other", "x/other", "a")}, []siteRow{row("other", "x/+", "a")}, false},
		{"another direction", []siteRow{row("a", "x", "b")}, []siteRow{row("b", "x", "a")}, false},
		{"a service", []siteRow{row("a", "x", "cloud")}, []siteRow{row("a", "x", "shadow")}, false},
	} {
		a, err := compile(devices, c.a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := compile(devices, c.b)
		if err != nil {
			t.Fatal(err)
		}
		d := difference(a, b, proofOf(devices, c.a, devices, c.b))
		if (d == "") != c.same {
			t.Errorf("%s: %q", c.name, d)
		}
	}
}
