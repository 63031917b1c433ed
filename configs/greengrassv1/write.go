package greengrassv1

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// writer writes the group file.
type writer struct{ strings.Builder }

func (w *writer) line(format string, args ...any) {
	fmt.Fprintf(w, format+"\n", args...)
}

// comment writes text that may come from a file, in one line.
func (w *writer) comment(margin, s string) { w.WriteString(margin + "# " + oneLine(s) + "\n") }

func (s *site) file() []byte {
	w := &writer{}
	w.line(`# yaml-language-server: $schema=group.schema.json
#
# The group file of a greengate site, made by greengate import %s.
# README.md beside it says what became of everything, and what to change on the
# devices. docs/group-file.md explains every key; greengate check tells every fault.
`, s.report.From)
	w.line("version: 1")
	w.line("group: %s  # the GGGroupId that discovery answers", quote(s.group))
	w.line("core: %s  # thing name of this gateway", quote(s.core))
	w.line("data: %s\n", quote(s.data))
	port := int64(8883)
	if s.mqttPort != 0 {
		port = s.mqttPort
	}
	w.line(`broker:
  listen: ["0.0.0.0:%d"]

# Where devices ask for the address and the CA of this gateway.
discovery:
  # Add "0.0.0.0:443" for the AWS IoT Device SDKs v2: they look nowhere else.
  listen: ["0.0.0.0:8443"]

pki:
  dir: pki  # the group CA of this site: what AWS's CA signed is let in by fingerprint
`, port)
	if s.logLevel != "" && s.logLevel != "info" {
		w.line("log:\n  level: %s\n", s.logLevel)
	}
	if !s.ownShadows {
		w.line("# As in Greengrass: a device needs rows for its own shadow, too.\nown_shadows: false\n")
	}
	s.writeDevices(w)
	s.writeRows(w)
	s.writeFunctions(w)
	s.writeCloud(w)
	return []byte(w.String())
}

func (s *site) writeDevices(w *writer) {
	w.line("# Who may connect. The fingerprints are the ids of the certificates that AWS issued:\n# the devices keep them.\ndevices:")
	for _, d := range s.devices {
		margin := "  "
		if d.disabled {
			margin = "#  "
		}
		if d.comment != "" {
			w.comment(margin, d.comment)
		}
		w.WriteString(margin + "- {thing: " + quote(d.thing))
		if len(d.labels) > 0 {
			w.WriteString(", labels: " + flowList(d.labels))
		}
		if d.shadow != "" {
			w.WriteString(", shadow: " + d.shadow)
		}
		if d.direction != "" {
			w.WriteString(", direction: " + d.direction)
		}
		if d.certificate != "" {
			w.WriteString(", certificate: \"sha256:" + d.certificate + "\"")
		}
		w.WriteString("}\n")
	}
	w.WriteByte('\n')
}

// text is the row in one line.
func (r *siteRow) text() string {
	return "{from: " + ends(r.from) + ", topic: " + quote(r.topic) + ", to: " + ends(r.to) + "}"
}

func (s *site) writeRows(w *writer) {
	w.line("# Who may send what to whom: nothing passes without a row.\nsubscriptions:")
	for i := range s.rows {
		r := &s.rows[i]
		if r.left != "" {
			w.comment("  ", "left out: "+r.left)
			w.line("  # - %s", oneLine(r.text()))
			continue
		}
		w.WriteString("  - " + r.text())
		if r.rows > 1 {
			fmt.Fprintf(w, "  # for %d subscriptions", r.rows)
		} else if r.comment != "" {
			w.WriteString("  # " + oneLine(r.comment))
		}
		w.WriteByte('\n')
	}
	w.WriteByte('\n')
}

func (s *site) writeFunctions(w *writer) {
	if len(s.functions) == 0 {
		return
	}
	w.line("functions:")
	for i := range s.functions {
		f := &s.functions[i]
		w.line("  - name: %s", quote(f.name))
		for _, c := range f.comments {
			w.comment("    ", c)
		}
		w.line("    command: %s", flowList(f.command))
		w.line("    dir: %s", quote(f.dir))
		if f.handler != "" {
			w.line("    handler: %s", quote(f.handler))
		}
		if f.encoding != "" {
			w.line("    encoding: %s", f.encoding)
		}
		if f.pinned {
			w.line("    pinned: true")
		}
		if f.timeout != 0 {
			w.line("    timeout: %s", timeText(f.timeout))
		}
		if f.memory != 0 {
			w.line("    memory: %s", sizeText(f.memory))
		}
		if f.user != "" {
			w.line("    user: %s", strconv.Quote(f.user))
		}
		for _, l := range []struct {
			key   string
			paths []string
		}{{"read", f.read}, {"write", f.write}, {"devices", f.devices}} {
			if len(l.paths) > 0 {
				w.line("    %s: %s", l.key, flowList(l.paths))
			}
		}
		if len(f.environment) > 0 {
			w.line("    environment:")
			for _, v := range f.environment {
				w.line("      %s: %s", quote(v.name), strconv.Quote(v.value))
			}
		}
	}
	w.WriteByte('\n')
}

// writeCloud writes the section cloud, as a comment when nothing says the endpoint.
func (s *site) writeCloud(w *writer) {
	c, margin := s.cloud, ""
	if c == nil {
		c = &siteCloud{certificate: coreCertificate, key: coreKey, ca: amazonRoot}
	}
	endpoint := c.endpoint
	if endpoint == "" {
		w.line(`# The connection to AWS IoT Core (docs/cloud.md). Without it the gateway is local
# only, and complete; rows to cloud are then refused.`)
		endpoint, margin = "xxxx-ats.iot.eu-west-1.amazonaws.com", "#"
	} else {
		w.line("# The connection to AWS IoT Core, as the core had it.")
	}
	w.line("%scloud:", margin)
	for _, text := range c.comments {
		w.comment(margin+"  ", text)
	}
	key := func(format string, args ...any) { w.line(margin+"  "+format, args...) }
	key("endpoint: %s", quote(endpoint))
	if c.port != 0 {
		key("port: %d", c.port)
	}
	key("certificate: %s", quote(c.certificate))
	key("key: %s", quote(c.key))
	key("ca: %s", quote(c.ca))
	if c.proxy != "" {
		key("proxy: %s", strconv.Quote(c.proxy))
	}
	if c.keepAlive != 0 {
		key("keep_alive: %ds", c.keepAlive)
	}
	if s.spool > 0 {
		key("spool: {max_size: %s, when_full: drop_oldest}", sizeText(s.spool))
	}
}

func ends(list []string) string {
	if len(list) == 1 {
		return quote(list[0])
	}
	return flowList(list)
}

func flowList(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// plain tells whether YAML reads s as text without quotes, inside braces too. It is
// narrower than YAML, which costs a pair of quotes at most.
func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '/', c == '$':
		case i > 0 && (c >= '0' && c <= '9' || c == '.' || c == '+' || c == '-'):
		default:
			return false
		}
	}
	return s != "" && !slices.Contains([]string{"y", "n", "yes", "no", "true", "false", "on", "off", "null"}, strings.ToLower(s))
}

// quote writes s as YAML text, with quotes where YAML needs them.
func quote(s string) string {
	if plain(s) {
		return s
	}
	// The escapes of a Go string are among those of a double-quoted YAML string.
	return strconv.Quote(s)
}

func sizeText(n int64) string {
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n > 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

func timeText(t time.Duration) string {
	if t%time.Second == 0 {
		return strconv.FormatInt(int64(t/time.Second), 10) + "s"
	}
	return t.String()
}
