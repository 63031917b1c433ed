package configs

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"

	"greengate/core/message"
	"greengate/subscriptions"
)

// checker judges a decoded file. What has a fault from decoding is not judged
// again: report.check sees to that.
type checker struct {
	*report
	c      *Config
	things map[string]bool // the devices
}

func (k *checker) all() {
	k.top()
	k.listeners()
	k.devices()
	if k.c.GPIO != nil {
		k.gpio()
	}
	k.functions()
	if k.c.Cloud != nil {
		k.cloud()
	}
	k.rows()
	k.c.resolve()
}

func (k *checker) top() {
	c := k.c
	if k.need(path{"version"}, "write `version: 1`") && c.Version != 1 {
		k.check(path{"version"}, fmt.Sprintf("this build reads version 1, not %d", c.Version), "")
	}
	if k.need(path{"group"}, "write `group: ID`, the name of this site") {
		if problem := groupProblem(c.Group); problem != "" {
			k.check(path{"group"}, problem, "any short name of this site does")
		}
	}
	if k.need(path{"core"}, "write `core: THING`, the thing name of this gateway") {
		k.thing(path{"core"}, c.Core)
	}
	k.filled(path{"data"}, c.Data, "name a folder")
	k.filled(path{"pki", "dir"}, c.PKI.Dir, "name a folder")
	k.oneOf(path{"log", "level"}, c.Log.Level, "debug", "info", "warn", "error")
	k.oneOf(path{"log", "format"}, c.Log.Format, "text", "json")
}

// groupProblem says why a text is no group id. It stands in the answers of
// discovery and in the name of the group's CA (at most 64 characters, X.520
// ub-common-name).
func groupProblem(s string) string {
	switch {
	case strings.TrimSpace(s) == "":
		return "a group needs an id"
	case len(s) > 64:
		return fmt.Sprintf("the id has %d bytes, more than 64", len(s))
	case strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Sprintf("the id %q holds a control character", s)
	}
	return ""
}

func (k *checker) devices() {
	k.things = make(map[string]bool, len(k.c.Devices))
	lines := make(map[string]int, len(k.c.Devices))
	owners := map[string]string{}
	for i := range k.c.Devices {
		d := &k.c.Devices[i]
		at := func(steps ...any) path { return append(path{"devices", i}, steps...) }
		if k.needIn(at("thing"), d.Thing, "write `thing: NAME`") && k.thing(at("thing"), d.Thing) {
			switch first, twice := lines[d.Thing]; {
			case twice:
				k.check(at("thing"), fmt.Sprintf("the device %q is in the list already, in line %d", d.Thing, first), "a thing stands there once")
			case d.Thing == k.c.Core:
				k.check(at("thing"), fmt.Sprintf("%q is the core itself", d.Thing), "the core is no device of its group")
			default:
				lines[d.Thing] = d.Line
				k.things[d.Thing] = true
			}
		}
		for j, l := range d.Labels {
			if err := checkLabel(l); err != nil {
				k.check(at("labels", j), err.Error(), "")
			} else if slices.Index(d.Labels, l) < j {
				k.check(at("labels", j), fmt.Sprintf("the label %q is in the list already", l), "take one out")
			}
		}
		if d.OwnShadows != nil {
			d.ownLine = k.lineOf(at("own_shadows")...)
		}
		k.oneOf(at("shadow"), d.Shadow, "sync", "local", "none")
		k.oneOf(at("direction"), d.Direction, "both", "up", "down")
		if d.Shadow != "sync" && (d.Direction == "up" || d.Direction == "down") {
			k.check(at("direction"), fmt.Sprintf("the shadow of %q is not in sync with the cloud", d.Thing), "take `direction` out, or write `shadow: sync`")
		}
		if d.Certificate != "" || k.has(at("certificate")...) {
			k.fingerprint(at("certificate"), d, owners)
		}
	}
}

// checkLabel returns an error that says what is wrong with a label, which
// follows the rule of things.
func checkLabel(l string) error {
	if err := message.CheckThing(l); err != nil {
		return errors.New(strings.Replace(err.Error(), "name", "label", 1))
	}
	return nil
}

// fingerprint checks the certificate of d, writes it in its one form, and finds
// the second owner of a certificate: one certificate is one thing.
func (k *checker) fingerprint(p path, d *Device, owners map[string]string) {
	digits, problem := fingerprintDigits(d.Certificate)
	switch {
	case problem != "":
		k.check(p, problem, "write sha256: and the 64 hex digits that `openssl x509 -fingerprint -sha256` prints")
	case owners[digits] != "":
		k.check(p, fmt.Sprintf("the device %q has this certificate already", owners[digits]), "one certificate is one thing")
	default:
		owners[digits] = d.Thing
		d.Certificate = fingerprintPrefix + digits
	}
}

// fingerprintDigits returns the 64 lower-case hex digits of a fingerprint, or
// what is wrong with it. The colons that openssl prints may stay.
func fingerprintDigits(s string) (digits, problem string) {
	digits, found := strings.CutPrefix(s, fingerprintPrefix)
	digits = strings.ToLower(strings.ReplaceAll(digits, ":", ""))
	switch {
	case !found:
		return "", fmt.Sprintf("the fingerprint %q does not begin with sha256:", clip(s))
	case strings.Trim(digits, "0123456789abcdef") != "":
		return "", fmt.Sprintf("the fingerprint %q is no hex", clip(s))
	case len(digits) != 64:
		return "", fmt.Sprintf("the fingerprint %q has %d hex digits, not 64", clip(s), len(digits))
	}
	return digits, ""
}

// rows lets the table judge its rows. A list of devices, functions or pins that
// could not be read would make every row that names one wrong, so then it is
// not asked.
func (k *checker) rows() {
	for _, section := range []string{"devices", "functions", "gpio", "subscriptions"} {
		if n, found := k.locate(path{section}); found && k.bad[n] {
			return
		}
	}
	for _, f := range subscriptions.Check(k.c.Subscriptions, k.c.Site(), k.c.Names()) {
		p := append(path{"subscriptions", f.Row}, keyPath(f.Key)...)
		// In a list of one the fault is that one's.
		if n, found := k.locate(p); found && n.Kind == yaml.SequenceNode && len(n.Content) == 1 {
			p = append(p, 0)
		}
		if f.Warning {
			k.warn(p, f.Problem, f.Hint)
		} else {
			k.check(p, f.Problem, f.Hint)
		}
	}
}

// keyPath turns to[1] into to, 1.
func keyPath(key string) path {
	if key == "" {
		return nil
	}
	name, index, found := strings.Cut(strings.TrimSuffix(key, "]"), "[")
	if i, err := strconv.Atoi(index); found && err == nil {
		return path{name, i}
	}
	return path{name}
}

// need tells whether the file has the key, which has no default.
func (k *checker) need(p path, hint string) bool {
	if k.has(p...) {
		return true
	}
	k.check(p, "is missing", hint)
	return false
}

// needIn is need for the key of a list entry; asking the tree only when the
// value is empty keeps a file of thousands of entries quick.
func (k *checker) needIn(p path, value, hint string) bool { return value != "" || k.need(p, hint) }

// filled records a fault when the value is empty.
func (k *checker) filled(p path, value, hint string) {
	if value == "" {
		k.check(p, "is empty", hint)
	}
}

// thing checks a name by the rule of things.
func (k *checker) thing(p path, name string) bool {
	err := message.CheckThing(name)
	if err != nil {
		k.check(p, err.Error(), "")
	}
	return err == nil
}

// oneOf records a fault when the value is none of the words, and tells whether it
// is one.
func (k *checker) oneOf(p path, value string, words ...string) bool {
	if slices.Contains(words, value) {
		return true
	}
	hint := "write " + orList(words)
	if near := nearest(value, words); near != "" {
		hint = fmt.Sprintf("did you mean %q? known are %s", near, strings.Join(words, ", "))
	}
	k.check(p, fmt.Sprintf("%q is not known here", clip(value)), hint)
	return false
}

// orList writes a, b or c.
func orList(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
