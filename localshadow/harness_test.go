package localshadow_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"greengate/localshadow"
)

// shadow is one shadow of the pure part, with a clock of its own.
type shadow struct {
	testing.TB
	doc    localshadow.Document
	now    int64
	limits localshadow.Limits
}

const thing = "GG_TrafficLight"

func newShadow(t testing.TB) *shadow {
	return &shadow{TB: t, now: 1730481958, limits: localshadow.DefaultLimits()}
}

// given makes the shadow's first update.
func given(t testing.TB, state string) *shadow {
	s := newShadow(t)
	s.update(`{"state":` + state + `}`)
	return s
}

// update sends a request that must be accepted.
func (s *shadow) update(payload string) localshadow.Answer {
	s.Helper()
	d, answer, err := localshadow.Update(s.doc, payload, time.Unix(s.now, 0), s.limits)
	if err != nil {
		s.Fatalf("%s is rejected: %v", payload, err)
	}
	s.doc = d
	return answer
}

// rejected sends a request that must be rejected and change nothing, and
// returns the error document.
func (s *shadow) rejected(payload string) string {
	s.Helper()
	d, answer, err := localshadow.Update(s.doc, payload, time.Unix(s.now, 0), s.limits)
	var r *localshadow.Rejection
	if !errors.As(err, &r) {
		s.Fatalf("%.200s is not rejected: %v, %s", payload, err, answer.Accepted)
	}
	if d != s.doc || !reflect.DeepEqual(answer, localshadow.Answer{}) {
		s.Errorf("a rejected request leaves %+v with %+v; was %+v", d, answer, s.doc)
	}
	return string(r.JSON(s.now))
}

func (s *shadow) get(payload string) string {
	s.Helper()
	b, err := localshadow.Get(s.doc, payload, localshadow.Subject(thing, ""), time.Unix(s.now, 0), s.limits)
	return s.told(b, err)
}

func (s *shadow) delete(payload string) string {
	s.Helper()
	d, b, err := localshadow.Delete(s.doc, payload, localshadow.Subject(thing, ""), time.Unix(s.now, 0), s.limits)
	s.doc = d
	return s.told(b, err)
}

// told returns the document of an answer, accepted or rejected.
func (s *shadow) told(b []byte, err error) string {
	s.Helper()
	var r *localshadow.Rejection
	if errors.As(err, &r) {
		return string(r.JSON(s.now))
	}
	if err != nil {
		s.Fatal(err)
	}
	return string(b)
}

// state returns the sections as they are stored.
func (s *shadow) state() string {
	b := `{`
	if s.doc.Desired != "" {
		b += `"desired":` + s.doc.Desired
	}
	if s.doc.Reported != "" {
		if b != `{` {
			b += `,`
		}
		b += `"reported":` + s.doc.Reported
	}
	return b + `}`
}

func same(t testing.TB, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%.300s:\n got  %.3000s\n want %.3000s", what, got, want)
	}
}

// members writes an object with the members n, n-1 .. 1 whose number the step
// divides, but not the other one.
func members(n int, value string, step int, without ...int) string {
	var all []string
	for i := n; i > 0; i-- {
		if i%step == 0 && (len(without) == 0 || i%without[0] != 0) {
			all = append(all, fmt.Sprintf(`"k%d":%s`, i, value))
		}
	}
	return `{` + strings.Join(all, ",") + `}`
}

func countMembers(t *testing.T, s string) int {
	var m map[string]any
	if s == "" {
		return 0
	}
	if err := json.Unmarshal([]byte(s), &m); err != nil {
		t.Fatal(err)
	}
	return len(m)
}
