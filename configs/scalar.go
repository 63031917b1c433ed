package configs

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// scalar decodes one plain value and tells whether it was good.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, bytes bool) bool {
	if n.Kind != yaml.ScalarNode {
		d.fault(n, "must be "+wanted(v, bytes)+", not "+kindName(n), "")
		return false
	}
	if isNull(n) {
		d.fault(n, "has no value", "write "+wanted(v, bytes)+", or take the key out")
		return false
	}
	var problem, hint string
	switch {
	case v.Kind() == reflect.String:
		// Text needs no quotes: what YAML takes for a number or a truth value
		// (on: 1, thing: 123) is meant as it stands.
		v.SetString(n.Value)
	case v.Kind() == reflect.Bool:
		problem, hint = setBool(n, v)
	case v.Type() == durationType:
		var t time.Duration
		t, problem, hint = parseDuration(n.Value)
		v.SetInt(int64(t))
	case bytes:
		var size int64
		size, problem, hint = parseSize(n.Value)
		v.SetInt(size)
	case v.Kind() == reflect.Float64:
		problem = setFloat(n, v)
	default:
		problem, hint = setInt(n, v)
	}
	if problem != "" {
		d.fault(n, problem, hint)
	}
	return problem == ""
}

// wanted says what v takes.
func wanted(v reflect.Value, bytes bool) string {
	switch {
	case v.Kind() == reflect.String:
		return "text"
	case v.Kind() == reflect.Bool:
		return "true or false"
	case v.Type() == durationType:
		return "a time such as 10s"
	case bytes:
		return "a size such as 64MiB"
	}
	return "a number"
}

func setBool(n *yaml.Node, v reflect.Value) (problem, hint string) {
	quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0
	switch strings.ToLower(n.Value) {
	case "true", "false":
		if quoted {
			return "must be true or false, not text", "write it without quotes"
		}
		v.SetBool(strings.EqualFold(n.Value, "true"))
		return "", ""
	case "yes", "on", "y": // truth values of YAML 1.1 only
		hint = "write true"
	case "no", "off", "n":
		hint = "write false"
	}
	return fmt.Sprintf("must be true or false, not %q", clip(n.Value)), hint
}

func setInt(n *yaml.Node, v reflect.Value) (problem, hint string) {
	s := n.Value
	if len(s) > 1 && s[0] == '0' && s[1] >= '0' && s[1] <= '9' {
		return fmt.Sprintf("%q begins with a zero", clip(s)), "octal or not? write it without the zero"
	}
	x, err := strconv.ParseInt(s, 0, v.Type().Bits())
	if err != nil || n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		return fmt.Sprintf("must be a whole number, not %q", clip(s)), ""
	}
	v.SetInt(x)
	return "", ""
}

func setFloat(n *yaml.Node, v reflect.Value) (problem string) {
	x, err := strconv.ParseFloat(n.Value, 64)
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) || n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		return fmt.Sprintf("must be a number, not %q", clip(n.Value))
	}
	v.SetFloat(x)
	return ""
}

const (
	timeHint = "write a number with its unit: 500ms, 10s, 5m, 72h or 7d"
	sizeHint = "write a number with KiB, MiB or GiB, or bytes without a unit"
	day      = 24 * time.Hour
)

// parseDuration reads Go's notation, and days before it: 10s, 1h30m, 7d, 1d12h.
func parseDuration(s string) (t time.Duration, problem, hint string) {
	rest := s
	if days, after, found := strings.Cut(s, "d"); found {
		n, err := strconv.ParseUint(days, 10, 63)
		switch {
		case err != nil:
			return 0, fmt.Sprintf("%q is no time", clip(s)), timeHint
		case n > uint64(math.MaxInt64/day):
			return 0, fmt.Sprintf("the time %q is too long", clip(s)), timeHint
		}
		t, rest = time.Duration(n)*day, after
		if rest == "" {
			return t, "", ""
		}
	}
	more, err := time.ParseDuration(rest)
	switch {
	case err != nil && isNumber(s):
		return 0, fmt.Sprintf("the time %q has no unit", clip(s)), timeHint
	case err != nil || rest != s && strings.HasPrefix(rest, "+"):
		return 0, fmt.Sprintf("%q is no time", clip(s)), timeHint
	case more < 0:
		return 0, fmt.Sprintf("the time %q is negative", clip(s)), timeHint
	case t+more < t:
		return 0, fmt.Sprintf("the time %q is too long", clip(s)), timeHint
	}
	return t + more, "", ""
}

// formatDuration is the shortest form that parseDuration reads back.
func formatDuration(t time.Duration) string {
	s := t.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// parseSize reads a number of bytes: 4096, 64KiB, 256MiB, 2GiB.
func parseSize(s string) (size int64, problem, hint string) {
	digits, unit := s, int64(1)
	for _, u := range sizeUnits {
		if number, found := strings.CutSuffix(s, u.name); found {
			digits, unit = strings.TrimRight(number, " "), u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	switch {
	case err != nil:
		return 0, fmt.Sprintf("%q is no size", clip(s)), sizeHint
	case int64(n) > math.MaxInt64/unit:
		return 0, fmt.Sprintf("the size %q is too large", clip(s)), sizeHint
	}
	return int64(n) * unit, "", ""
}

// formatSize is the shortest form that parseSize reads back.
func formatSize(n int64) string {
	for _, u := range sizeUnits {
		if n > 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}
