package greengrassv1

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"greengate/core/message"
)

// v2Group is one device group of client device auth: who is in it, and what it may do.
type v2Group struct {
	name      string
	end       string // in rows: label:NAME, or device:*
	patterns  []string
	publish   []string // filters; ${from} stands for the thing
	subscribe []string // filters; ${to} stands for the thing
	at        *node
}

// v2Translator makes a site of the configuration of a Greengrass V2 core.
type v2Translator struct {
	d      *v2Documents
	r      *reader
	s      *site
	groups []*v2Group
	bound  map[string]bool // rows that are there
}

// selection reads a rule: thingName: A* OR thingName: B.
var selection = regexp.MustCompile(`^\s*thingName\s*:\s*"?([A-Za-z0-9:_*-]+)"?\s*$`)

var orWord = regexp.MustCompile(`(?i)\s+OR\s+`)

func (t *v2Translator) auth() {
	c, report := t.d.config(v2Auth), t.s.report
	if c == nil {
		report.lacks(nil, v2Auth, "there is no configuration of it, and so no row: write who may talk to whom under subscriptions")
		return
	}
	groups := c.get("deviceGroups")
	policies := map[string]*node{}
	groups.entries("policies", func(name string, v *node) { policies[name] = v })
	labels := map[string]bool{}
	groups.entries("definitions", func(name string, v *node) {
		g := &v2Group{name: name, at: v, end: "label:" + labelOf(name, labels)}
		for rule := range slices.Values(orWord.Split(t.r.text(v, "selectionRule"), -1)) {
			m := selection.FindStringSubmatch(rule)
			if m == nil {
				report.lacks(v, "selection rule of "+name, "only names of things, with a * at an end and joined by OR, are known, not %q: give the label %s to its devices yourself", clip(rule), strings.TrimPrefix(g.end, "label:"))
				continue
			}
			g.patterns = append(g.patterns, m[1])
		}
		if slices.Contains(g.patterns, "*") {
			g.end = "device:*"
		}
		policy := t.r.text(v, "policyName")
		p := policies[policy]
		if p == nil {
			report.lacks(v, "policy of "+name, "there is no policy %q: the group may do nothing", policy)
		} else {
			t.policy(g, p)
		}
		t.groups = append(t.groups, g)
		report.took(v, "device group "+name, "%s: %s", g.end, cmp.Or(strings.Join(g.patterns, ", "), "nobody"))
	})
	for _, key := range []string{"certificateAuthority", "certificates", "security", "performance", "metrics", "startupTimeoutSeconds"} {
		if v := c.get(key); v != nil {
			report.translated(v, v2Auth+" "+key, "%s", map[string]string{
				"certificateAuthority": "the group CA of this site is in pki, and made anew; one of your own can be put there before the first start (docs/certificates.md)",
				"certificates":         "the certificate of the gateway is made again when needed, and connections stay",
				"security":             "a device is let in by its fingerprint, whether or not the cloud can be asked",
				"performance":          "there are limits of their own (docs/group-file.md, fixed limits)",
				"metrics":              "/metrics has them (docs/observe.md)",

				"startupTimeoutSeconds": "nothing waits for the cloud at the start",
			}[key])
		}
	}
}

// labelOf makes a label of the name of a group.
func labelOf(name string, taken map[string]bool) string {
	l := strings.Map(func(c rune) rune {
		if message.CheckThing(string(c)) == nil {
			return c
		}
		return '-'
	}, name)
	l = cmp.Or(l[:min(len(l), message.MaxThing-4)], "group")
	base := l
	for n := 2; taken[l]; n++ {
		l = fmt.Sprintf("%s-%d", base, n)
	}
	taken[l] = true
	return l
}

// policy adds what the statements of a policy allow.
func (t *v2Translator) policy(g *v2Group, p *node) {
	report := t.s.report
	for i, name := range p.keys {
		s := p.values[i]
		if s.kind != object {
			continue
		}
		if strings.EqualFold(s.scalar("effect"), "DENY") {
			report.lacks(s, "statement "+name, "rows only ever allow: see that no row below allows what it denied")
			continue
		}
		operations := map[string]bool{}
		for _, o := range s.list("operations") {
			operations[o.text] = true
		}
		all := operations[every] || operations["mqtt:*"]
		for _, resource := range s.list("resources") {
			add := func(operation, kind, hole string, to *[]string) {
				if !all && !operations[operation] {
					return
				}
				filter, reason, wider := resourceTopic(t.r.whole(resource, resource.text), kind, hole)
				switch {
				case reason != "":
					report.lacks(resource, "resource "+resource.text, "%s; left out", reason)
				case filter != "" && !slices.Contains(*to, filter):
					*to = append(*to, filter)
					if wider {
						report.translated(resource, "resource "+resource.text, "%s, which matches the topic without the last level, too", filter)
					}
				}
			}
			add("mqtt:publish", "topic", "${from}", &g.publish)
			add("mqtt:subscribe", "topicfilter", "${to}", &g.subscribe)
		}
	}
}

// matches tells whether a thing is in the group.
func (g *v2Group) matches(thing string) bool {
	return slices.ContainsFunc(g.patterns, func(p string) bool {
		head, tail, star := strings.Cut(p, "*")
		if !star {
			return p == thing
		}
		return len(thing) >= len(head)+len(tail) && strings.HasPrefix(thing, head) && strings.HasSuffix(thing, tail)
	})
}

// row adds a row, once.
func (t *v2Translator) row(from, topic, to string, n int, at *node) {
	r := siteRow{from: []string{from}, topic: topic, to: []string{to}, rows: 1}
	if problem := topicProblem(strings.NewReplacer("${from}", "x", "${to}", "x").Replace(topic)); problem != "" {
		t.s.report.lacks(at, "row on "+topic, "%s; left out", problem)
		return
	}
	if key := r.text(); !t.bound[key] {
		t.bound[key] = true
		t.s.rows = append(t.s.rows, r)
		t.s.report.Counts.Written++
	}
	t.s.report.Counts.Rows += n
}

// between adds the rows for what two filters both match.
func (t *v2Translator) between(from, a, to, b string, at *node) {
	both, ok, sure := meet(a, b)
	switch {
	case !sure:
		t.s.report.lacks(at, fmt.Sprintf("%s on %s to %s on %s", from, a, to, b), "whether they meet depends on the name of the thing: write the row that you need")
	case ok:
		t.row(from, both, to, 1, at)
	}
}

// local adds the rows between the devices: what the one may publish and the other
// subscribe to.
func (t *v2Translator) local() {
	for _, g := range t.groups {
		for _, h := range t.groups {
			for _, p := range g.publish {
				for _, s := range h.subscribe {
					t.between(g.end, p, h.end, s, g.at)
				}
			}
		}
	}
}
