package greengrassv1

import (
	"slices"
	"strings"

	"greengate/configs"
)

// template is a CloudFormation template, as far as its Greengrass resources need it.
type template struct {
	top    *node
	values map[string]string // of parameters and of what the stack has made, by name
	asked  map[string]bool   // names that were looked up there
	faults *configs.Faults
	needed map[string]*node // values on which a condition depends
	depth  int
	work   int
}

// maxWork bounds how many values of a template may be looked at.
const maxWork = 2_000_000

// mark stands in a text for a value that nobody has given, between two of them. No
// input holds it.
const mark = "\x00"

func marked(name string) string { return mark + name + mark }

// missing are the names of the values that a text lacks.
func missing(s string) (names []string) {
	parts := strings.Split(s, mark)
	for i := 1; i < len(parts); i += 2 {
		names = append(names, parts[i])
	}
	return names
}

// isTemplate tells whether a document is a CloudFormation template.
func isTemplate(n *node) bool {
	resources := n.get("Resources")
	if resources == nil || resources.kind != object {
		return false
	}
	return slices.ContainsFunc(resources.values, func(r *node) bool { return strings.Contains(r.scalar("Type"), "::") })
}

func (t *template) fault(n *node, hint, problem string, args ...any) {
	*t.faults = append(*t.faults, n.fault(hint, problem, args...))
}

// resource returns the properties of a resource, with every function in them carried
// out.
func (t *template) resource(r *node) *node {
	properties := r.get("Properties")
	if properties == nil {
		return &node{kind: object, file: r.file, line: r.line, up: r.up, step: r.step}
	}
	return t.resolve(properties)
}

// made tells whether a resource is made at all: its condition holds.
func (t *template) made(r *node) bool {
	c := r.get("Condition")
	return c == nil || t.condition(c.text, r)
}

// resolve returns n with every function in it carried out; nil for AWS::NoValue. The
// result stands where n stands.
func (t *template) resolve(n *node) *node {
	t.depth++
	defer func() { t.depth-- }()
	if t.work++; t.depth > 2*maxDepth || t.work > maxWork {
		if t.work <= maxWork {
			t.fault(n, "", "the functions of this template call each other in a circle")
		}
		t.work = maxWork + 1 // one such fault is enough
		return nil
	}
	if n.kind == object && len(n.keys) == 1 {
		if key := n.keys[0]; key == "Ref" || strings.HasPrefix(key, "Fn::") {
			return t.call(n, key, n.values[0])
		}
	}
	if n.kind != object && n.kind != list {
		return n
	}
	r := &node{kind: n.kind, file: n.file, line: n.line, up: n.up, step: n.step}
	for i, v := range n.values {
		v = t.resolve(v)
		if v == nil {
			continue
		}
		c := *v
		if n.kind == object {
			r.keys = append(r.keys, n.keys[i])
		}
		c.up, c.step = r, n.values[i].step
		// The children of v still lead up to it, which is the same path.
		r.values = append(r.values, &c)
	}
	return r
}

// at makes a text that stands where n stands.
func at(n *node, s string) *node {
	return &node{kind: text, text: s, file: n.file, line: n.line, up: n.up, step: n.step}
}

// textOf resolves n to a text. A list has none.
func (t *template) textOf(n *node) string {
	r := t.resolve(n)
	switch {
	case r == nil:
		return ""
	case r.kind < text && r.kind != null:
		t.fault(n, "", "must be text, not %s", r.kind)
		return ""
	}
	return r.text
}

// listOf resolves n to the entries of a list.
func (t *template) listOf(n *node) []*node {
	r := t.resolve(n)
	if r == nil {
		return nil
	}
	if r.kind != list {
		t.fault(n, "", "must be a list, not %s", r.kind)
		return nil
	}
	return r.values
}

// given is a value that somebody has given.
func (t *template) given(name string) (v string, ok bool) {
	t.asked[name] = true
	v, ok = t.values[name]
	return v, ok
}

// ref is the value of Ref: a parameter, a pseudo parameter, or what a resource is
// called. Nil is AWS::NoValue.
func (t *template) ref(n *node, name string) *node {
	if name == "AWS::NoValue" {
		return nil
	}
	if v, given := t.given(name); given {
		return t.parameterValue(n, name, v)
	}
	if strings.HasPrefix(name, "AWS::") {
		switch name {
		case "AWS::Partition":
			return at(n, "aws")
		case "AWS::URLSuffix":
			return at(n, "amazonaws.com")
		}
		return at(n, marked(name))
	}
	if p := t.top.find("Parameters", name); p != nil {
		// The default of these is the name of a value that is elsewhere.
		if d := p.get("Default"); d != nil && !strings.HasPrefix(p.scalar("Type"), "AWS::SSM::") {
			return t.parameterValue(n, name, d.text)
		}
		return at(n, marked(name))
	}
	r := t.top.find("Resources", name)
	if r == nil {
		t.fault(n, "", "the template has no parameter and no resource %q", name)
		return at(n, "")
	}
	return at(n, t.called(r, name))
}

// parameterValue is a list where the parameter is one.
func (t *template) parameterValue(n *node, name, value string) *node {
	kind := t.top.find("Parameters", name).scalar("Type")
	if kind != "CommaDelimitedList" && !strings.HasPrefix(kind, "List<") {
		return at(n, value)
	}
	l := at(n, "")
	l.kind = list
	for v := range strings.SplitSeq(value, ",") {
		l.add("", &node{kind: text, text: strings.TrimSpace(v), file: n.file, line: n.line})
	}
	return l
}

// called is what Ref gives of a resource. The name that CloudFormation makes up for
// one is not in the template.
func (t *template) called(r *node, name string) string {
	property := func(key string) string {
		if v := r.find("Properties", key); v != nil {
			return t.textOf(v)
		}
		return ""
	}
	switch r.scalar("Type") {
	case "AWS::IoT::Thing":
		if thing := property("ThingName"); thing != "" {
			return thing
		}
	case "AWS::Lambda::Function", "AWS::Serverless::Function":
		if f := property("FunctionName"); f != "" {
			return f
		}
		return name
	case "AWS::Lambda::Version":
		return t.functionARN(property("FunctionName")) + ":" + name
	case "AWS::Lambda::Alias":
		return t.functionARN(property("FunctionName")) + ":" + property("Name")
	case "AWS::SecretsManager::Secret":
		return "arn:aws:secretsmanager:" + t.where() + ":secret:" + name
	default:
		if strings.HasPrefix(r.scalar("Type"), "AWS::Greengrass::") {
			return stackARN(name)
		}
	}
	return marked(name)
}

// stackARN stands for the ARN of what the stack has made, within one template.
func stackARN(name string) string { return "stack:" + name }

// where is region and account.
func (t *template) where() string {
	value := func(name string) string {
		if v, given := t.given(name); given {
			return v
		}
		return marked(name)
	}
	return value("AWS::Region") + ":" + value("AWS::AccountId")
}

// functionARN is the ARN of a function without its version. It takes a name or an ARN.
func (t *template) functionARN(f string) string {
	if strings.HasPrefix(f, "arn:") {
		return f
	}
	return "arn:aws:lambda:" + t.where() + ":function:" + f
}

// getAtt is the value of an attribute of a resource.
func (t *template) getAtt(n *node, name, attribute string) string {
	if v, given := t.given(name + "." + attribute); given {
		return v
	}
	r := t.top.find("Resources", name)
	if r == nil {
		t.fault(n, "", "the template has no resource %q", name)
		return ""
	}
	switch kind := r.scalar("Type"); {
	case kind == "AWS::IoT::Thing" && attribute == "Arn":
		return "arn:aws:iot:" + t.where() + ":thing/" + t.refText(n, name)
	case kind == "AWS::IoT::Certificate" && attribute == "Id":
		return t.refText(n, name)
	case strings.HasSuffix(kind, "::Function") && attribute == "Arn":
		return t.functionARN(t.refText(n, name))
	case strings.HasPrefix(kind, "AWS::Greengrass::"):
		return stackARN(name)
	}
	return marked(name + "." + attribute)
}

// condition evaluates a condition of the template by its name.
func (t *template) condition(name string, at *node) bool {
	c := t.top.find("Conditions", name)
	if c == nil {
		t.fault(at, "", "the template has no condition %q", name)
		return false
	}
	return t.holds(c)
}

func (t *template) holds(c *node) bool {
	t.depth++
	defer func() { t.depth-- }()
	if t.work++; t.depth > 2*maxDepth || t.work > maxWork {
		if t.work <= maxWork {
			t.fault(c, "", "the conditions of this template call each other in a circle")
		}
		t.work = maxWork + 1
		return false
	}
	if c.kind != object || len(c.keys) != 1 {
		t.fault(c, "", "is no condition")
		return false
	}
	args := c.values[0].values
	switch c.keys[0] {
	case "Condition":
		return t.condition(c.values[0].text, c)
	case "Fn::Equals":
		if len(args) == 2 {
			a, b := t.textOf(args[0]), t.textOf(args[1])
			for _, name := range append(missing(a), missing(b)...) {
				t.needed[name] = c
			}
			return a == b
		}
	case "Fn::Not":
		if len(args) == 1 {
			return !t.holds(args[0])
		}
	case "Fn::And":
		return !slices.ContainsFunc(args, func(a *node) bool { return !t.holds(a) })
	case "Fn::Or":
		return slices.ContainsFunc(args, t.holds)
	}
	t.fault(c, "", "is no condition")
	return false
}

func (t *template) refText(n *node, name string) string {
	if r := t.ref(n, name); r != nil {
		return r.text
	}
	return ""
}
