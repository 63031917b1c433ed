package shadows

import (
	"strings"
	"testing"
)

func TestEqual(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{`1`, `1.0`, true},
		{`10`, `1e1`, true},
		{`0`, `-0`, true},
		{`9007199254740993`, `9007199254740992`, false},
		{`0.1`, `0.10`, true},
		{`1`, `"1"`, false},
		{`"é"`, `"\u00e9"`, true},
		{`{"a":1,"b":2}`, `{"b":2,"a":1}`, true},
		{`{"\u0061":1}`, `{"a":1}`, true},
		{`[1,2]`, `[2,1]`, false},
		{`[1,2]`, `[1.0,2]`, true},
		{`{}`, `[]`, false},
		{`{}`, ``, false},
		{`false`, `null`, false},
	} {
		if got := equal(mustParse(t, c.a), mustParse(t, c.b)); got != c.want {
			t.Errorf("%s and %s equal: %v", c.a, c.b, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{``, `{`, `{"a":1,}`, `01`, "\"\xff\"", `1 2`} {
		if n, err := parse(s); err == nil {
			t.Errorf("%q was read as %s", s, n.json())
		}
	}
}

func TestDifference(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{`{"desired":{"a":1}}`, `{"desired":{"a":1}}`, ``},
		{`{"desired":{"a":1}}`, `{"desired":{"a":1.0}}`, ``},
		{`{"desired":{"a":1}}`, `{}`, `{"desired":null}`},
		{`{}`, `{"desired":{"a":1}}`, `{"desired":{"a":1}}`},
		{`{"desired":{"o":{"x":1}}}`, `{"desired":{"o":{}}}`, `{"desired":{"o":{"x":null}}}`},
		{`{"desired":{"o":{"x":1},"p":1}}`, `{"desired":{"p":1}}`, `{"desired":{"o":null}}`},
		{`{"desired":{"o":1}}`, `{"desired":{"o":{}}}`, `{"desired":{"o":{}}}`},
		{`{"desired":{"a":[1,2]}}`, `{"desired":{"a":[1]}}`, `{"desired":{"a":[1]}}`},
	} {
		got := difference(mustDocument(t, c.from), mustDocument(t, c.to))
		if string(got.json()) != c.want {
			t.Errorf("from %s to %s: %s, want %s", c.from, c.to, got.json(), c.want)
		}
	}
}

// What the documentation leaves open is not guessed: the cloud is asked.
func TestPatchedDoubts(t *testing.T) {
	for _, c := range []struct {
		old, patch, want string
		certain          bool
	}{
		{`{"desired":{"a":1}}`, `{"desired":{"b":{"c":null}}}`, ``, false},
		{`{"desired":{"a":1}}`, `{"desired":{"a":{"c":null}}}`, ``, false},
		{`{"desired":{"a":{"c":1}}}`, `{"desired":{"a":{"c":null}}}`, `{"desired":{"a":{}}}`, true},
		{`{"desired":{"a":1}}`, `{"desired":{"b":{"c":null,"d":1}}}`, `{"desired":{"a":1,"b":{"d":1}}}`, true},
		{`{"desired":{"a":1}}`, `{"desired":{"a":null}}`, `{}`, true},
		{`{"desired":{"a":1}}`, `{"desired":{}}`, `{"desired":{"a":1}}`, true},
		{`{"desired":{"a":1}}`, `{"desired":{"a":{}}}`, `{"desired":{"a":{}}}`, true},
	} {
		got, certain := patched(mustDocument(t, c.old), mustParse(t, c.patch))
		if certain != c.certain || certain && !got.equal(mustDocument(t, c.want)) {
			t.Errorf("%s patched with %s: %s, certain %v", c.old, c.patch, got.state().json(), certain)
		}
	}
}

func TestTimes(t *testing.T) {
	state := mustParse(t, `{"desired":{"a":1,"o":{"x":[1,2],"e":{}}},"reported":{"b":true,"timestamp":5}}`)
	meta := mustParse(t, `{"desired":{"a":{"timestamp":100},"o":{"x":[{"timestamp":200},{"timestamp":200}]}},
		"reported":{"b":{"timestamp":100},"timestamp":{"timestamp":300}}}`)
	d := newDocument(state.stamped(meta))
	plain := newDocument(state)
	back := unpackTimes(plain, packTimes(d))
	for _, x := range []document{d, back} {
		for path, want := range map[string]int64{"a": 100, "o/x": 200, "o/e": 0} {
			n := x.desired
			for key := range strings.SplitSeq(path, "/") {
				n = n.get(key, 0)
			}
			if n.time != want {
				t.Errorf("%s has the time %d, want %d", path, n.time, want)
			}
		}
		if got := x.reported.get("timestamp", 0).time; got != 300 {
			t.Errorf("a key called timestamp has the time %d", got)
		}
	}
	if !back.equal(plain) || packTimes(plain) != nil {
		t.Error("times change the document, or there are some where there are none")
	}
	for _, damaged := range [][]byte{{1}, {0xff}, packTimes(d)[:3], append(packTimes(d), 1, 2, 3)} {
		if !unpackTimes(plain, damaged).equal(plain) {
			t.Errorf("times %v change the document", damaged)
		}
	}
}
