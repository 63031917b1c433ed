package message

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// MaxTopic is the longest topic or filter in bytes [MQTT-1.5.4-1].
	MaxTopic = 65535
	// MaxLevels is how many levels a topic or filter may have here. MQTT sets
	// no bound but the length; ours keeps a filter of 65,535 levels from
	// costing memory and time.
	MaxLevels = 256
)

// CheckTopic returns an error that says why t is no topic name to publish to
// [MQTT-4.7.1-1, 4.7.3-1, 4.7.3-2, 1.5.4-1].
func CheckTopic(t string) error {
	if err := checkText(t); err != nil {
		return err
	}
	if strings.ContainsAny(t, "+#") {
		return errors.New("a topic to publish to holds a wildcard")
	}
	return nil
}

// CheckFilter returns an error that says why f is no topic filter
// [MQTT-4.7.1-1, 4.7.1-2, 4.7.1-3].
func CheckFilter(f string) error {
	if err := checkText(f); err != nil {
		return err
	}
	for rest, more := f, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		if level == "#" && more {
			return errors.New("# stands before the last level")
		}
		if len(level) > 1 && strings.ContainsAny(level, "+#") {
			return fmt.Errorf("the level %q mixes a wildcard with text", level)
		}
	}
	return nil
}

func checkText(t string) error {
	switch {
	case t == "":
		return errors.New("the topic is empty")
	case len(t) > MaxTopic:
		return fmt.Errorf("the topic is %d bytes long, more than %d", len(t), MaxTopic)
	case !utf8.ValidString(t):
		return errors.New("the topic is not UTF-8")
	case strings.IndexByte(t, 0) >= 0:
		return errors.New("the topic holds U+0000")
	case strings.Count(t, "/") >= MaxLevels:
		return fmt.Errorf("the topic has more than %d levels", MaxLevels)
	}
	return nil
}

// Covers tells whether every topic that g matches is matched by f too (both legal
// filters).
func Covers(f, g string) bool {
	if g != "" && g[0] == '$' && f != "" && (f[0] == '+' || f[0] == '#') {
		return false
	}
	for {
		fl, frest, fmore := strings.Cut(f, "/")
		if fl == "#" {
			return true
		}
		gl, grest, gmore := strings.Cut(g, "/")
		if gl == "#" || fl != "+" && fl != gl {
			return false
		}
		switch {
		case !fmore:
			return !gmore
		case !gmore:
			return frest == "#"
		}
		f, g = frest, grest
	}
}

// Match tells whether the filter matches the topic (both legal). A wildcard at
// the first level does not match topics that begin with $ [MQTT-4.7.2-1]; `a/#`
// matches `a` too (MQTT 5, 4.7.1.2).
func Match(filter, topic string) bool {
	if topic != "" && topic[0] == '$' && filter != "" && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	for {
		fl, frest, fmore := strings.Cut(filter, "/")
		if fl == "#" {
			return true
		}
		tl, trest, tmore := strings.Cut(topic, "/")
		if fl != "+" && fl != tl {
			return false
		}
		switch {
		case !fmore:
			return !tmore
		case !tmore:
			return frest == "#"
		}
		filter, topic = frest, trest
	}
}
