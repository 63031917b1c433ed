package shadows

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// unquote decodes the JSON text of a string, which is valid. Half of a surrogate pair,
// which UTF-8 cannot hold, becomes the three bytes that it would have there: no two
// strings that differ become one.
func unquote(s string) string {
	s = s[1 : len(s)-1]
	at := strings.IndexByte(s, '\\')
	if at < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for ; at >= 0; at = strings.IndexByte(s, '\\') {
		b, s = append(b, s[:at]...), s[at:]
		c, length := s[1], 2
		if i := strings.IndexByte("bfnrt", c); i >= 0 {
			c = "\b\f\n\r\t"[i]
		}
		if c == 'u' {
			b, length = unescape(b, s)
		} else {
			b = append(b, c)
		}
		s = s[length:]
	}
	return string(append(b, s...))
}

// unescape decodes the escape, or the pair of them, that s begins with, and returns
// how long it is.
func unescape(b []byte, s string) ([]byte, int) {
	unit := func(s string) rune {
		if len(s) < 6 || s[:2] != `\u` {
			return -1
		}
		n, _ := strconv.ParseUint(s[2:6], 16, 16)
		return rune(n)
	}
	r := unit(s)
	if pair := utf16.DecodeRune(r, unit(s[6:])); pair != utf8.RuneError {
		return utf8.AppendRune(b, pair), 12
	}
	if utf16.IsSurrogate(r) {
		return append(b, 0xE0|byte(r>>12), 0x80|byte(r>>6)&0x3F, 0x80|byte(r)&0x3F), 6
	}
	return utf8.AppendRune(b, r), 6
}

// appendString writes a decoded text as a JSON string.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c == 0xED && i+2 < len(s) && s[i+1] >= 0xA0: // half of a surrogate pair
			b = append(b, '\\', 'u', 'd', hex[s[i+1]>>2&15], hex[s[i+1]&3<<2|s[i+2]>>4&3], hex[s[i+2]&15])
			i += 2
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
