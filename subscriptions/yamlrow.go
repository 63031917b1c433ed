package subscriptions

import (
	"slices"
	"strconv"
	"strings"
)

// yamlRow writes a row as one line of YAML, as the group file has it.
type yamlRow struct {
	from, to      []string
	topic, shadow string
	may           ops
	Spooling
}

// String returns the row in YAML's flow form: {from: A, topic: t, to: B}.
func (f yamlRow) String() string {
	var b strings.Builder
	b.WriteString("{from: ")
	writeEnds(&b, f.from)
	if f.shadow != "" {
		b.WriteString(", shadow: ")
		b.WriteString(quote(f.shadow))
		if f.may != allOps {
			b.WriteString(", may: [" + strings.Join(f.may.words(), ", ") + "]")
		}
	} else {
		b.WriteString(", topic: ")
		b.WriteString(quote(f.topic))
		b.WriteString(", to: ")
		writeEnds(&b, f.to)
	}
	f.Spooling.write(&b)
	b.WriteByte('}')
	return b.String()
}

// write writes the keys that are not at their defaults.
func (s *Spooling) write(b *strings.Builder) {
	if s.Priority != "" && s.Priority != "normal" {
		b.WriteString(", priority: " + s.Priority)
	}
	if s.TTL != 0 {
		b.WriteString(", ttl: " + s.TTL.String())
	}
	if s.WhenFull != "" {
		b.WriteString(", when_full: " + s.WhenFull)
	}
	if s.Keep != 0 {
		b.WriteString(", keep: " + strconv.Itoa(s.Keep))
	}
	if s.LiveShare != 0 {
		b.WriteString(", live_share: " + strconv.Itoa(s.LiveShare))
	}
	if s.Overtake {
		b.WriteString(", overtake: true")
	}
	if s.Batch != (Batch{}) {
		b.WriteString(", batch: {max_size: " + strconv.FormatInt(s.Batch.MaxSize, 10) + ", max_age: " + s.Batch.MaxAge.String() + "}")
	}
	if s.Durable {
		b.WriteString(", durable: true")
	}
}

func writeEnds(b *strings.Builder, ends []string) {
	if len(ends) == 1 {
		b.WriteString(quote(ends[0]))
		return
	}
	b.WriteByte('[')
	for i, e := range ends {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(e))
	}
	b.WriteByte(']')
}

// plain tells whether YAML reads s as a string without quotes, inside braces
// too. It is narrower than YAML, which costs a pair of quotes at most.
func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '/', c == '$':
		case i == 0:
			return false
		case c >= '0' && c <= '9', c == '.', c == '+', c == '-':
		case c == ':' && i+1 < len(s) && s[i+1] != ':':
		default:
			return false
		}
	}
	return s != "" && !slices.Contains(notStrings, strings.ToLower(s))
}

// notStrings are the plain texts that some YAML reader takes for another type.
var notStrings = []string{"y", "n", "yes", "no", "true", "false", "on", "off", "null"}

// quote writes s as a YAML string, with quotes where YAML needs them.
func quote(s string) string {
	if plain(s) {
		return s
	}
	// The escapes of a Go string are among those of a double-quoted YAML string.
	return strconv.Quote(s)
}

// canonicalTexts sorts the texts of ends and takes out repetitions.
func canonicalTexts(texts []string) []string {
	slices.Sort(texts)
	return slices.Compact(texts)
}
