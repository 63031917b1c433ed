package conformance

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// statementsTable says what becomes of every numbered statement, a line for each:
//
//	number, kind, test or reason, effect
//
// separated by tabs. Kinds are: tested; client, an obligation of clients alone; none, of
// a feature that is not offered; deviates, with its effect on clients, and the test of
// what is served instead.
//
//go:embed statements.tsv
var statementsTable string

// statement is one line of the table.
type statement struct {
	number string // 5-3.1.2-24
	kind   string
	note   string // the test, or why there is none
	effect string // of what deviates
}

// sections are the numbers of the statements by section, as appendix B of each standard
// lists them.
var sections = map[byte]string{
	'3': `1.5.3:1-3 2.2.2:1-2 2.3.1:1-7
		3.1.0:1-2 3.1.2:1-24 3.1.3:1-11 3.1.4:1-5 3.2.0:1-1 3.2.2:1-6 3.3.1:1-12 3.3.2:1-3 3.3.4:1-1 3.3.5:1-2
		3.6.1:1-1 3.8.1:1-1 3.8.3:1-4 3.8.4:1-6 3.9.3:1-2 3.10.1:1-1 3.10.3:1-2 3.10.4:1-6 3.12.4:1-1 3.14.1:1-1 3.14.4:1-3
		4.1.0:1-2 4.3.1:1-1 4.3.2:1-2 4.3.3:1-2 4.4.0:1-1 4.5.0:1-2 4.6.0:1-6 4.7.1:1-3 4.7.2:1-1 4.7.3:1-4 4.8.0:1-2
		6.0.0:1-4 7.0.0:1-2 7.1.1:1-1 7.1.2:1-1`,
	'5': `1.5.4:1-3 1.5.5:1-1 1.5.7:1-1 2.1.3:1-1 2.2.1:2-6 2.2.2:1-1
		3.1.0:1-2 3.1.2:1-30 3.1.3:1-12 3.1.4:1-6 3.2.0:1-2 3.2.2:1-22 3.3.1:1-13 3.3.2:1-20 3.3.4:1-10
		3.4.2:1-3 3.5.2:1-3 3.6.1:1-1 3.6.2:1-3 3.7.2:1-3 3.8.1:1-1 3.8.3:1-5 3.8.4:1-8 3.9.2:1-2 3.9.3:1-2
		3.10.1:1-1 3.10.3:1-2 3.10.4:1-6 3.11.2:1-2 3.11.3:1-2 3.12.4:1-1 3.14.0:1-1 3.14.1:1-1 3.14.2:1-4 3.14.4:1-3
		3.15.1:1-1 3.15.2:1-3
		4.1.0:1-2 4.2.0:1-1 4.3.1:1-1 4.3.2:1-5 4.3.3:1-13 4.4.0:1-2 4.5.0:1-2 4.6.0:1-6 4.7.0:1-1 4.7.1:1-2 4.7.2:1-1 4.7.3:1-4
		4.8.2:1-6 4.9.0:1-3 4.12.0:1-7 4.12.1:1-2 4.13.1:1-1 4.13.2:1-1
		6.0.0:1-4`,
}

// allNumbers returns the numbers of a version in their order.
func allNumbers(version byte) (all []string) {
	for s := range strings.FieldsSeq(sections[version]) {
		section, span, _ := strings.Cut(s, ":")
		from, to, _ := strings.Cut(span, "-")
		first, _ := strconv.Atoi(from)
		last, _ := strconv.Atoi(to)
		for n := first; n <= last; n++ {
			all = append(all, fmt.Sprintf("%c-%s-%d", version, section, n))
		}
	}
	return all
}

// readStatements takes the table apart.
func readStatements(table string) (all []statement, err error) {
	for line := range strings.Lines(table) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 4 || f[0] == "" || f[2] == "" {
			return nil, fmt.Errorf("%q has no number, kind, test or reason, and effect", line)
		}
		all = append(all, statement{f[0], f[1], f[2], f[3]})
	}
	return all, nil
}

// proofs are the tests by the number that each proves.
func proofs() (tests map[string]string, twice []string) {
	tests = map[string]string{}
	for test, checks := range chapters {
		for _, c := range checks {
			for n := range strings.FieldsSeq(c.numbers) {
				if tests[n] != "" {
					twice = append(twice, n)
				}
				tests[n] = test + "/MQTT" + n
			}
		}
	}
	return tests, twice
}

// TestEveryStatement sees to it that the table has every statement, and no test that is
// not there.
func TestEveryStatement(t *testing.T) {
	all, err := readStatements(statementsTable)
	if err != nil {
		t.Fatal(err)
	}
	tests, twice := proofs()
	if len(chapterNames) != len(chapters) {
		t.Errorf("%d tests have a name, of %d", len(chapterNames), len(chapters))
	}
	for _, n := range twice {
		t.Errorf("%s is the number of two tests", n)
	}
	want := slices.Concat(allNumbers('3'), allNumbers('5'))
	if len(allNumbers('3')) != 141 || len(allNumbers('5')) != 251 {
		t.Errorf("%d and %d statements, want 141 and 251", len(allNumbers('3')), len(allNumbers('5')))
	}
	got := make([]string, len(all))
	for i, s := range all {
		got[i] = s.number
		proof := tests[s.number]
		delete(tests, s.number)
		switch s.kind {
		case "tested", "deviates":
			if s.note != proof {
				t.Errorf("%s: the table says %s, the test is %q", s.number, s.note, proof)
			}
		case "client", "none":
			if proof != "" {
				t.Errorf("%s is %s, and has the test %s", s.number, s.kind, proof)
			}
		default:
			t.Errorf("%s is of the kind %q", s.number, s.kind)
		}
		if (s.kind == "deviates") != (s.effect != "") {
			t.Errorf("%s: what deviates has an effect, and nothing else has", s.number)
		}
	}
	if !slices.Equal(got, want) {
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i] != want[i] {
				t.Fatalf("the table differs from the list of statements at line %d: %q", i+1, got[min(i, len(got)-1)])
			}
		}
	}
	for n, test := range tests {
		t.Errorf("%s proves %s, which is no statement", test, n)
	}
}
