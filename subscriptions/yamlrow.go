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
func (f *yamlRow) String() string { return string(f.append(nil)) }

func (f *yamlRow) append(b []byte) []byte {
	b = appendEndList(append(b, "{from: "...), f.from)
	if f.shadow != "" {
		b = appendQuoted(append(b, ", shadow: "...), f.shadow)
		if f.may != allOps {
			b = append(b, ", may: ["+strings.Join(f.may.words(), ", ")+"]"...)
		}
	} else {
		b = appendQuoted(append(b, ", topic: "...), f.topic)
		b = appendEndList(append(b, ", to: "...), f.to)
	}
	if f.Spooling != (Spooling{}) {
		b = f.Spooling.append(b)
	}
	return append(b, '}')
}

// append writes the keys that are not at their defaults.
func (s *Spooling) append(b []byte) []byte {
	if s.Priority != "" && s.Priority != "normal" {
		b = append(b, ", priority: "+s.Priority...)
	}
	if s.TTL != 0 {
		b = append(b, ", ttl: "+s.TTL.String()...)
	}
	if s.WhenFull != "" {
		b = append(b, ", when_full: "+s.WhenFull...)
	}
	if s.Keep != 0 {
		b = append(b, ", keep: "+strconv.Itoa(s.Keep)...)
	}
	if s.LiveShare != 0 {
		b = append(b, ", live_share: "+strconv.Itoa(s.LiveShare)...)
	}
	if s.Overtake {
		b = append(b, ", overtake: true"...)
	}
	if s.Batch != (Batch{}) {
		b = append(b, ", batch: {max_size: "+strconv.FormatInt(s.Batch.MaxSize, 10)+", max_age: "+s.Batch.MaxAge.String()+"}"...)
	}
	if s.Durable {
		b = append(b, ", durable: true"...)
	}
	return b
}

func appendEndList(b []byte, ends []string) []byte {
	if len(ends) == 1 {
		return appendQuoted(b, ends[0])
	}
	b = append(b, '[')
	for i, e := range ends {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendQuoted(b, e)
	}
	return append(b, ']')
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
	return s != "" && (len(s) > maxNotString || !slices.Contains(notStrings, strings.ToLower(s)))
}

// maxNotString is the length of the longest of notStrings.
const maxNotString = len("false")

// notStrings are the plain texts that some YAML reader takes for another type.
var notStrings = []string{"y", "n", "yes", "no", "true", "false", "on", "off", "null"}

// appendQuoted writes s as a YAML string, with quotes where YAML needs them.
func appendQuoted(b []byte, s string) []byte {
	if plain(s) {
		return append(b, s...)
	}
	// The escapes of a Go string are among those of a double-quoted YAML string.
	return strconv.AppendQuote(b, s)
}

// canonicalTexts sorts the texts of ends and takes out repetitions.
func canonicalTexts(texts []string) []string {
	slices.Sort(texts)
	return slices.Compact(texts)
}
