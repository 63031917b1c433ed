package greengrassv1

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// call carries out one function of a template; nil is AWS::NoValue.
func (t *template) call(n *node, function string, arg *node) *node {
	args := arg.values
	few := func(least int) bool {
		if arg.kind == list && len(args) >= least {
			return false
		}
		t.fault(n, "", "%s takes a list of %d", function, least)
		return true
	}
	switch function {
	case "Ref":
		return t.ref(n, arg.text)
	case "Fn::GetAtt":
		name, attribute, _ := strings.Cut(arg.text, ".")
		if arg.kind == list {
			if few(2) {
				return at(n, "")
			}
			name, attribute = t.textOf(args[0]), t.textOf(args[1])
		}
		return at(n, t.getAtt(n, name, attribute))
	case "Fn::Sub":
		return at(n, t.sub(n, arg))
	case "Fn::Join":
		if few(2) {
			return at(n, "")
		}
		var parts []string
		for _, part := range t.listOf(args[1]) {
			parts = append(parts, t.textOf(part))
		}
		return at(n, strings.Join(parts, t.textOf(args[0])))
	case "Fn::Split":
		if few(2) {
			return at(n, "")
		}
		l := at(n, "")
		l.kind = list
		for part := range strings.SplitSeq(t.textOf(args[1]), t.textOf(args[0])) {
			l.add("", &node{kind: text, text: part, file: n.file, line: n.line})
		}
		return l
	case "Fn::Select":
		if few(2) {
			return at(n, "")
		}
		of := t.listOf(args[1])
		i, err := strconv.Atoi(t.textOf(args[0]))
		if err != nil || i < 0 || i >= len(of) {
			t.fault(n, "", "Fn::Select picks entry %q of a list of %d", args[0].text, len(of))
			return at(n, "")
		}
		return of[i]
	case "Fn::If":
		if few(3) {
			return at(n, "")
		}
		branch := args[2]
		if t.condition(args[0].text, n) {
			branch = args[1]
		}
		if r := t.resolve(branch); r != nil {
			c := *r
			c.up, c.step = n.up, n.step
			return &c
		}
		return nil
	case "Fn::FindInMap":
		if few(3) {
			return at(n, "")
		}
		v := t.top.find("Mappings", t.textOf(args[0]), t.textOf(args[1]), t.textOf(args[2]))
		if v == nil {
			t.fault(n, "", "the template has no such entry in its Mappings")
			return at(n, "")
		}
		return t.resolve(v)
	case "Fn::ImportValue":
		name := t.textOf(arg)
		if v, given := t.given(name); given {
			return at(n, v)
		}
		return at(n, marked(name))
	case "Fn::Base64":
		return at(n, base64.StdEncoding.EncodeToString([]byte(t.textOf(arg))))
	}
	t.fault(n, "write its result in its place", "%s is not known here", function)
	return at(n, "")
}

// sub carries out Fn::Sub: ${Name}, ${Resource.Attribute}, ${!literal}.
func (t *template) sub(n, arg *node) string {
	pattern, own := arg, (*node)(nil)
	if arg.kind == list && len(arg.values) == 2 {
		pattern, own = arg.values[0], arg.values[1]
	}
	if pattern.kind < text {
		t.fault(n, "", "Fn::Sub takes a text")
		return ""
	}
	var b strings.Builder
	rest := pattern.text
	for {
		before, after, found := strings.Cut(rest, "${")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, tail, closed := strings.Cut(after, "}")
		if !closed {
			t.fault(pattern, "", "a ${ is not closed")
			return b.String()
		}
		rest = tail
		if literal, found := strings.CutPrefix(name, "!"); found {
			b.WriteString("${" + literal + "}")
			continue
		}
		name = strings.TrimSpace(name)
		resource, attribute, dotted := strings.Cut(name, ".")
		switch v := own.get(name); {
		case v != nil:
			b.WriteString(t.textOf(v))
		case dotted:
			b.WriteString(t.getAtt(n, resource, attribute))
		default:
			if r := t.ref(n, name); r != nil {
				b.WriteString(r.text)
			}
		}
	}
}
