package shadows_test

import (
	"encoding/json"
	"strings"

	"greengate/sync/shadows"
)

// common is what the two sides of a shadow have in common when an exchange begins.
const common = `{"desired":{"a":1,"o":{"x":1}},"reported":{"a":1,"o":{"x":1}}}`

// exchange is a reason for which the two sides talk. act does what leads to it, on
// a thing of its own; want is what must become of its classic shadow on both sides.
type exchange struct {
	name  string
	live  bool // the link is up meanwhile
	fresh bool // there is nothing in common before
	act   func(s *site, thing string)
	want  string // "" : no shadow
}

// does are operations on a side: "local delete", "cloud {...}".
func does(operations ...string) func(*site, string) {
	return func(s *site, thing string) {
		for _, o := range operations {
			side, document, _ := strings.Cut(o, " ")
			if document == "delete" {
				s.remove(side, thing, "")
			} else {
				s.change(side, thing, "", document)
			}
		}
	}
}

var exchanges = []exchange{
	{"a change goes up", true, false, does(`local {"reported":{"b":2}}`), `{"desired":{"a":1,"o":{"x":1}},"reported":{"a":1,"b":2,"o":{"x":1}}}`},
	{"a change comes down", true, false, does(`cloud {"desired":{"b":2}}`), `{"desired":{"a":1,"b":2,"o":{"x":1}},"reported":{"a":1,"o":{"x":1}}}`},
	{"two changes come down", true, false, does(`cloud {"desired":{"b":2}}`, `cloud {"desired":{"c":3}}`), `{"desired":{"a":1,"b":2,"c":3,"o":{"x":1}},"reported":{"a":1,"o":{"x":1}}}`},
	{"three changes go up", true, false, does(`local {"reported":{"b":2}}`, `local {"reported":{"b":3,"a":null}}`, `local {"reported":{"b":4}}`), `{"desired":{"a":1,"o":{"x":1}},"reported":{"b":4,"o":{"x":1}}}`},
	{"a null goes up", true, false, does(`local {"reported":{"o":{"x":null}}}`), `{"desired":{"a":1,"o":{"x":1}},"reported":{"a":1,"o":{}}}`},
	{"a null comes down", true, false, does(`cloud {"desired":{"o":{"x":null}}}`), `{"desired":{"a":1,"o":{}},"reported":{"a":1,"o":{"x":1}}}`},
	{"a state of null comes down", true, false, does(`cloud null`), `{}`},
	{"a deletion goes up", true, false, does(`local delete`), ``},
	{"a deletion comes down", true, false, does(`cloud delete`), ``},
	{"a new one goes up", true, true, does(`local {"reported":{"b":2}}`), `{"reported":{"b":2}}`},
	{"a new one comes down", true, true, does(`cloud {"desired":{"b":2}}`), `{"desired":{"b":2}}`},
	{"made again here", true, false, does(`local delete`, `local {"reported":{"b":2}}`), `{"reported":{"b":2}}`},
	{"made again there", true, false, does(`cloud delete`, `cloud {"desired":{"b":2}}`), `{"desired":{"b":2}}`},
	{"both change, elsewhere", true, false, does(`local {"reported":{"b":2}}`, `cloud {"desired":{"b":2}}`), `{"desired":{"a":1,"b":2,"o":{"x":1}},"reported":{"a":1,"b":2,"o":{"x":1}}}`},
	// The cloud's change is there before the gateway's arrives, which takes 10 ms.
	{"both change the same, live", true, false, does(`local {"desired":{"a":2},"reported":{"a":2}}`, `cloud {"desired":{"a":3},"reported":{"a":3}}`), `{"desired":{"a":3,"o":{"x":1}},"reported":{"a":2,"o":{"x":1}}}`},
	{"deleted here, changed there, live", true, false, does(`local delete`, `cloud {"desired":{"b":2}}`), `{"desired":{"a":1,"b":2,"o":{"x":1}},"reported":{"a":1,"o":{"x":1}}}`},
	{"deleted there, changed here, live", true, false, does(`local {"reported":{"b":2}}`, `cloud delete`), `{"desired":{"a":1,"o":{"x":1}},"reported":{"a":1,"b":2,"o":{"x":1}}}`},
	{"both make it, live", true, true, does(`local {"desired":{"a":2},"reported":{"a":2}}`, `cloud {"desired":{"a":3},"reported":{"a":3}}`), `{"desired":{"a":3},"reported":{"a":2}}`},

	{"both change the same", false, false, does(`local {"desired":{"a":2},"reported":{"a":2}}`, `cloud {"desired":{"a":3},"reported":{"a":3}}`), `{"desired":{"a":3,"o":{"x":1}},"reported":{"a":2,"o":{"x":1}}}`},
	{"an object against a value", false, false, does(`local {"desired":{"o":2},"reported":{"o":2}}`, `cloud {"desired":{"o":{"y":3}},"reported":{"o":{"y":3}}}`), `{"desired":{"a":1,"o":{"x":1,"y":3}},"reported":{"a":1,"o":2}}`},
	{"both change parts of an object", false, false, does(`local {"desired":{"o":{"y":2,"x":null}}}`, `cloud {"desired":{"o":{"z":3}}}`), `{"desired":{"a":1,"o":{"y":2,"z":3}},"reported":{"a":1,"o":{"x":1}}}`},
	{"an empty object against a removed one", false, false, does(`local {"desired":{"o":{"x":null}},"reported":{"o":{"x":null}}}`, `cloud {"desired":{"o":null},"reported":{"o":null}}`), `{"desired":{"a":1},"reported":{"a":1,"o":{}}}`},
	{"a removed object against an empty one", false, false, does(`local {"desired":{"o":null},"reported":{"o":null}}`, `cloud {"desired":{"o":{"x":null}},"reported":{"o":{"x":null}}}`), `{"desired":{"a":1,"o":{}},"reported":{"a":1}}`},
	{"what the cloud has was here for a while", false, false, does(`local {"desired":null}`, `local {"desired":{"a":2}}`, `cloud {"desired":null}`), `{"reported":{"a":1,"o":{"x":1}}}`},
	{"first meeting", false, true, does(`local {"desired":{"a":2,"b":1},"reported":{"a":2,"b":1}}`, `cloud {"desired":{"a":3,"c":1},"reported":{"a":3,"c":1}}`), `{"desired":{"a":3,"b":1,"c":1},"reported":{"a":2,"b":1,"c":1}}`},
	{"deleted here", false, false, does(`local delete`), ``},
	{"deleted there", false, false, does(`cloud delete`), ``},
	{"deleted on both", false, false, does(`local delete`, `cloud delete`), ``},
	{"deleted here, changed there", false, false, does(`local delete`, `cloud {"desired":{"b":2}}`), `{"desired":{"a":1,"b":2,"o":{"x":1}},"reported":{"a":1,"o":{"x":1}}}`},
	{"deleted there, changed here", false, false, does(`cloud delete`, `local {"reported":{"b":2}}`), `{"desired":{"a":1,"o":{"x":1}},"reported":{"a":1,"b":2,"o":{"x":1}}}`},
	{"made again here, away", false, false, does(`local delete`, `local {"reported":{"b":2}}`), `{"reported":{"b":2}}`},
	{"made again there, away", false, false, does(`cloud delete`, `cloud {"desired":{"b":2}}`), `{"desired":{"b":2}}`},
	{"made again there as it was", false, false, does(`cloud delete`, `cloud `+common), common},
	{"made again on both", false, false, does(`local delete`, `cloud delete`, `local {"reported":{"a":2}}`, `cloud {"desired":{"a":3}}`), `{"desired":{"a":3},"reported":{"a":2}}`},
}

func (s *site) allEqual(things map[string]shadows.Direction) bool {
	for thing := range things {
		if !s.equal(thing, "") {
			return false
		}
	}
	return true
}

// became compares both sides of a thing with what was wanted of an exchange.
func (s *site) became(thing string, x exchange) {
	s.Helper()
	var want state
	if x.want != "" {
		if err := json.Unmarshal([]byte(x.want), &want); err != nil {
			s.Fatal(err)
		}
	}
	local, _ := s.localHas(thing, "")
	cloud, _ := s.cloudHas(thing, "")
	if !sameState(local, asNumbers(want)) || !sameState(cloud, asNumbers(want)) {
		s.Errorf("%s: local %v, cloud %v, want %v", x.name, local, cloud, want)
	}
}

// asNumbers reads a document as the others are read.
func asNumbers(s state) state {
	if s == nil {
		return nil
	}
	answer, err := json.Marshal(object{"state": object(s)})
	if err != nil {
		panic(err)
	}
	out, _ := readState(answer)
	return out
}

func split(all []exchange) (live, away []exchange) {
	for _, x := range all {
		if x.live {
			live = append(live, x)
		} else {
			away = append(away, x)
		}
	}
	return live, away
}
