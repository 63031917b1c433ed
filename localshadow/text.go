package localshadow

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// canonical rewrites the JSON text of a string, quotes included, so that each
// character has one form: itself, or the shortest escape where it needs one.
// Half of a surrogate pair, which UTF-8 cannot hold, stays an escape.
func canonical(s string) (string, error) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case '"', '\\', 'b', 'f', 'n', 'r', 't':
			b = append(b, '\\', c)
		case '/':
			b = append(b, '/')
		case 'u':
			r, ok := hex4(s[i+1:])
			if !ok {
				return "", errSyntax
			}
			i += 4
			if utf16.IsSurrogate(r) && strings.HasPrefix(s[i+1:], `\u`) {
				low, ok := hex4(s[i+3:])
				if pair := utf16.DecodeRune(r, low); ok && pair != utf8.RuneError {
					r = pair
					i += 6
				}
			}
			b = appendRune(b, r)
		default:
			return "", errSyntax
		}
	}
	return string(b), nil
}

func appendRune(b []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	switch {
	case r == '"' || r == '\\':
		return append(b, '\\', byte(r))
	case r == '\b':
		return append(b, `\b`...)
	case r == '\f':
		return append(b, `\f`...)
	case r == '\n':
		return append(b, `\n`...)
	case r == '\r':
		return append(b, `\r`...)
	case r == '\t':
		return append(b, `\t`...)
	case r < ' ' || utf16.IsSurrogate(r):
		return append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
	}
	return utf8.AppendRune(b, r)
}

// hex4 reads the four hex digits of an escape.
func hex4(s string) (r rune, ok bool) {
	if len(s) < 4 {
		return 0, false
	}
	for _, c := range []byte(s[:4]) {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// stringLen returns how many bytes of UTF-8 a string in canonical form stands
// for; half of a surrogate pair counts three.
func stringLen(s string) int {
	n := 0
	for i := 1; i < len(s)-1; i++ {
		n++
		if s[i] != '\\' {
			continue
		}
		i++
		if s[i] == 'u' {
			if s[i+1] == 'd' {
				n += 2
			}
			i += 4
		}
	}
	return n
}

// sameNumber tells whether two JSON numbers have the same value, exactly: they
// are compared as decimals, so none is too large or too small.
func sameNumber(a, b string) bool {
	if plain(a) && plain(b) {
		return a == b
	}
	var x, y [64]byte
	dx, ex, okx := decimal(x[:0], a)
	dy, ey, oky := decimal(y[:0], b)
	return okx && oky && ex == ey && string(dx) == string(dy)
}

// plain tells whether a number is written as its value most simply is: without a power,
// without zeros behind the point, and not as -0. Two of them differ when their texts do.
func plain(s string) bool {
	fraction := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case 'e', 'E':
			return false
		case '.':
			fraction = true
		}
	}
	last := s[len(s)-1]
	return last != '0' || !fraction && s != "-0"
}

// decimal takes a number apart: a sign and digits without zeros at either end,
// and the power of ten of the last digit. Zero has no digits. It gives up on a
// power that no computer would ever reach.
func decimal(b []byte, s string) (digits []byte, power int64, ok bool) {
	mantissa := s
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		var err error
		if power, err = strconv.ParseInt(s[i+1:], 10, 48); err != nil {
			return nil, 0, false
		}
		mantissa = s[:i]
	}
	if mantissa[0] == '-' {
		b = append(b, '-')
		mantissa = mantissa[1:]
	}
	sign := len(b)
	fraction := false
	for i := 0; i < len(mantissa); i++ {
		c := mantissa[i]
		if c == '.' {
			fraction = true
			continue
		}
		if fraction {
			power--
		}
		if c != '0' || len(b) > sign {
			b = append(b, c)
		}
	}
	for len(b) > sign && b[len(b)-1] == '0' {
		b = b[:len(b)-1]
		power++
	}
	if len(b) == sign {
		return nil, 0, true
	}
	return b, power, true
}
