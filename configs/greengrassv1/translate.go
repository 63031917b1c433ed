package greengrassv1

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"greengate/core/message"
)

// translator turns a group into a site, and tells the report of everything.
type translator struct {
	g         *group
	s         *site
	functions map[functionARN]string // their names in the file
	things    map[string]bool
}

func newTranslator(g *group, s *site) *translator {
	return &translator{g: g, s: s, functions: map[functionARN]string{}, things: map[string]bool{}}
}

// translate does everything but the core itself.
func (t *translator) translate() {
	t.devices()
	t.doFunctions()
	t.rows()
	t.doConnectors()
	t.doResources()
	t.doLoggers()
	t.doAddresses()
}

func (t *translator) devices() {
	owners := map[string]string{}
	first := map[string]device{}
	synced, local := 0, 0
	for _, d := range t.g.devices {
		r := t.s.report
		if before, twice := first[d.thing]; twice {
			if before.certificate != d.certificate || before.sync != d.sync {
				r.lacks(d.at, "device "+d.thing, "it stands there twice, each time otherwise; the first entry counts (%s)", before.at.place())
			}
			continue
		}
		first[d.thing] = d
		if d.thing == t.g.core {
			r.lacks(d.at, "device "+d.thing, "it is the core itself, which is no device of its group; left out")
			continue
		}
		s := siteDevice{thing: d.thing, certificate: d.certificate}
		if !d.sync {
			s.shadow = "local"
			local++
		} else {
			synced++
		}
		if owner := owners[d.certificate]; owner != "" && d.certificate != "" {
			r.lacks(d.at, "certificate of "+d.thing, "%s has the same one, and here one certificate is one thing: make it one of its own with `greengate device add %s --out keys`", owner, d.thing)
			s.certificate, s.comment = "", "had the certificate of "+owner
			r.todo("give %s a certificate of its own: greengate device add %s --out keys", d.thing, d.thing)
		} else {
			owners[d.certificate] = d.thing
		}
		t.things[d.thing] = true
		t.s.devices = append(t.s.devices, s)
	}
	t.s.report.Counts.Devices = len(t.s.devices)
	if n := len(t.s.devices); n > 0 {
		r := t.s.report
		r.took(nil, count(n, "device"), "each is let in with the certificate that AWS issued, by the fingerprint in its CertificateArn (certificate: sha256:...)")
		if synced > 0 {
			r.took(nil, "SyncShadow true of "+count(synced, "device"), "shadow: sync, which is the default")
		}
		if local > 0 {
			r.took(nil, "SyncShadow false of "+count(local, "device"), "shadow: local")
			r.lacks(nil, "documents of the shadows of "+count(local, "device"), "with SyncShadow false they were in the old core only: they begin empty (greengate shadow update THING sets one)")
		}
		r.took(nil, "own shadows", "own_shadows: false, so that a device needs rows for its own shadow as it did")
	}
}

// rows translates the subscriptions one by one.
func (t *translator) rows() {
	r := t.s.report
	c := &r.Counts
	seen := map[string]bool{}
	kinds := map[string]int{}
	var order []string
	for _, w := range t.g.rows {
		c.Rows++
		from, fromProblem := t.end(w.source)
		to, toProblem := t.end(w.target)
		s := siteRow{from: []string{from}, to: []string{to}, topic: w.subject, rows: 1, comment: rowName(w.id)}
		s.left = cmp.Or(fromProblem, toProblem, topicProblem(w.subject))
		if s.left != "" {
			c.LeftOut++
			t.s.rows = append(t.s.rows, s)
			r.lacks(w.at, fmt.Sprintf("subscription %s: %s on %s to %s", w.id, from, w.subject, to), "%s; it stands in the file as a comment", s.left)
			continue
		}
		if key := from + "\n" + w.subject + "\n" + to; seen[key] {
			c.Repeated++
			continue
		} else {
			seen[key] = true
		}
		c.Written++
		t.s.rows = append(t.s.rows, s)
		kind := w.source.kind.word() + " to " + w.target.kind.word()
		if kinds[kind] == 0 {
			order = append(order, kind)
		}
		kinds[kind]++
	}
	for _, kind := range order {
		r.took(nil, count(kinds[kind], "subscription")+", "+kind, "a row each, with the same topic filter")
	}
	if c.Repeated > 0 {
		r.translated(nil, count(c.Repeated, "subscription"), "said again what another one says")
	}
}

func (k endKind) word() string {
	return [...]string{"?", "device", "function", "connector", "cloud", "shadow service"}[k]
}

// topicProblem says why a subject is no topic filter here.
func topicProblem(s string) string {
	if err := message.CheckFilter(s); err != nil {
		return err.Error()
	}
	if strings.Contains(s, "${") {
		return "its topic holds ${, which a row reads as a placeholder"
	}
	return ""
}

// end returns an end as the file words it, or why it has none.
func (t *translator) end(e end) (word, problem string) {
	switch e.kind {
	case cloudEnd:
		return "cloud", ""
	case shadowEnd:
		return "shadow", ""
	case thingEnd:
		word = message.DeviceEndpoint(e.name).String()
		if !t.things[e.name] {
			problem = fmt.Sprintf("%s is no device of the group", e.name)
			if e.name == t.g.core {
				problem = "the core itself sends and receives nothing in a row"
			}
		}
		return word, problem
	case functionEnd:
		if name, ok := t.functions[e.f]; ok {
			return "function:" + name, ""
		}
		if _, ours := systemFunctions[e.f.name]; ours {
			return "function:" + e.f.name, e.f.name + " was a part of the core"
		}
		return "function:" + e.f.name, fmt.Sprintf("the function definition has no %s", strings.TrimSuffix(e.f.name+":"+e.f.qualifier, ":"))
	case connectorEnd:
		return "connector " + e.name, "there are no connectors here: " + connectorHint(e.name)
	}
	return e.arn, "it is no end that is known"
}

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// rowName is the id of a subscription when a person gave it.
func rowName(id string) string {
	if uuid.MatchString(id) || len(id) > 64 {
		return ""
	}
	return id
}

func (t *translator) doLoggers() {
	levels := map[string]string{"DEBUG": "debug", "INFO": "info", "WARN": "warn", "ERROR": "error", "FATAL": "error"}
	for _, l := range t.g.loggers {
		r := t.s.report
		what := fmt.Sprintf("logger of %s, %s, to %s", l.component, l.level, l.kind)
		switch {
		case l.kind == "AWSCloudWatch":
			r.lacks(l.at, what, "nothing goes to CloudWatch Logs; the journal has it all (journalctl -u greengate), and any shipper for the journal takes it on")
		case l.component == "Lambda":
			r.translated(l.at, what, "what functions print goes to the journal and to `greengate function logs NAME`, whatever the level")
		case levels[l.level] == "":
			r.lacks(l.at, what, "the level is not known; log.level: info")
		default:
			t.s.logLevel = levels[l.level]
			how := "log.level: " + levels[l.level]
			if l.space > 0 {
				how += fmt.Sprintf("; of the %d KB of space the journal takes care (SystemMaxUse in journald.conf)", l.space)
			}
			r.translated(l.at, what, "%s", how)
		}
	}
}

func (t *translator) doAddresses() {
	if len(t.g.addresses) == 0 {
		return
	}
	t.s.report.translated(nil, "addresses of the core: "+strings.Join(t.g.addresses, ", "),
		"discovery answers with the one address that the device has just reached; list others under discovery.hosts only if you must")
}
