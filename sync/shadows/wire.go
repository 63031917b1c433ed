package shadows

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"

	"greengate/localshadow"
)

// key names a shadow; name is "" for the classic one.
type key struct{ thing, name string }

// String is what people call the shadow.
func (k key) String() string {
	if k.name == "" {
		return k.thing
	}
	return k.thing + " " + k.name
}

func compareKeys(a, b key) int {
	return cmp.Or(cmp.Compare(a.thing, b.thing), cmp.Compare(a.name, b.name))
}

func (k key) topic(op string) string {
	if k.name == "" {
		return "$aws/things/" + k.thing + "/shadow/" + op
	}
	return "$aws/things/" + k.thing + "/shadow/name/" + k.name + "/" + op
}

// Filters are the topic filters that the link subscribes to: four, however many
// shadows there are (AWS allows 50 on a connection).
func Filters() []string {
	return []string{
		"$aws/things/+/shadow/+/accepted", "$aws/things/+/shadow/+/rejected",
		"$aws/things/+/shadow/name/+/+/accepted", "$aws/things/+/shadow/name/+/+/rejected",
	}
}

// The operations of the shadow service.
const (
	opGet    = "get"
	opUpdate = "update"
	opDelete = "delete"
)

// parseTopic reads a topic that one of Filters matches.
func parseTopic(topic string) (k key, op string, accepted, ok bool) {
	p := strings.Split(topic, "/")
	switch {
	case len(p) == 6 && p[3] == "shadow":
	case len(p) == 8 && p[3] == "shadow" && p[4] == "name" && p[5] != "":
		k.name, p = p[5], append(p[:4:4], p[6:]...)
	default:
		return key{}, "", false, false
	}
	k.thing, op, accepted = p[2], p[4], p[5] == "accepted"
	ok = p[0] == "$aws" && p[1] == "things" && (accepted || p[5] == "rejected") &&
		(op == opGet || op == opUpdate || op == opDelete)
	return k, op, accepted, ok
}

// answer is what the cloud says on accepted and rejected (aws-iot.md 1.3).
type answer struct {
	State    json.RawMessage `json:"state"`
	Metadata json.RawMessage `json:"metadata"`
	Version  int64           `json:"version"`
	Token    string          `json:"clientToken"`
	Code     int             `json:"code"`
	Message  string          `json:"message"`
}

// tree returns the state with the times of its metadata; nil for null.
func (a *answer) tree() (*node, error) {
	if len(a.State) == 0 {
		return nil, errJSON
	}
	state, err := parse(string(a.State))
	if err != nil || state.kind == null {
		return nil, err
	}
	if meta, err := parse(string(a.Metadata)); err == nil { // without it there are no times
		state = state.stamped(meta)
	}
	return state, nil
}

// payload writes a request. A version below 0 is none; a nil state is left out.
func payload(token string, state *node, version int64) []byte {
	b := append([]byte(`{"clientToken":"`), token...)
	b = append(b, '"')
	if state != nil {
		b = state.append(append(b, `,"state":`...))
	}
	if version >= 0 {
		b = strconv.AppendInt(append(b, `,"version":`...), version, 10)
	}
	return append(b, '}')
}

// journal is how localshadow keeps a conflict.
func (c *conflict) journal() localshadow.Conflict {
	var path strings.Builder
	for _, key := range c.path {
		path.WriteByte('/')
		path.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(key))
	}
	return localshadow.Conflict{
		Section: c.section, Path: path.String(), Winner: [...]string{localWins: "local", cloudWins: "cloud"}[c.winner],
		Local: c.local.json(), Cloud: c.cloud.json(), Base: c.base.json(),
	}
}
