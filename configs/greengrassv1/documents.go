package greengrassv1

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"greengate/configs"
)

// part is one of the seven definitions of a group.
type part struct {
	word string // for people, and in AWS's words
	list string // the key of its entries
	ref  string // the key under which a group names it
}

var parts = []part{
	{"core", "Cores", "CoreDefinitionVersionArn"},
	{"device", "Devices", "DeviceDefinitionVersionArn"},
	{"subscription", "Subscriptions", "SubscriptionDefinitionVersionArn"},
	{"function", "Functions", "FunctionDefinitionVersionArn"},
	{"resource", "Resources", "ResourceDefinitionVersionArn"},
	{"logger", "Loggers", "LoggerDefinitionVersionArn"},
	{"connector", "Connectors", "ConnectorDefinitionVersionArn"},
}

// definition is one page of a version of a definition.
type definition struct {
	part *part
	body *node  // has the list
	arn  string // of the version; empty when the input does not say
	next bool   // another page follows
}

// groupVersion says which versions belong together.
type groupVersion struct {
	body *node // has the refs
	id   string
	name string
	arn  string
}

// documents are all inputs by what they are.
type documents struct {
	intake
	definitions []definition
	groups      []groupVersion
	name        string                // of the group, from get-group
	config      *node                 // of the core
	lambda      map[string]lambdaInfo // by the name of the function
	addresses   []*node               // of get-connectivity-info
	values      map[string]string     // for templates
	needed      map[string]*node      // values that no input has, and conditions depend on
	asked       map[string]bool       // values that templates want
	templates   []*node
	absent      []string // parts that the group names and no input holds
}

// lambdaInfo is what AWS Lambda says of a function.
type lambdaInfo struct{ runtime, handler string }

// recognise finds out by its content what each file is.
func recognise(files []File, values map[string]string) *documents {
	d := &documents{lambda: map[string]lambdaInfo{}, values: map[string]string{}, needed: map[string]*node{}, asked: map[string]bool{}}
	d.read(files, "known are the answers of aws greengrass get-group-version and get-*-definition-version, CloudFormation templates and the core's config.json", d.take)
	for name, v := range values { // what the caller says counts before all else
		d.values[name] = v
	}
	d.region()
	for _, t := range d.templates {
		d.template(t)
	}
	return d
}

// take notes what a document holds, and says what it is; empty: unknown.
func (d *documents) take(n *node) string {
	if n.kind != object {
		return ""
	}
	switch {
	case isTemplate(n):
		d.templates = append(d.templates, n)
		return "CloudFormation template"
	case n.get("TemplateBody") != nil:
		return d.body(n.get("TemplateBody"))
	case n.get("coreThing") != nil:
		if d.config != nil {
			d.faults = append(d.faults, n.fault("name one", "a second config.json; the first is %s", d.config.file))
		}
		d.config = n
		return "config.json of the core"
	case n.get("Definition") != nil:
		return d.version(n)
	case len(n.list("ConnectivityInfo")) > 0:
		d.addresses = append(d.addresses, n.list("ConnectivityInfo")...)
		return "addresses of the core"
	case n.get("Runtime") != nil && n.get("FunctionArn") != nil:
		d.takeLambda(n)
		return "function of AWS Lambda"
	case n.find("Configuration", "FunctionArn") != nil:
		d.takeLambda(n.get("Configuration"))
		return "function of AWS Lambda"
	case n.get("LatestVersion") != nil && strings.Contains(n.scalar("Arn"), "/greengrass/groups/"):
		d.name = n.scalar("Name")
		return "group (its name)"
	case strings.Contains(n.scalar("Arn"), "/greengrass/definition/"), n.get("Definitions") != nil, n.get("Versions") != nil, n.get("Groups") != nil:
		return "list of versions (not needed)"
	}
	if what := d.stack(n); what != "" {
		return what
	}
	return d.lists(n)
}

func (d *documents) takeLambda(n *node) {
	if arn := parseFunction(n.scalar("FunctionArn")); arn.name != "" {
		d.lambda[arn.name] = lambdaInfo{n.scalar("Runtime"), n.scalar("Handler")}
	}
}

// body is the answer of aws cloudformation get-template: JSON as an object, YAML as text.
func (d *documents) body(b *node) string {
	if b.kind == object && isTemplate(b) {
		d.templates = append(d.templates, b)
		return "CloudFormation template"
	}
	docs, err := parseFile(&File{Name: b.file, Data: []byte(b.text)})
	var fault configs.Fault
	if errors.As(err, &fault) {
		fault.Path, fault.Line, fault.Column = b.path(), b.line, 1
		d.faults = append(d.faults, fault)
		return "CloudFormation template"
	}
	for _, t := range docs {
		if isTemplate(t) {
			d.templates = append(d.templates, t)
			return "CloudFormation template"
		}
	}
	return ""
}

// stack takes the values of a CloudFormation stack: parameters, and what it has made.
func (d *documents) stack(n *node) string {
	value := func(name, v string) {
		if name != "" && !strings.Contains(v, "****") { // NoEcho
			d.values[name] = v
		}
	}
	switch {
	case n.get("ParameterKey") != nil:
		value(n.scalar("ParameterKey"), n.scalar("ParameterValue"))
	case len(n.list("Stacks")) > 0:
		for _, s := range n.list("Stacks") {
			for _, p := range s.list("Parameters") {
				value(p.scalar("ParameterKey"), cmp.Or(p.scalar("ResolvedValue"), p.scalar("ParameterValue")))
			}
		}
	case len(n.list("StackResources")) > 0, len(n.list("StackResourceSummaries")) > 0:
		for _, r := range append(n.list("StackResources"), n.list("StackResourceSummaries")...) {
			id := r.scalar("PhysicalResourceId")
			switch r.scalar("ResourceType") {
			case "AWS::IoT::Certificate":
				value(r.scalar("LogicalResourceId")+".Arn", "arn:aws:iot:::cert/"+id)
				value(r.scalar("LogicalResourceId"), id)
			case "AWS::IoT::Thing":
				value(r.scalar("LogicalResourceId"), id)
			}
		}
	default:
		return ""
	}
	return "values of a CloudFormation stack"
}

// version is the answer of get-group-version or of a get-*-definition-version.
func (d *documents) version(n *node) string {
	body := n.get("Definition")
	if body.kind != object {
		return ""
	}
	for i := range parts {
		if l := body.get(parts[i].list); l != nil {
			d.definitions = append(d.definitions, definition{&parts[i], body, n.scalar("Arn"), n.scalar("NextToken") != ""})
			return parts[i].word + " definition"
		}
	}
	if isGroup(body) || strings.Contains(n.scalar("Arn"), "/greengrass/groups/") {
		d.groups = append(d.groups, groupVersion{body: body, id: n.scalar("Id"), arn: n.scalar("Arn")})
		return "group version"
	}
	for i := range parts { // one that is empty
		if strings.Contains(n.scalar("Arn"), "/definition/"+parts[i].plural()+"/") {
			d.definitions = append(d.definitions, definition{&parts[i], body, n.scalar("Arn"), false})
			return parts[i].word + " definition"
		}
	}
	return ""
}

// plural is the word of the part in an ARN: devices.
func (p *part) plural() string { return strings.ToLower(p.list) }

func isGroup(n *node) bool {
	return slices.ContainsFunc(parts, func(p part) bool { return n.get(p.ref) != nil })
}

// lists is a definition as create-*-definition-version takes it, or several in one.
func (d *documents) lists(n *node) string {
	var seen []string
	for i := range parts {
		if l := n.list(parts[i].list); len(l) > 0 && slices.ContainsFunc(l, looksLikeEntry) {
			d.definitions = append(d.definitions, definition{part: &parts[i], body: n})
			seen = append(seen, parts[i].word+" definition")
		}
	}
	for _, f := range n.list("Functions") { // aws lambda list-functions
		if f.get("Runtime") != nil {
			d.takeLambda(f)
			return "functions of AWS Lambda"
		}
	}
	return strings.Join(seen, ", ")
}

// looksLikeEntry tells whether a list is one of a definition: other services have lists
// of the same names.
func looksLikeEntry(e *node) bool {
	for _, key := range []string{"ThingArn", "Subject", "FunctionConfiguration", "ResourceDataContainer", "Component", "ConnectorArn"} {
		if e.get(key) != nil {
			return true
		}
	}
	return false
}

// region takes region and account from what names them, for templates.
func (d *documents) region() {
	learn := func(arn string) {
		fields := strings.Split(arn, ":")
		if len(fields) < 6 || strings.Contains(arn, mark) {
			return
		}
		for i, name := range []string{"AWS::Region", "AWS::AccountId"} {
			if v := fields[3+i]; v != "" && d.values[name] == "" {
				d.values[name] = v
			}
		}
	}
	if d.config != nil {
		learn(d.config.find("coreThing").scalar("thingArn"))
	}
	for _, g := range d.groups {
		learn(g.arn)
	}
	for _, def := range d.definitions {
		learn(def.arn)
	}
}

// template takes the Greengrass resources of a template.
func (d *documents) template(top *node) {
	t := &template{top: top, values: d.values, asked: d.asked, faults: &d.faults, needed: d.needed}
	resources := top.get("Resources")
	for i, name := range resources.keys {
		r := resources.values[i]
		kind := r.scalar("Type")
		if strings.HasPrefix(kind, "AWS::Lambda::Function") || strings.HasPrefix(kind, "AWS::Serverless::Function") {
			d.templateLambda(t, r, name)
			continue
		}
		kind, ours := strings.CutPrefix(kind, "AWS::Greengrass::")
		if !ours || !t.made(r) {
			continue
		}
		d.templateResource(t, t.resource(r), kind, name)
	}
}

func (d *documents) templateLambda(t *template, r *node, name string) {
	properties := r.get("Properties")
	runtime, handler := properties.get("Runtime"), properties.get("Handler")
	if runtime == nil || handler == nil {
		return
	}
	d.lambda[parseFunction(t.functionARN(t.called(r, name))).name] = lambdaInfo{t.textOf(runtime), t.textOf(handler)}
}

// templateResource takes one resource: a group, a definition with its first version, or
// a version.
func (d *documents) templateResource(t *template, p *node, kind, name string) {
	body, isGroupKind := p, kind == "Group" || kind == "GroupVersion"
	if v := p.get("InitialVersion"); v != nil {
		body = v
	}
	if isGroupKind {
		if isGroup(body) {
			d.groups = append(d.groups, groupVersion{body: body, name: p.scalar("Name"), arn: stackARN(name)})
		}
		if d.name == "" {
			d.name = p.scalar("Name")
		}
		return
	}
	for i := range parts {
		q := &parts[i]
		if !strings.EqualFold(strings.TrimSuffix(kind, "Version"), q.word+"Definition") || body.get(q.list) == nil {
			continue
		}
		d.definitions = append(d.definitions, definition{part: q, body: body, arn: stackARN(name)})
		// GetAtt LatestVersionArn of the definition means its version, too.
		if of := p.scalar(strings.TrimSuffix(kind, "Version") + "Id"); strings.HasSuffix(kind, "Version") && of != "" {
			d.definitions[len(d.definitions)-1].arn = stackARN(strings.TrimPrefix(of, "stack:")) + "\n" + stackARN(name)
		}
	}
}
