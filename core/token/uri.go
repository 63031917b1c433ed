package token

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const scheme = "pkcs11:"

// IsURI reports whether s names a key in a token, and not a file.
func IsURI(s string) bool {
	return len(s) >= len(scheme) && strings.EqualFold(s[:len(scheme)], scheme)
}

// URI says where a private key is (RFC 7512). A part that is empty does not matter.
type URI struct {
	// The token, by what it says of itself.
	Token, Serial, Model, Manufacturer string
	Slot                               *uint
	// The key: its label and its id.
	Object string
	ID     []byte
	// Module is the absolute path of the shared library that knows the token; empty: the
	// proxy of p11-kit, which knows all tokens that this machine is told of.
	Module string
	// PINFile is the absolute path of the file with the PIN; empty: the token wants none.
	PINFile string
}

// Attributes of a URI: those of the path, and those of the query.
var (
	pathWords  = []string{"token", "serial", "model", "manufacturer", "slot-id", "object", "id", "type"}
	queryWords = []string{"module-path", "pin-source"}
)

// Parse reads the URI of a private key. An error is an *Error that says what is wrong and
// what to write instead; it never holds the value of pin-value.
func Parse(s string) (URI, error) {
	if !IsURI(s) {
		return URI{}, problem("this is no URI of a key in a token", "write pkcs11:token=LABEL;object=LABEL?pin-source=file:/PATH")
	}
	path, query, _ := strings.Cut(s[len(scheme):], "?")
	var u URI
	seen := map[string]bool{}
	for _, part := range []struct{ text, separator string }{{path, ";"}, {query, "&"}} {
		for attribute := range strings.SplitSeq(part.text, part.separator) {
			if attribute == "" {
				continue
			}
			name, value, found := strings.Cut(attribute, "=")
			if err := misplaced(name, found, part.separator == "&"); err != nil {
				return URI{}, err
			}
			if seen[name] {
				return URI{}, problem(fmt.Sprintf("%s stands there twice", name), "once is enough")
			}
			seen[name] = true
			if err := u.set(name, value); err != nil {
				return URI{}, err
			}
		}
	}
	switch {
	case u.Token == "" && u.Serial == "" && u.Slot == nil:
		return URI{}, problem("it does not say in which token the key is", "write token=LABEL; `pkcs11-tool -T` lists what there is")
	case u.Object == "" && u.ID == nil:
		return URI{}, problem("it does not say which key of the token", "write object=LABEL or id=%01")
	}
	return u, nil
}

// misplaced tells what is wrong with the name of an attribute.
func misplaced(name string, found, inQuery bool) error {
	here, there, separator := pathWords, queryWords, "`;`, before the `?`"
	if inQuery {
		here, there, separator = queryWords, pathWords, "`&`, after the `?`"
	}
	switch {
	case name == "pin-value":
		return problem("a PIN does not belong in the group file", "write pin-source=file:/etc/greengate/pin, and the PIN alone into that file, of mode 0600")
	case !found && len(name) > 0 && slices.Contains(slices.Concat(here, there), name):
		return problem(fmt.Sprintf("%s has no value", name), fmt.Sprintf("write %s=VALUE", name))
	case slices.Contains(here, name):
		return nil
	case slices.Contains(there, name) && inQuery:
		return problem(fmt.Sprintf("%s stands after the `?`", name), "what names token and key stands before it, divided by `;`")
	case slices.Contains(there, name):
		return problem(fmt.Sprintf("%s stands before the `?`", name), "module-path and pin-source stand after it, divided by `&`")
	case name == "module-name":
		return problem("module-name is not used here", "write module-path=/PATH/OF/MODULE.so")
	}
	return problem(fmt.Sprintf("%.40q is not known here", name), fmt.Sprintf("known are %s, divided by %s", strings.Join(here, ", "), separator))
}

// set takes over one attribute.
func (u *URI) set(name, value string) error {
	text, err := url.PathUnescape(value)
	if err != nil || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return problem(fmt.Sprintf("the value of %s is no part of a URI", name), "write other characters as %20 for a space, %3B for a semicolon, %25 for a percent sign")
	}
	if text == "" {
		return problem(fmt.Sprintf("%s has no value", name), fmt.Sprintf("write %s=VALUE", name))
	}
	switch name {
	case "token":
		u.Token = text
	case "serial":
		u.Serial = text
	case "model":
		u.Model = text
	case "manufacturer":
		u.Manufacturer = text
	case "object":
		u.Object = text
	case "id":
		u.ID = []byte(text)
	case "type":
		if text != "private" {
			return problem(fmt.Sprintf("type=%.20s is no private key", text), "write type=private, or leave it out")
		}
	case "slot-id":
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return problem("slot-id is no number", "`pkcs11-tool -L` lists the slots; token=LABEL is safer, as numbers change")
		}
		slot := uint(n)
		u.Slot = &slot
	case "module-path":
		return u.setPath(&u.Module, name, text, "/usr/lib/softhsm/libsofthsm2.so")
	case "pin-source":
		if strings.HasPrefix(text, "|") {
			return problem("pin-source names a program", "write pin-source=file:/PATH: a program is not started")
		}
		return u.setPath(&u.PINFile, name, filePath(text), "file:/etc/greengate/pin")
	}
	return nil
}

// setPath takes over a path. Relative ones are refused: other programs that read the same URI
// would not look beside the group file.
func (u *URI) setPath(to *string, name, path, example string) error {
	if !filepath.IsAbs(path) {
		return problem(fmt.Sprintf("%s is no absolute path", name), fmt.Sprintf("write %s=%s", name, example))
	}
	*to = filepath.Clean(path)
	return nil
}

// filePath is the path in a file URI (RFC 8089: file:/PATH, file:///PATH), or s itself.
func filePath(s string) string {
	if rest, ok := strings.CutPrefix(s, "file:"); ok {
		return strings.TrimPrefix(strings.TrimPrefix(rest, "//localhost"), "//")
	}
	return s
}

// KeyName is how a person calls the key.
func (u URI) KeyName() string {
	var words []string
	if u.Object != "" {
		words = append(words, strconv.Quote(u.Object))
	}
	if u.ID != nil {
		words = append(words, "with the id "+hex.EncodeToString(u.ID))
	}
	return strings.Join(words, " ")
}

// TokenName is how a person calls the token.
func (u URI) TokenName() string {
	switch {
	case u.Token != "":
		return strconv.Quote(u.Token)
	case u.Serial != "":
		return "with the serial number " + u.Serial
	}
	return fmt.Sprintf("in slot %d", *u.Slot)
}
