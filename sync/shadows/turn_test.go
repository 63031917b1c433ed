package shadows

import (
	"reflect"
	"testing"
)

// place where a shadow stands before a turn: "" is no document.
func standing(t *testing.T, dir Direction, here, base string) *turn {
	l, r := local{version: 7}, row{stored: true, cloud: cloudSide{version: 4}}
	switch here {
	case "":
	case "deleted":
		l.deleted = true
	default:
		l.exists, l.document = true, mustDocument(t, here)
	}
	if base != "" {
		r.cloud.found, r.cloud.document = true, mustDocument(t, base)
	}
	return newTurn(dir, l, r)
}

func cloudHas(t *testing.T, version int64, state string) cloudSide {
	if state == "" {
		return cloudSide{version: version}
	}
	return cloudSide{found: true, version: version, document: mustDocument(t, state)}
}

// What becomes of whole documents, on both sides, when the cloud was asked.
func TestWholeDocuments(t *testing.T) {
	const old, changed, other = `{"desired":{"a":1}}`, `{"desired":{"a":1,"b":1}}`, `{"reported":{"c":1}}`
	for _, c := range []struct {
		name              string
		dir               Direction
		base, here, there string
		want              string // here, afterwards
		do                todo
		conflicts         int
	}{
		{"equal", Both, old, old, old, old, settled, 0},
		{"deleted there", Both, old, old, ``, ``, settled, 0},
		{"deleted there, changed here", Both, old, changed, ``, changed, create, 1},
		{"deleted here", Both, old, `deleted`, old, ``, erase, 0},
		{"deleted here, changed there", Both, old, `deleted`, changed, changed, settled, 1},
		{"lost here", Both, old, ``, old, old, settled, 0},
		{"deleted on both", Both, old, `deleted`, ``, ``, settled, 0},
		{"only here", Both, ``, old, ``, old, create, 0},
		{"only there", Both, ``, ``, old, old, settled, 0},
		{"a deletion here from before the meeting", Both, ``, `deleted`, old, old, settled, 0},
		{"an empty document there", Both, ``, ``, `{}`, `{}`, settled, 0},
		{"made again there", Both, old, old, other, other, settled, 0},

		{"up: only there", Up, ``, ``, old, ``, settled, 0},
		{"up: deleted here, changed there", Up, old, `deleted`, changed, ``, erase, 0},
		{"up: deleted there", Up, old, old, ``, old, create, 0},
		{"up: changed there", Up, old, old, changed, old, write, 1},
		{"down: only here", Down, ``, old, ``, old, settled, 0},
		{"down: deleted there, changed here", Down, old, changed, ``, ``, settled, 0},
		{"down: deleted here", Down, old, `deleted`, old, old, settled, 1},
		{"down: changed here", Down, old, changed, old, old, settled, 1},
	} {
		s := standing(t, c.dir, c.here, c.base)
		s.fresh = true
		s.learn(cloudHas(t, 5, c.there), false)
		s.finish()
		if s.local.exists != (c.want != "") || s.local.exists && !s.local.equal(mustDocument(t, c.want)) {
			t.Errorf("%s: here is %v %s, want %s", c.name, s.local.exists, s.local.state().json(), c.want)
		}
		if s.next.do != c.do || len(s.conflicts) != c.conflicts {
			t.Errorf("%s: then %d and %d conflicts, want %d and %d", c.name, s.next.do, len(s.conflicts), c.do, c.conflicts)
		}
		if both := s.local.exists || c.there != ""; s.row.stored != both {
			t.Errorf("%s: a row is kept: %v", c.name, s.row.stored)
		}
	}
}

// A deletion takes no version, so the cloud is asked right before; and what
// somebody wrote in between all the same comes back.
func TestDeletion(t *testing.T) {
	const old = `{"desired":{"a":1}}`
	s := standing(t, Both, "deleted", old)
	s.learn(s.row.cloud, false)
	if s.finish(); s.next.do != ask || !s.row.gone {
		t.Fatalf("a deletion that was not asked about first leads to %d", s.next.do)
	}
	s.erased(6, []note{
		{version: 4, state: mustParse(t, `{"desired":{"a":9}}`)}, // from before the question
		{version: 5, state: mustParse(t, `{"desired":{"b":2}}`)},
		{version: 6, state: mustParse(t, `{"reported":{"c":3}}`)},
	})
	s.finish()
	want := mustDocument(t, `{"desired":{"a":1,"b":2},"reported":{"c":3}}`)
	if !s.local.exists || !s.local.equal(want) || s.next.do != create || len(s.conflicts) != 1 {
		t.Errorf("here is %s, then %d, %d conflicts", s.local.state().json(), s.next.do, len(s.conflicts))
	}

	s = standing(t, Both, "deleted", old)
	s.erased(4, nil)
	if s.finish(); s.local.exists || s.row.stored || s.next.do != settled {
		t.Errorf("after the deletion: %+v, then %d", s.row, s.next.do)
	}
}

// Whether an empty document was there already, its version tells; when it does
// not, the cloud is asked.
func TestMade(t *testing.T) {
	for version, certain := range map[int64]bool{1: true, 5: true, 6: false, 12: false} {
		s := standing(t, Both, `{"reported":{"a":1}}`, "")
		if got := s.made(version); got != certain {
			t.Errorf("version %d after the deleted 4: certain %v", version, got)
			continue
		}
		if s.finish(); certain && (s.next.do != write || s.next.version != version) {
			t.Errorf("version %d: then %+v", version, s.next)
		}
	}
}

// Notifications are taken in the order of their versions; what is missing is
// waited for, and what is doubtful is asked.
func TestHear(t *testing.T) {
	up := func(version int64, state string) note { return note{version: version, state: mustParse(t, state)} }
	for _, c := range []struct {
		name  string
		notes []note
		want  string
		rest  int
		ok    bool
	}{
		{"the next", []note{up(5, `{"desired":{"b":2}}`)}, `{"desired":{"a":1,"b":2}}`, 0, true},
		{"two", []note{up(5, `{"desired":{"b":2}}`), up(6, `{"desired":{"a":null}}`)}, `{"desired":{"b":2}}`, 0, true},
		{"told already", []note{up(3, `{"desired":{"a":7}}`), up(4, `{"desired":{"a":8}}`)}, `{"desired":{"a":1}}`, 0, true},
		{"twice", []note{up(5, `{"desired":{"a":2}}`), up(5, `{"desired":{"a":2}}`)}, `{"desired":{"a":2}}`, 0, true},
		{"a gap", []note{up(6, `{"desired":{"a":2}}`)}, `{"desired":{"a":1}}`, 1, true},
		{"its deletion", []note{{version: 4, deleted: true}}, `{"desired":{"a":1}}`, 0, false},
		{"a deletion of another", []note{{version: 6, deleted: true}}, `{"desired":{"a":1}}`, 0, false},
		{"made again", []note{{version: 4, deleted: true}, up(5, `{"desired":{"b":2}}`)}, `{"desired":{"a":1}}`, 0, false},
		{"doubtful", []note{up(5, `{"desired":{"n":{"x":null}}}`)}, `{"desired":{"a":1}}`, 0, false},
	} {
		s := standing(t, Both, `{"desired":{"a":1}}`, `{"desired":{"a":1}}`)
		rest, ok := s.hear(c.notes)
		if len(rest) != c.rest || ok != c.ok {
			t.Errorf("%s: %d left, %v", c.name, len(rest), ok)
		}
		if s.local.exists != (c.want != "") || s.local.exists && !s.local.equal(mustDocument(t, c.want)) {
			t.Errorf("%s: here is %s, want %s", c.name, s.local.state().json(), c.want)
		}
	}
}

// An own update that was given up and arrives late does not undo what the device
// did since.
func TestLateUpdateOfOurs(t *testing.T) {
	s := standing(t, Both, `{"desired":{"a":3}}`, `{"desired":{"a":1}}`)
	if _, ok := s.hear([]note{{version: 5, ours: true, state: mustParse(t, `{"desired":{"a":2}}`)}}); !ok {
		t.Fatal("the cloud is asked")
	}
	s.finish()
	if !s.local.equal(mustDocument(t, `{"desired":{"a":3}}`)) || s.next.do != write || s.next.version != 5 {
		t.Errorf("here is %s, then %+v", s.local.state().json(), s.next)
	}
}

// A refusal stands until one side changes; then it is tried again.
func TestBlocked(t *testing.T) {
	const here = `{"desired":{"a":2}}`
	s := standing(t, Both, here, `{"desired":{"a":1}}`)
	s.finish()
	s.refused("413: too large", s.next)
	again := func(change func(*turn)) todo {
		x := newTurn(Both, s.local, s.row)
		change(x)
		x.finish()
		return x.next.do
	}
	if do := again(func(x *turn) { x.learn(x.row.cloud, false) }); do != stuck {
		t.Errorf("nothing has changed, then %d", do)
	}
	if do := again(func(x *turn) { x.force = true }); do != write {
		t.Errorf("the operator wants it tried, then %d", do)
	}
	if do := again(func(x *turn) { x.local.version, x.was.version = 8, 8 }); do != write {
		t.Errorf("it changed here, then %d", do)
	}
	if do := again(func(x *turn) { x.learn(cloudHas(t, 5, `{"desired":{"a":1}}`), false) }); do != write {
		t.Errorf("it changed there, then %d", do)
	}
}

func TestRowOnDisk(t *testing.T) {
	stamped := mustDocument(t, `{"desired":{"a":1}}`)
	stamped.desired = stamped.desired.stamped(mustParse(t, `{"a":{"timestamp":9}}`))
	for _, r := range []row{
		{stored: true},
		{stored: true, gone: true, blocked: "403", blockedAt: 3, conflict: 12, cloud: cloudSide{found: true, version: 8, document: stamped}},
		{stored: true, cloud: cloudSide{found: true, version: 1}, sent: []document{{}, mustDocument(t, `{"reported":{"x":[1]}}`)}},
	} {
		c := r.columns()
		back, err := c.row()
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, r) {
			t.Errorf("%+v came back as %+v", r, back)
		}
	}
}
