package shadows

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// Halves of surrogate pairs are values like others: no two of them are one key, or
// equal.
func TestHalvesOfSurrogatePairs(t *testing.T) {
	n := mustParse(t, `{"\ud800":1,"\uDBFF":2,"\udfff":3,"\ufffd":4,"\ud83d\ude00":5,"x\ud83d":6,"\ud83dx\ude00":7}`)
	if want := `{"\ud800":1,"\udbff":2,"\udfff":3,"` + "\ufffd" + `":4,"😀":5,"x\ud83d":6,"\ud83dx\ude00":7}`; string(n.json()) != want {
		t.Errorf("read and written: %s, want %s", n.json(), want)
	}
	from, to := mustDocument(t, `{"reported":{"v":"\ud800","\ud800":1}}`), mustDocument(t, `{"reported":{"v":"\ud802","\ud801":1}}`)
	if got, want := string(difference(from, to).json()), `{"reported":{"v":"\ud802","\ud801":1,"\ud800":null}}`; got != want {
		t.Errorf("the difference is %s, want %s", got, want)
	}
	if !equal(mustParse(t, `"\uD800"`), mustParse(t, `"\ud800"`)) {
		t.Error("a half in capitals is another")
	}
}

// Strings are decoded as encoding/json does, but for what it cannot keep; what is
// written again is the same.
func FuzzUnquote(f *testing.F) {
	for _, s := range []string{`""`, `"a\/\b\f\n\r\t\"\\"`, `"\u00e9é\u0000"`, `"\ud83d\ude00\ud83d\ud83d\ude00\ude00"`, `"\ud83d\u0041\ud83d\n"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parse(s)
		if err != nil || n.kind != text {
			return // no JSON string
		}
		got := unquote(n.text)
		var want string
		if err := json.Unmarshal([]byte(n.text), &want); err != nil {
			t.Fatal(err)
		}
		if utf8.ValidString(got) && got != want {
			t.Errorf("%s is %q, want %q", s, got, want)
		}
		if !utf8.ValidString(got) && !strings.ContainsRune(want, utf8.RuneError) {
			t.Errorf("%s is %q, which is no UTF-8", s, got)
		}
		again := string(appendString(nil, got))
		if !json.Valid([]byte(again)) || !utf8.ValidString(again) || unquote(again) != got {
			t.Errorf("%s was written as %s", s, again)
		}
	})
}
