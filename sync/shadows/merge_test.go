package shadows

import (
	"strings"
	"testing"
)

// mustParse reads a value; "" is one that is not there.
func mustParse(tb testing.TB, s string) *node {
	tb.Helper()
	if s == "" {
		return nil
	}
	n, err := parse(s)
	if err != nil {
		tb.Fatalf("%s: %v", s, err)
	}
	return n
}

func mustDocument(tb testing.TB, state string) document {
	tb.Helper()
	return newDocument(mustParse(tb, state))
}

func TestMerge(t *testing.T) {
	for _, c := range []struct{ name, base, local, cloud, desired, reported, conflicts string }{
		{"nothing changed", `{"a":1}`, `{"a":1}`, `{"a":1}`, `{"a":1}`, `{"a":1}`, ""},
		{"the cloud changed it", `{"a":1}`, `{"a":1}`, `{"a":2}`, `{"a":2}`, `{"a":2}`, ""},
		{"the gateway changed it", `{"a":1}`, `{"a":2}`, `{"a":1}`, `{"a":2}`, `{"a":2}`, ""},
		{"both, the same", `{"a":1}`, `{"a":2}`, `{"a":2.0}`, `{"a":2}`, `{"a":2}`, ""},
		{"both, differently", `{"a":1}`, `{"a":2}`, `{"a":3}`, `{"a":3}`, `{"a":2}`, "/a"},
		{"both, elsewhere", `{"a":1,"b":1}`, `{"a":2,"b":1}`, `{"a":1,"b":2}`, `{"a":2,"b":2}`, `{"a":2,"b":2}`, ""},
		{"removed here", `{"a":1,"b":1}`, `{"b":1}`, `{"a":1,"b":1}`, `{"b":1}`, `{"b":1}`, ""},
		{"removed there", `{"a":1,"b":1}`, `{"a":1,"b":1}`, `{"b":1}`, `{"b":1}`, `{"b":1}`, ""},
		{"removed here, changed there", `{"a":1,"b":1}`, `{"b":1}`, `{"a":2,"b":1}`, `{"a":2,"b":1}`, `{"b":1}`, "/a"},
		{"section removed there", `{"a":1}`, `{"a":1}`, ``, ``, ``, ""},
		{"section removed there, added to here", `{"a":1}`, `{"a":1,"b":2}`, ``, `{"b":2}`, `{"b":2}`, ""},
		{"first meeting", ``, `{"a":1,"l":1,"o":{"x":1}}`, `{"a":2,"c":1,"o":{"y":1}}`,
			`{"a":2,"l":1,"c":1,"o":{"x":1,"y":1}}`, `{"a":1,"l":1,"c":1,"o":{"x":1,"y":1}}`, "/a"},
		{"an array is one leaf", `{"a":[1]}`, `{"a":[1,2]}`, `{"a":[1,3]}`, `{"a":[1,3]}`, `{"a":[1,2]}`, "/a"},
		{"an object against a value", `{"a":{"x":1}}`, `{"a":5}`, `{"a":{"x":2}}`, `{"a":{"x":2}}`, `{"a":5}`, "/a"},
		{"an object removed here, a part changed there", `{"o":{"x":1,"y":1}}`, ``, `{"o":{"x":2,"y":1}}`,
			`{"o":{"x":2}}`, ``, "/o/x"},
		{"an object removed there, a part added here", `{"o":{"x":1}}`, `{"o":{"x":1,"n":1}}`, ``, `{"o":{"n":1}}`, `{"o":{"n":1}}`, ""},
		{"emptied here, removed there", `{"o":{"x":1}}`, `{"o":{}}`, ``, ``, `{"o":{}}`, "/o"},
		{"an empty object is a value", `{"a":1}`, `{"a":{}}`, `{"a":1}`, `{"a":{}}`, `{"a":{}}`, ""},
		{"emptied here, added to there", `{"o":{"x":1}}`, `{"o":{}}`, `{"o":{"x":1,"y":2}}`, `{"o":{"y":2}}`, `{"o":{"y":2}}`, ""},
		{"a key called state", `{"state":1}`, `{"state":2}`, `{"state":1,"desired":{}}`, `{"state":2,"desired":{}}`, `{"state":2,"desired":{}}`, ""},
	} {
		both := func(s string) document {
			if s == "" {
				return document{}
			}
			return mustDocument(t, `{"desired":`+s+`,"reported":`+s+`}`)
		}
		section := func(s string) *node {
			return mustParse(t, s)
		}
		got, conflicts := mergeDocuments(Both, both(c.base), nil, both(c.local), both(c.cloud))
		if !equal(got.desired, section(c.desired)) || !equal(got.reported, section(c.reported)) {
			t.Errorf("%s: %s, want desired %s, reported %s", c.name, got.state().json(), c.desired, c.reported)
		}
		var paths []string
		for _, x := range conflicts {
			j := x.journal()
			if want := map[string]string{desired: "cloud", reported: "local"}[j.Section]; j.Winner != want {
				t.Errorf("%s: %s has won %s", c.name, j.Winner, j.Section)
			}
			paths = append(paths, j.Path)
		}
		want := ""
		if c.conflicts != "" {
			want = c.conflicts + " " + c.conflicts // once in each section
		}
		if strings.Join(paths, " ") != want {
			t.Errorf("%s: conflicts %v, want %q", c.name, paths, want)
		}
		up, _ := mergeDocuments(Up, both(c.base), nil, both(c.local), both(c.cloud))
		down, _ := mergeDocuments(Down, both(c.base), nil, both(c.local), both(c.cloud))
		// What is reported stays here until the cloud changes the leaf, and then it wins.
		if !up.equal(both(c.local)) || !equal(down.desired, both(c.cloud).desired) || !equal(down.reported, both(c.desired).reported) {
			t.Errorf("%s: up %s, down %s", c.name, up.state().json(), down.state().json())
		}
	}
}

// What we sent ourselves and the cloud has is no change of somebody else, even
// when the answer to it was lost and the device went on.
func TestMergeKnowsWhatWasSent(t *testing.T) {
	last, sent := mustDocument(t, `{"desired":{"a":1}}`), mustDocument(t, `{"desired":{"a":2}}`)
	for _, c := range []struct{ local, cloud, want string }{
		{`{"desired":{"a":3}}`, `{"desired":{"a":2}}`, `{"desired":{"a":3}}`},             // ours arrived
		{`{"desired":{"a":1}}`, `{"desired":{"a":2}}`, `{"desired":{"a":1}}`},             // and was taken back here
		{`{"desired":{"a":3}}`, `{"desired":{"a":4}}`, `{"desired":{"a":4}}`},             // somebody else's
		{`{"desired":{"a":3}}`, `{"desired":{"a":2,"b":1}}`, `{"desired":{"a":3,"b":1}}`}, // both
	} {
		got, _ := mergeDocuments(Both, last, []document{sent}, mustDocument(t, c.local), mustDocument(t, c.cloud))
		if !got.equal(mustDocument(t, c.want)) {
			t.Errorf("local %s, cloud %s: %s, want %s", c.local, c.cloud, got.state().json(), c.want)
		}
	}
}

// A value that the cloud had before, and that has another time there, was put back by
// somebody who had seen ours: it is no old one.
func TestMergeKnowsWhatWasPutBack(t *testing.T) {
	at := func(time string, state string) document {
		n := mustParse(t, state)
		return newDocument(n.stamped(mustParse(t, `{"desired":{"a":{"timestamp":`+time+`},"o":{"x":{"timestamp":`+time+`}}}}`)))
	}
	const off, on, other = `{"desired":{"a":0,"o":{"x":0}}}`, `{"desired":{"a":1,"o":{"x":0}}}`, `{"desired":{"a":0,"o":{"x":1}}}`
	for _, c := range []struct {
		name        string
		sent, local string
		cloud       document
		want        string
		conflicts   int
	}{
		{"put back", on, on, at("200", off), off, 1},
		{"put back, deep", other, other, at("200", off), off, 1},
		{"put back, and another value here since", on, `{"desired":{"a":2,"o":{"x":0}}}`, at("200", off), off, 1},
		{"never arrived", on, on, at("100", off), on, 0},
		{"its time is not known", on, on, mustDocument(t, off), on, 0},
		{"set to the same, which was never another", other, `{"desired":{"a":1,"o":{"x":0}}}`, at("100", off), on, 0},
	} {
		got, conflicts := mergeDocuments(Both, at("100", off), []document{mustDocument(t, c.sent)}, mustDocument(t, c.local), c.cloud)
		if !got.equal(mustDocument(t, c.want)) || len(conflicts) != c.conflicts {
			t.Errorf("%s: %s, want %s; %d conflicts", c.name, got.state().json(), c.want, len(conflicts))
		}
	}
}

// Whatever the three documents are: what one side alone has changed is taken,
// nothing appears from nowhere, and a second merge changes nothing.
func FuzzMerge(f *testing.F) {
	f.Add(`{"desired":{"a":1}}`, `{"desired":{"a":{"b":2}}}`, `{"reported":{"a":[1,{}]}}`)
	f.Add(`{"desired":{"o":{"x":1}}}`, `{"desired":{"o":{}}}`, `{}`)
	f.Fuzz(func(t *testing.T, base, local, cloud string) {
		var d [3]document
		for i, s := range []string{base, local, cloud} {
			n, err := parse(s)
			if err != nil || !noNulls(n) {
				t.Skip()
			}
			d[i] = newDocument(n)
		}
		b, l, c := d[0], d[1], d[2]
		for _, dir := range []Direction{Both, Up, Down} {
			m, _ := mergeDocuments(dir, b, nil, l, c)
			// The cloud's document is the base now, and this is what is sent.
			if again, conflicts := mergeDocuments(dir, c, nil, m, c); dir != Down && (!again.equal(m) || len(conflicts) > 0) {
				t.Errorf("%v: merged again, %s became %s", dir, m.state().json(), again.state().json())
			}
			for _, from := range []document{l, c} {
				state := difference(from, m)
				if state == nil {
					state = emptyObject
				}
				if got, certain := patched(from, state); !got.equal(m) || !certain {
					t.Errorf("%s patched with %s is %s, want %s", from.state().json(), state.json(), got.state().json(), m.state().json())
				}
			}
		}
		if m, _ := mergeDocuments(Both, b, nil, b, c); !m.equal(c) {
			t.Errorf("the cloud alone changed %s to %s, and it became %s", b.state().json(), c.state().json(), m.state().json())
		}
		if m, _ := mergeDocuments(Both, b, nil, l, b); !m.equal(l) {
			t.Errorf("the gateway alone changed %s to %s, and it became %s", b.state().json(), l.state().json(), m.state().json())
		}
	})
}

// noNulls tells whether a value can stand in a document: a member is not null.
func noNulls(n *node) bool {
	for _, m := range n.members {
		if m.value.kind == null || !noNulls(m.value) {
			return false
		}
	}
	for _, item := range n.items {
		if item.kind == null || !noNulls(item) {
			return false
		}
	}
	return true
}
