package greengrassv1

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"greengate/configs"
	"greengate/core/message"
)

// reader reads the values of a group. It tells every fault, and which values of a
// template nobody has given.
type reader struct {
	faults  configs.Faults
	missing []string
	needed  map[string]*node // where a missing value is needed first
}

func (r *reader) fault(n *node, hint, problem string, args ...any) {
	r.faults = append(r.faults, n.fault(hint, problem, args...))
}

// whole notes what a text lacks; it is used as it is until that is given.
func (r *reader) whole(n *node, s string) string {
	for _, name := range missing(s) {
		if !slices.Contains(r.missing, name) {
			r.missing = append(r.missing, name)
			r.needed[name] = n
		}
	}
	return s
}

// text returns a text; a number or boolean counts as what it looks like.
func (r *reader) text(n *node, key string) string {
	v := n.get(key)
	if v == nil {
		return ""
	}
	if v.kind < text {
		r.fault(v, "", "must be text, not %s", v.kind)
		return ""
	}
	return r.whole(v, v.text)
}

// arn returns the text of an ARN: what it lacks counts only where it is a name.
func (r *reader) arn(n *node, key string) string {
	v := n.get(key)
	switch {
	case v == nil:
		r.fault(n, "", "has no %s", key)
		return ""
	case v.kind != text:
		r.fault(v, "", "must be an ARN, not %s", v.kind)
		return ""
	}
	return v.text
}

// boolean takes a text, too: CloudFormation writes "false".
func (r *reader) boolean(n *node, key string, otherwise bool) bool {
	v := n.get(key)
	if v == nil {
		return otherwise
	}
	switch s := strings.ToLower(r.text(n, key)); s {
	case "true", "yes", "1":
		return true
	case "false", "no", "0", "":
		return false
	default:
		r.fault(v, "", "must be true or false, not %q", clip(s))
	}
	return otherwise
}

// whole numbers may be texts, too.
func (r *reader) number(n *node, key string) int64 {
	v := n.get(key)
	if v == nil {
		return 0
	}
	s := r.text(n, key)
	if strings.Contains(s, mark) || s == "" {
		return 0
	}
	i, err := strconv.ParseInt(s, 10, 64)
	if f, bad := strconv.ParseFloat(s, 64); err != nil && bad == nil && f == float64(int64(f)) {
		i, err = int64(f), nil // 512.0
	}
	if err != nil || i < 0 || i > 1<<50 {
		r.fault(v, "", "must be a whole number, not %q", clip(s))
		return 0
	}
	return i
}

// variables returns the scalars of an object in its order.
func (r *reader) variables(n *node) (all []variable) {
	if n == nil || n.kind != object {
		return nil
	}
	for i, key := range n.keys {
		v := n.values[i]
		if slices.Contains(n.keys[i+1:], key) {
			continue // the last one counts
		}
		switch {
		case v.kind >= text:
			all = append(all, variable{key, r.text(n, key)})
		case v.kind != null: // a connector's parameter
			all = append(all, variable{key, v.json()})
		}
	}
	return all
}

// json writes a value in one line.
func (n *node) json() string {
	var b strings.Builder
	n.writeJSON(&b)
	return b.String()
}

func (n *node) writeJSON(b *strings.Builder) {
	quote := func(s string) {
		q, _ := json.Marshal(s) // a text always has a form
		b.Write(q)
	}
	switch n.kind {
	case object, list:
		brackets := map[kind]string{object: "{}", list: "[]"}[n.kind]
		b.WriteByte(brackets[0])
		for i, v := range n.values {
			if i > 0 {
				b.WriteString(",")
			}
			if n.kind == object {
				quote(n.keys[i])
				b.WriteString(":")
			}
			v.writeJSON(b)
		}
		b.WriteByte(brackets[1])
	case text:
		quote(n.text)
	case null:
		b.WriteString("null")
	default:
		b.WriteString(n.text)
	}
}

// entries yields the entries of a definition over all its pages.
func (r *reader) entries(c *chosen, word, key string, yield func(n *node)) {
	for _, body := range c.bodies[word] {
		if l := body.get(key); l != nil && l.kind != list {
			r.fault(l, "", "must be a list, not %s", l.kind)
		}
		for _, e := range body.list(key) {
			if e.kind == object {
				yield(e)
			} else {
				r.fault(e, "", "must be an object, not %s", e.kind)
			}
		}
	}
}

// read reads the group.
func (r *reader) read(d *documents, c *chosen) *group {
	g := &group{id: c.id, name: c.name}
	r.entries(c, "core", "Cores", func(n *node) {
		if g.coreAt != nil {
			r.fault(n, "a group has one", "a second core; the first is in %s", g.coreAt.place())
			return
		}
		g.core, g.coreCert = r.thing(n, "ThingArn"), certificateOf(r.arn(n, "CertificateArn"))
		g.coreSync, g.coreAt = r.boolean(n, "SyncShadow", false), n
	})
	r.entries(c, "device", "Devices", func(n *node) {
		g.devices = append(g.devices, device{r.thing(n, "ThingArn"), r.certificate(n), r.boolean(n, "SyncShadow", false), n})
	})
	r.entries(c, "subscription", "Subscriptions", func(n *node) {
		w := row{id: n.scalar("Id"), subject: r.text(n, "Subject"), source: r.end(n, "Source"), target: r.end(n, "Target"), at: n}
		if w.subject == "" {
			r.fault(n, "", "has no Subject")
		}
		g.rows = append(g.rows, w)
	})
	r.readFunctions(g, d, c)
	r.entries(c, "resource", "Resources", func(n *node) { g.resources = append(g.resources, r.resource(n)) })
	r.entries(c, "logger", "Loggers", func(n *node) {
		g.loggers = append(g.loggers, logger{r.text(n, "Component"), r.text(n, "Level"), r.text(n, "Type"), r.number(n, "Space"), n})
	})
	r.entries(c, "connector", "Connectors", func(n *node) {
		name, version := connectorOf(r.arn(n, "ConnectorArn"))
		if name == "" {
			name = r.text(n, "Id")
		}
		g.connectors = append(g.connectors, connector{name, version, r.variables(n.get("Parameters")), n})
	})
	for _, a := range d.addresses {
		if host := r.text(a, "HostAddress"); host != "" {
			g.addresses = append(g.addresses, host)
		}
	}
	if d.config != nil {
		g.config = r.config(d.config)
	}
	return g
}

func (r *reader) thing(n *node, key string) string {
	arn := r.arn(n, key)
	if arn == "" {
		return ""
	}
	name := thingOf(arn)
	if strings.HasPrefix(arn, mark) && len(missing(arn)) == 1 && strings.Count(arn, mark) == 2 {
		return r.whole(n.get(key), arn) // the whole ARN is to be given
	}
	if name == "" {
		r.fault(n.get(key), "arn:aws:iot:REGION:ACCOUNT:thing/NAME", "%q is no ARN of a thing", clip(unmarked(arn)))
		return ""
	}
	if err := message.CheckThing(name); err != nil && len(missing(name)) == 0 {
		r.fault(n.get(key), "", "%v", err)
		return ""
	}
	return r.whole(n.get(key), name)
}

// unmarked writes what a text lacks as a person would.
func unmarked(s string) string {
	for _, name := range missing(s) {
		s = strings.ReplaceAll(s, marked(name), "${"+name+"}")
	}
	return s
}

// certificate returns the id in CertificateArn: the SHA-256 of the certificate.
func (r *reader) certificate(n *node) string {
	arn := r.arn(n, "CertificateArn")
	if arn == "" {
		return ""
	}
	v := n.get("CertificateArn")
	id := certificateOf(arn)
	if id == "" && strings.Contains(arn, mark) {
		r.whole(v, arn)
		return ""
	}
	id = strings.ToLower(r.whole(v, id))
	if strings.Contains(id, mark) {
		return id
	}
	if len(id) != 64 || strings.Trim(id, "0123456789abcdef") != "" {
		r.fault(v, "arn:aws:iot:REGION:ACCOUNT:cert/ and 64 hex digits", "%q does not end in the id of a certificate", clip(unmarked(arn)))
		return ""
	}
	return id
}

func (r *reader) end(n *node, key string) end {
	v := n.get(key)
	if v == nil {
		r.fault(n, "", "has no %s", key)
		return end{}
	}
	arn := v.text
	e := end{arn: arn}
	switch {
	case arn == "cloud":
		e.kind = cloudEnd
	case arn == "GGShadowService":
		e.kind = shadowEnd
	case thingOf(arn) != "":
		e.kind, e.name = thingEnd, r.whole(v, thingOf(arn))
	case parseFunction(arn).name != "":
		e.kind, e.f = functionEnd, parseFunction(arn)
		r.whole(v, e.f.name+e.f.qualifier)
	default:
		name, _ := connectorOf(arn)
		if name == "" {
			if strings.Contains(arn, mark) {
				r.whole(v, arn)
				return e
			}
			r.fault(v, "the ARN of a thing, function or connector, cloud or GGShadowService", "%q is no end of a subscription", clip(arn))
			return e
		}
		e.kind, e.name = connectorEnd, r.whole(v, name)
	}
	return e
}

func (r *reader) resource(n *node) resource {
	w := resource{id: r.text(n, "Id"), name: r.text(n, "Name"), at: n}
	data := n.get("ResourceDataContainer")
	owner := func(c *node) {
		o := c.get("GroupOwnerSetting")
		w.autoGroup, w.group = r.boolean(o, "AutoAddGroupOwner", false), r.text(o, "GroupOwner")
	}
	switch {
	case data.get("LocalDeviceResourceData") != nil:
		c := data.get("LocalDeviceResourceData")
		w.kind, w.source = "device", r.text(c, "SourcePath")
		owner(c)
	case data.get("LocalVolumeResourceData") != nil:
		c := data.get("LocalVolumeResourceData")
		w.kind, w.source, w.dest = "volume", r.text(c, "SourcePath"), r.text(c, "DestinationPath")
		owner(c)
	case data.get("SecretsManagerSecretResourceData") != nil:
		w.kind = "secret"
		if arn := data.get("SecretsManagerSecretResourceData").get("ARN"); arn != nil {
			w.source = unmarked(arn.text)
		}
	default:
		w.kind = "model"
		for _, key := range []string{"S3MachineLearningModelResourceData", "SageMakerMachineLearningModelResourceData"} {
			if c := data.get(key); c != nil {
				w.source, w.dest = r.text(c, "S3Uri"), r.text(c, "DestinationPath")
			}
		}
	}
	return w
}

// seconds is a time; more than 272 years are that.
func seconds(n int64) time.Duration { return time.Duration(min(n, 1<<33)) * time.Second }
