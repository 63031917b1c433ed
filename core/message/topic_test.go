package message_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"greengate/core/message"
)

func TestCheckTopic(t *testing.T) {
	levels := func(n int) string { return strings.Repeat("a/", n-1) + "a" }
	for _, c := range []struct {
		name, topic string
		fault       string // part of the error; empty: legal
	}{
		{"one level", "a", ""},
		{"many levels", "home/kitchen/lamp 1", ""},
		{"empty levels are levels", "/", ""},
		{"leading and trailing slash", "/a/", ""},
		{"reserved", "$aws/things/x/shadow/update", ""},
		{"beyond ASCII", "küche/温度", ""},
		{"U+FFFF may be sent [MQTT-1.5.4-3]", "a\uFFFFb", ""},
		{"BOM stands for itself [MQTT-1.5.4-3]", "\uFEFFa", ""},
		{"as long as may be [MQTT-1.5.4-1]", strings.Repeat("a", message.MaxTopic), ""},
		{"as deep as may be", levels(message.MaxLevels), ""},

		{"[MQTT-4.7.3-1] empty", "", "empty"},
		{"[MQTT-4.7.3-2] U+0000", "a\x00b", "U+0000"},
		{"[MQTT-4.7.3-3] too long", strings.Repeat("a", message.MaxTopic+1), "65536 bytes"},
		{"[MQTT-1.5.4-1] not UTF-8", "a\xff", "UTF-8"},
		{"[MQTT-1.5.4-1] a surrogate", "a\xed\xa0\x80", "UTF-8"},
		{"[MQTT-1.5.4-1] longer code than needed", "a\xc0\xaf", "UTF-8"},
		{"[MQTT-4.7.0-1] #", "a/#", "wildcard"},
		{"[MQTT-4.7.0-1] +", "a/+/b", "wildcard"},
		{"[MQTT-4.7.0-1] within a level", "a+b", "wildcard"},
		{"too deep", levels(message.MaxLevels + 1), "256 levels"},
		{"65,536 levels", strings.Repeat("/", message.MaxTopic), "256 levels"},
	} {
		t.Run(c.name, func(t *testing.T) { wantFault(t, message.CheckTopic(c.topic), c.fault) })
	}
}

func TestCheckFilter(t *testing.T) {
	for _, c := range []struct {
		name, filter string
		fault        string
	}{
		{"no wildcard", "a/b", ""},
		{"[MQTT-4.7.1-1] # alone", "#", ""},
		{"[MQTT-4.7.1-1] # at the end", "sport/tennis/#", ""},
		{"# after an empty level", "/#", ""},
		{"[MQTT-4.7.1-2] + alone", "+", ""},
		{"[MQTT-4.7.1-2] + at any level", "+/tennis/+/b", ""},
		{"[MQTT-4.7.1-2] + before #", "+/tennis/#", ""},
		{"empty levels", "//", ""},
		{"reserved", "$SYS/#", ""},

		{"[MQTT-4.7.1-1] # not last", "sport/#/ranking", "last level"},
		{"[MQTT-4.7.1-1] # before an empty level", "#/", "last level"},
		{"[MQTT-4.7.1-1] # with text", "sport/tennis#", `"tennis#"`},
		{"[MQTT-4.7.1-1] ##", "##", `"##"`},
		{"[MQTT-4.7.1-2] + with text", "sport+", `"sport+"`},
		{"[MQTT-4.7.1-2] ++", "a/++/b", `"++"`},
		{"+#", "+#", `"+#"`},
		{"[MQTT-4.7.3-1] empty", "", "empty"},
		{"[MQTT-4.7.3-2] U+0000", "a/\x00", "U+0000"},
		{"[MQTT-1.5.4-1] not UTF-8", "\xc3/+", "UTF-8"},
		{"[MQTT-4.7.3-3] too long", strings.Repeat("a", message.MaxTopic+1), "65536 bytes"},
		{"65,535 levels", strings.Repeat("+/", message.MaxTopic/2) + "+", "256 levels"},
	} {
		t.Run(c.name, func(t *testing.T) { wantFault(t, message.CheckFilter(c.filter), c.fault) })
	}
}

// wantFault wants an error with that text in it, or none if it is empty.
func wantFault(t *testing.T, err error, fault string) {
	t.Helper()
	switch {
	case fault == "" && err != nil:
		t.Errorf("error %q for what is legal", err)
	case fault != "" && (err == nil || !strings.Contains(err.Error(), fault)):
		t.Errorf("error %v, want one with %q", err, fault)
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		// The examples of MQTT 5, 4.7.1.2 [MQTT-4.7.1-1].
		{"sport/tennis/player1/#", "sport/tennis/player1", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
		{"sport/#", "sport", true},
		{"#", "a/b/c", true},
		{"sport/#", "sports", false},
		// The examples of 4.7.1.3 [MQTT-4.7.1-2].
		{"sport/tennis/+", "sport/tennis/player1", true},
		{"sport/tennis/+", "sport/tennis/player1/ranking", false},
		{"sport/+", "sport", false},
		{"sport/+", "sport/", true},
		{"+/+", "/finance", true},
		{"/+", "/finance", true},
		{"+", "/finance", false},
		{"+/tennis/#", "golf/tennis", true},
		{"a/+/#", "a", false},
		{"a/+/#", "a/b", true},
		// 4.7.2 [MQTT-4.7.2-1].
		{"#", "$SYS/monitor", false},
		{"+/monitor/Clients", "$SYS/monitor/Clients", false},
		{"+", "$SYS", false},
		{"$SYS/#", "$SYS/monitor", true},
		{"$SYS/#", "$SYS", true},
		{"$SYS/monitor/+", "$SYS/monitor/Clients", true},
		{"a/+", "a/$b", true},
		{"/+", "/$b", true},
		// 4.7.3 [MQTT-4.7.3-4]: byte for byte, no normal forms.
		{"ACCOUNTS", "Accounts", false},
		{"a\u030a", "\u00e5", false},
		{"/a", "a", false},
		{"a/", "a", false},
		{"a//b", "a/b", false},
		{"a/+/b", "a//b", true},
		{"a/b", "a/b/c", false},
		{"a/b/c", "a/b", false},
	} {
		if got := message.Match(c.filter, c.topic); got != c.want {
			t.Errorf("Match(%q, %q) = %t", c.filter, c.topic, got)
		}
	}
}

// naive matches as the standard words it, level by level from lists of levels.
func naive(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") && (strings.HasPrefix(filter, "#") || strings.HasPrefix(filter, "+")) {
		return false
	}
	var matches func(f, t []string) bool
	matches = func(f, t []string) bool {
		if len(f) == 0 || len(t) == 0 {
			// # stands for the parent level too.
			return len(f) == len(t) || len(f) == 1 && f[0] == "#"
		}
		switch f[0] {
		case "#":
			return true
		case "+", t[0]:
			return matches(f[1:], t[1:])
		}
		return false
	}
	return matches(strings.Split(filter, "/"), strings.Split(topic, "/"))
}

// Topics and filters by the letter of the standard, but for the bound on levels
// [MQTT-4.7.1-1, -2, 4.7.3-1, -2].
var (
	topicByLetter  = regexp.MustCompile(`^[^+#\x00]+$`)
	filterByLetter = regexp.MustCompile(`^(?:(?:\+|[^+#/\x00]*)/)*(?:\+|#|[^+#/\x00]*)$`)
)

func byLetter(r *regexp.Regexp, s string) bool {
	return s != "" && len(s) <= message.MaxTopic && utf8.ValidString(s) && strings.Count(s, "/") < message.MaxLevels && r.MatchString(s)
}

// FuzzMatch holds topics, filters, their matching and covering against the wording of the
// standard.
func FuzzMatch(f *testing.F) {
	for _, seed := range [][3]string{
		{"#", "a", "+"}, {"a/#", "a", "a/+"}, {"+/#", "$a/b", "$a/#"}, {"a/+/b", "a//b", "a//b"}, {"/+", "/", "/#"}, {"//#", "/", "+/+/#"}, {"$a/+", "$a/b", "#"}, {"+/+/#", "a/b", "+/b/#"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, filter, topic, other string) {
		for _, s := range []string{filter, topic, other} {
			if got, want := message.CheckTopic(s) == nil, byLetter(topicByLetter, s); got != want {
				t.Errorf("CheckTopic(%q) = %v, want legal %t", s, message.CheckTopic(s), want)
			}
			if got, want := message.CheckFilter(s) == nil, byLetter(filterByLetter, s); got != want {
				t.Errorf("CheckFilter(%q) = %v, want legal %t", s, message.CheckFilter(s), want)
			}
		}
		if message.CheckFilter(filter) != nil || message.CheckTopic(topic) != nil {
			return // Match is defined for legal filters and topics
		}
		if got, want := message.Match(filter, topic), naive(filter, topic); got != want {
			t.Errorf("Match(%q, %q) = %t, want %t", filter, topic, got, want)
		}
		if message.CheckFilter(other) == nil && message.Covers(filter, other) && naive(other, topic) && !naive(filter, topic) {
			t.Errorf("%q covers %q, and does not match %q", filter, other, topic)
		}
	})
}

// Every short filter against every short topic: what the fuzzer would have to
// be lucky to meet.
func TestMatchExhaustively(t *testing.T) {
	words := func(alphabet string, length int) (all []string) {
		level := []string{""}
		for range length {
			var next []string
			for _, w := range level {
				for _, c := range alphabet {
					next = append(next, w+string(c))
				}
			}
			all, level = append(all, next...), next
		}
		return all
	}
	pairs := 0
	topics := words("ab$/", 4)
	for _, filter := range words("a$/+#", 5) {
		if message.CheckFilter(filter) != nil {
			continue
		}
		for _, topic := range topics {
			pairs++
			if got, want := message.Match(filter, topic), naive(filter, topic); got != want {
				t.Fatalf("Match(%q, %q) = %t, want %t", filter, topic, got, want)
			}
		}
	}
	if pairs < 100_000 {
		t.Errorf("only %d pairs", pairs)
	}
}
