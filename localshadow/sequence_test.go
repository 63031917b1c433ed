package localshadow_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"greengate/localshadow"
)

// The long target: go test ./localshadow -run TestSequences -sequences 100000
var sequences = flag.Int("sequences", 1000, "random sequences of operations that TestSequences compares")

// Random sequences of operations, compared with the model after each step.
func TestSequences(t *testing.T) {
	for i := range *sequences {
		g := &generator{rand.New(rand.NewPCG(1, uint64(i)))}
		if fault := g.sequence(); fault != "" {
			t.Fatalf("sequence %d: %s", i, fault)
		}
	}
}

type generator struct{ *rand.Rand }

func (g *generator) sequence() (fault string) {
	p := newPair()
	if g.IntN(20) == 0 {
		p.limits.Document, p.model.size = 40, 40
	}
	var log []string
	for range 4 + g.IntN(12) {
		p.now += []int64{0, 1, 60, 47 * 3600, 49 * 3600}[g.IntN(5)]
		step := g.step(p)
		log = append(log, fmt.Sprintf("%d %s", p.now, step))
		op, payload, _ := strings.Cut(step, " ")
		if fault := p.do(op, payload); fault != "" {
			return strings.Join(log, "\n") + "\n" + fault
		}
	}
	return ""
}

// step chooses an operation and its payload.
func (g *generator) step(p *pair) string {
	switch g.IntN(12) {
	case 0:
		return "get "
	case 1:
		return "delete "
	}
	state := `null`
	if g.IntN(15) > 0 {
		var parts []string
		for _, section := range []string{"desired", "reported"} {
			if g.IntN(3) > 0 {
				parts = append(parts, `"`+section+`":`+g.section())
			}
		}
		if g.IntN(40) == 0 {
			parts = []string{[]string{`"delta":{}`, `"desired":5`, `"reported":[]`, `"desired":{"a":[null]}`}[g.IntN(4)]}
		}
		state = `{` + strings.Join(parts, ", ") + `}`
	}
	payload := `{"state": ` + state
	switch g.IntN(8) {
	case 0:
		payload += fmt.Sprintf(`,"version":%d`, p.model.current())
	case 1:
		payload += fmt.Sprintf(`,"version":%d`, p.model.version+int64(g.IntN(3))-1)
	case 2:
		payload += []string{`,"version":"1"`, `,"version":1.0`, `,"version":null`, `,"version":9223372036854775808`}[g.IntN(4)]
	}
	switch g.IntN(6) {
	case 0:
		payload += `,"clientToken":"tok\u00e9n"`
	case 1:
		payload += []string{`,"clientToken":7`, `,"clientToken":"` + strings.Repeat("x", 65) + `"`, `,"clientToken":null`, `,"more":[null,{}]`}[g.IntN(4)]
	}
	payload += `}`
	if g.IntN(60) == 0 { // damage
		i := g.IntN(len(payload))
		payload = payload[:i] + string(`{}[]",:x1`[g.IntN(9)]) + payload[i+1:]
	}
	return "update " + payload
}

func (g *generator) section() string {
	if g.IntN(10) == 0 {
		return "null"
	}
	return g.object(3)
}

func (g *generator) object(depth int) string {
	var parts []string
	for _, k := range g.Perm(5)[:g.IntN(4)] {
		key := []string{`"a"`, `"b"`, `"\u0062c"`, `"desired"`, `"é\n"`}[k]
		parts = append(parts, key+":"+g.value(depth-1))
	}
	return `{` + strings.Join(parts, ",") + `}`
}

func (g *generator) value(depth int) string {
	if depth > 0 {
		switch g.IntN(8) {
		case 0, 1, 2:
			return g.object(depth)
		case 3:
			return `[` + strings.TrimSuffix(strings.Repeat(g.value(depth-1)+`,`, g.IntN(3)), ",") + `]`
		}
	}
	return []string{`1`, `1.0`, `10e-1`, `-0`, `0`, `123456789012345678901234567890`, `"x"`, `"\u0078"`, `true`, `false`, `null`, `null`, `{}`, `[]`}[g.IntN(14)]
}

// pair is a shadow and its model.
type pair struct {
	shadow
	model *model
}

func newPair() *pair {
	return &pair{shadow{now: 1730481958, limits: localshadow.DefaultLimits()}, newModel()}
}

// do does the same to both and tells what differs.
func (p *pair) do(op, payload string) (fault string) {
	at, name := time.Unix(p.now, 0), localshadow.Subject(thing, "")
	var a localshadow.Answer
	var err error
	var accepted, documents, delta doc
	var refused *refusal
	before := p.doc
	switch op {
	case "get":
		a.Accepted, err = localshadow.Get(p.doc, payload, name, at, p.limits)
		accepted, refused = p.model.get(p.now)
	case "delete":
		p.doc, a.Accepted, err = localshadow.Delete(p.doc, payload, name, at, p.limits)
		accepted, refused = p.model.delete(p.now)
	case "update":
		p.doc, a, err = localshadow.Update(p.doc, payload, at, p.limits)
		accepted, documents, delta, refused = p.model.update(payload, p.now)
	}
	var r *localshadow.Rejection
	if errors.As(err, &r) {
		switch {
		case refused == nil:
			return fmt.Sprintf("rejected with %v, the model accepts: %s", err, compact(nil, accepted))
		case p.doc != before:
			return fmt.Sprintf("rejected with %v, but changed: %+v", err, p.doc)
		case r.Code != refused.code || r.Message != refused.message || r.Token != "" != (refused.token != nil):
			return fmt.Sprintf("rejected with %d %v %s, by the model with %+v", r.Code, err, r.Token, refused)
		}
		return ""
	}
	if err != nil || refused != nil {
		return fmt.Sprintf("accepted (%v), the model rejects with %+v", err, refused)
	}
	for _, c := range []struct {
		what string
		got  []byte
		want doc
	}{{"accepted", a.Accepted, accepted}, {"documents", a.Documents(), documents}, {"delta", a.Delta, delta}} {
		if fault := p.differ(c.got, c.want); fault != "" {
			return c.what + ": " + fault
		}
	}
	if got := p.doc.Size(); got != length(p.model.state["desired"])+length(p.model.state["reported"]) {
		return fmt.Sprintf("the size is %d: %+v", got, p.doc)
	}
	return ""
}

// differ compares an answer with that of the model.
func (p *pair) differ(got []byte, want doc) string {
	if got == nil || want == nil {
		if got != nil || want != nil {
			return fmt.Sprintf("got %s, want %s", got, compact(nil, want))
		}
		return ""
	}
	if !json.Valid(got) {
		return fmt.Sprintf("no JSON: %s", got)
	}
	deep := &model{depth: 100}
	read, refused := deep.decode(string(got))
	if refused != nil {
		return fmt.Sprintf("no JSON that is fit to be read: %s", got)
	}
	if g, w := string(compact(nil, read)), string(compact(nil, want)); g != w {
		return fmt.Sprintf("\n got  %s\n want %s", g, w)
	}
	return ""
}
