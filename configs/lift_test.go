package configs

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// whole tells how the tree with what was lifted differs from that of yaml.v3; "" when it
// does not. Comments count for nothing.
func whole(r *report, got, want *yaml.Node) string {
	if got.Kind != want.Kind || got.Style != want.Style || got.Tag != want.Tag || got.Value != want.Value || got.Anchor != want.Anchor ||
		got.Line != want.Line || got.Column != want.Column || r.entries(got) != len(want.Content) {
		return fmt.Sprintf("got  %+v\nwant %+v", *got, *want)
	}
	if got.Kind == yaml.AliasNode {
		if got.Alias.Line != want.Alias.Line || got.Alias.Column != want.Alias.Column {
			return fmt.Sprintf("line %d: another alias", want.Line)
		}
		return ""
	}
	for i, child := range want.Content {
		if difference := whole(r, r.entry(got, i), child); difference != "" {
			return difference
		}
	}
	return ""
}

// checkLift fails when the text means another thing with what can be lifted taken out,
// and tells how many entries that were.
func checkLift(t *testing.T, data []byte) (entries int) {
	t.Helper()
	r := newReport("")
	if !r.parseLifted(data) {
		return 0
	}
	docs, err := parseYAML(data)
	if err != nil || len(docs) != 1 {
		t.Fatalf("yaml.v3 reads %d documents and says %v of what was lifted:\n%s", len(docs), err, data)
	}
	if difference := whole(r, r.root, docs[0].Content[0]); difference != "" {
		t.Fatalf("%s\nin:\n%s", difference, data)
	}
	for _, l := range r.lifts {
		entries += len(l.entries)
	}
	got, gotErr := Parse("", data)
	_, want, wantErr := parse("", data)
	if !reflect.DeepEqual(got, want) || fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
		t.Fatalf("got  %+v, %v\nwant %+v, %v\nof:\n%s", got, gotErr, want, wantErr, data)
	}
	return entries
}

// Entries that can be lifted, and how many of them are.
var liftCases = []struct {
	text    string
	entries int
}{
	{"subscriptions:\n  - {from: A, topic: a, to: A}\n  - {from: A, topic: b, to: A}\n", 2},
	{"subscriptions: # all\n\n  # one\n  - {from: A, topic: a, to: A} # two\n    \n  -   {  from: A , topic: 'b ''', to: A}\n", 1},
	{"subscriptions:\n- {from: A, topic: \"ä/${from}/#\", to: [A, \"label:x\", 'device:*'], ttl: 72h, keep: 0x1F, batch: {max_size: 4KiB, max_age: 1_0}}\n" +
		"- {\"from\": \"A\", \"topic\": \"\", \"to\": [ A ]}\nlog: {level: info}\n", 2},
	{"subscriptions:\r\n  - {from: A, topic: a, to: A}\r\n  - {from: A, topic: b, to: A} \r\n", 2},
	{"subscriptions:\n  - {from: A, topic: a, to: A}\n  - from: A\n    topic: b\n    to: A\n  - {from: A, topic: c, to: A}\n", 1},
	{"subscriptions:\n  - {from: A, topic: a:b:c, to: A}\n  - {from: true, topic: +.inf, to: [null, ~, 2001-01-01, .5, 1e3, yes, =]}", 1},
	{"devices:\n  - {thing: A, certificate: \"\"}\nsubscriptions:\n  - {from: A, topic: a, to: A}\n", 2},
	{"devices: [{thing: A}]\nsubscriptions:\n  - {from: A, topic: a, to: label:x}\n  - {from: A, topic: a, to: label:x}\n", 2},
	{"subscriptions:\n  - {from: A, topic: a, to: [true, Null, NULL, FALSE, on, +.inf, 0o7, .5, 1e3, 2001-01-01, 1_000]}\n", 1},
	{"subscriptions:\n  - {from: A, form: B, from: C, topic: [a, b], may: {x: y}}\n", 1},

	{"? log\nsubscriptions:\n  - {from: A, topic: a, to: A}\n", 1},

	// Something else follows than what would follow in the rest.
	{"subscriptions:\n  - {from: A, topic: a, to: A}\n    - x\n", 0},
	{"subscriptions:\n  - {from: A, topic: a, to: A}\n - x\n", 0},
	{"subscriptions:\n  - {from: A, topic: a, to: A}\n- x\n", 0},
	{"subscriptions:\n  - {from: A, topic: a, to: A}\n  [x]\n", 0},
	{"subscriptions:\n  - {from: A, topic: a, to: A}\n  x: y\n", 0},
	{"subscriptions:\n  - {from: A, topic: a, to: A}\n  ~\n", 0},
	{"subscriptions:\n  - {from: A, topic: a, to: A}\n  !!null\n", 0},
	{"subscriptions:\n  - {from: A, topic: a, to: A}\n  &a\n", 0},
	{"subscriptions:\n  - {from: A, topic: a, to: A}\n: x\n", 0},
	{"subscriptions:\n  - {from: A, topic: a, to: A}\n  : x\n", 0},
	{"subscriptions:\n  - {from: A, topic: a, to: A}\n---\n", 0},
	{"subscriptions:\n  - {from: A, topic: a, to: A}\n\t- {from: A, topic: a, to: A}\n", 0},

	// The key is none, or of something else.
	{"subscriptions: &a\n  - {from: A, topic: a, to: A}\n", 0},
	{"log: {level: info,\nsubscriptions:\n  - {from: A, topic: a, to: A}\n}\n", 0},
	{"log: \"\nsubscriptions:\n  - {from: A, topic: a, to: A}\n\"\n", 0},
	{"log: |\n subscriptions:\n  - {from: A, topic: a, to: A}\n", 0},
	{"log: '\nsubscriptions:\n- {from: A, topic: a, to: A}\n'\n", 0},
	{"log:\n  subscriptions:\n  - {from: A, topic: a, to: A}\n", 0},
	{"\u2028subscriptions:\n  - {from: A, topic: a, to: A}\n", 0},

	// An entry is not simple.
	{"subscriptions:\n  - {from: A, topic: a, to: A} x\n", 0},
	{"subscriptions:\n  - {from: A, topic: a, to: A}#x\n", 0},
	{"subscriptions:\n  - {from: A, topic: a, to: A,}\n", 0},
	{"subscriptions:\n  - {from: &a A, topic: a, to: *a}\n", 0},
	{"subscriptions:\n  - {from: A, topic: \"\\x41\", to: A}\n", 0},
	{"subscriptions:\n  - {from: A, topic: \"a\u0085b\", to: A}\n", 0},
	{"subscriptions:\n  - {from: A, topic: !!str a, to: A}\n", 0},
	{"subscriptions:\n  - {from:A, topic: a, to: A}\n", 0},
	{"subscriptions:\n  - {from: A, topic: a b, to: A}\n", 0},
	{"subscriptions:\n  - {from: A, topic: a#b, to: A #}\n", 0},
	{"subscriptions:\n  - {from: [], topic: {}, to: A}\n", 0},
	{"subscriptions:\n  - {from: A, topic: [[[[[a]]]]], to: A}\n", 0},
	{"subscriptions:\n  - {from: A, topic: a, to: [" + strings.Repeat("A, ", 100) + "A]}\n", 0},
}

func TestWhatIsLiftedMeansTheSame(t *testing.T) {
	for _, c := range liftCases {
		if got := checkLift(t, []byte(head+c.text)); got != c.entries {
			t.Errorf("lifted %d entries, not %d, of\n%s", got, c.entries, c.text)
		}
	}
	lifted := 0
	for _, file := range testFiles(t, "*.yml") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lifted += checkLift(t, data)
	}
	if lifted < 20 {
		t.Errorf("only %d entries of all files were lifted", lifted)
	}
}

// A long file is read in both ways at once: what is lifted, warnings among them, and
// what stands behind it.
func TestLongFilesAreLifted(t *testing.T) {
	text := append(manyRows(3000), "  - {from: device-1, topic: \"a/#\", to: label:nobody}\n  - from: device-2\n    topic: b\n    to: device-3\nlog: {level: warn}\n"...)
	if got := checkLift(t, text); got != 1000+3000+1 {
		t.Errorf("lifted %d entries", got)
	}
	c := mustParse(t, string(text))
	if len(c.Warnings) != 1 || c.Warnings[0].Line != 4006 || c.Warnings[0].Column != 40 {
		t.Errorf("got the warnings %+v", c.Warnings)
	}
	if row := c.Subscriptions[3001]; row.Line != 4007 || row.Topic != "b" {
		t.Errorf("got the last row %+v", row)
	}
}

// FuzzLift: a text means what yaml.v3 takes it for.
func FuzzLift(f *testing.F) {
	for _, c := range liftCases {
		f.Add([]byte(head + c.text))
		f.Add([]byte(c.text))
	}
	files, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		if data, err := os.ReadFile("testdata/" + file.Name()); err == nil {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<12 {
			t.Skip("long files cost time and show nothing more")
		}
		checkLift(t, data)
	})
}
