package localshadow

import "strings"

// The journal has what an update changed as a JSON array, with an element for each
// value that was set, changed or removed, the topmost one that is not an object on
// both sides:
//
//	["desired","/zone/target",19.5,20.5]
//
// These are the section, the JSON Pointer in it, and the values before and after.
// null is no value; a section holds none outside of arrays. So the changes of an
// update can be taken back without anything else, see undo.

// enterSection puts the trail at the root of a section.
func (t *tree) enterSection(key string) {
	t.trail = append(append(append(t.trail[:0], '['), key...), `,"`...)
}

// step leads the trail to a member: the JSON text of its name is that of a part of
// a JSON Pointer, but for two characters (RFC 6901, 3).
func (t *tree) step(key []byte) {
	t.trail = append(t.trail, '/')
	for _, c := range key[1 : len(key)-1] {
		switch c {
		case '~':
			t.trail = append(t.trail, '~', '0')
		case '/':
			t.trail = append(t.trail, '~', '1')
		default:
			t.trail = append(t.trail, c)
		}
	}
}

var unstep = strings.NewReplacer("~1", "/", "~0", "~")

// note logs that the value before gives way to the value after; 0 is no value.
func (t *tree) note(before, after int32) {
	if before != 0 && after != 0 && t.equal(before, after) {
		return
	}
	if len(t.log) == 0 {
		t.log = append(t.log, '[')
	}
	t.log = append(append(t.log, t.trail...), `",`...)
	t.log = append(t.appendOrNull(t.log, before), ',')
	t.log = append(t.appendOrNull(t.log, after), ']', ',')
}

func (t *tree) appendOrNull(b []byte, id int32) []byte {
	if id == 0 {
		return append(b, "null"...)
	}
	return t.append(b, id)
}

// changes returns the log; "" when nothing was changed.
func (t *tree) changes() string {
	if len(t.log) == 0 {
		return ""
	}
	return string(end(t.log, ']'))
}

// removal is the changes of a deletion. ok is false when the document cannot be read:
// nobody can bring it back.
func removal(old *Document) (changes string, ok bool) {
	w := works.Get().(*work)
	defer works.Put(w)
	w.reset()
	if w.load(old) != nil {
		return "", false
	}
	w.drop(keyDesired, &w.desired)
	w.drop(keyReported, &w.reported)
	return w.changes(), true
}
