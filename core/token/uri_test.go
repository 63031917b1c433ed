package token

import (
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	slot := uint(3)
	for text, want := range map[string]URI{
		"pkcs11:token=greengate;object=core;type=private?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/greengate/pin": {
			Token: "greengate", Object: "core", Module: "/usr/lib/softhsm/libsofthsm2.so", PINFile: "/etc/greengate/pin"},
		"PKCS11:token=My%20token;id=%01%FF":                                {Token: "My token", ID: []byte{1, 0xff}},
		"pkcs11:serial=0a1b;manufacturer=Y+Z;model=M%3B2;object=a%2Fb":     {Serial: "0a1b", Manufacturer: "Y+Z", Model: "M;2", Object: "a/b"},
		"pkcs11:slot-id=3;object=k;?pin-source=file:///a%20b/../pin":       {Slot: &slot, Object: "k", PINFile: "/pin"},
		"pkcs11:token=t;object=k?pin-source=/etc/pin":                      {Token: "t", Object: "k", PINFile: "/etc/pin"},
		"pkcs11:token=t;object=k?pin-source=file://localhost/etc/pin&":     {Token: "t", Object: "k", PINFile: "/etc/pin"},
		"pkcs11:object=core;token=with=equals;type=private?module-path=/m": {Token: "with=equals", Object: "core", Module: "/m"},
	} {
		got, err := Parse(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v, %v\nwant %+v", text, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"core.private.key":                                      "this is no URI",
		"pkcs11:":                                               "which token",
		"pkcs11:object=core":                                    "which token the key is (write token=LABEL",
		"pkcs11:token=t":                                        "which key of the token (write object=LABEL or id=%01)",
		"pkcs11:token=t;object=k?pin-value=1234":                "a PIN does not belong in the group file (write pin-source=file:/etc/greengate/pin",
		"pkcs11:token=t;pin-value=1234;object=k":                "a PIN does not belong",
		"pkcs11:token=t;object=k?pin-source=file:pin":           "pin-source is no absolute path (write pin-source=file:/etc/greengate/pin)",
		"pkcs11:token=t;object=k?pin-source=|/bin/pin":          "names a program",
		"pkcs11:token=t;object=k?pin-source=%7C/bin/pin":        "names a program",
		"pkcs11:token=t;object=k?module-path=lib.so":            "module-path is no absolute path",
		"pkcs11:token=t;object=k?module-name=softhsm2":          "write module-path=",
		"pkcs11:token=t;object=k;module-path=/m":                "module-path stands before the `?`",
		"pkcs11:token=t?object=k":                               "object stands after the `?`",
		"pkcs11:token=t;token=u;object=k":                       "token stands there twice",
		"pkcs11:token=t;object":                                 "object has no value",
		"pkcs11:token=;object=k":                                "token has no value (write token=VALUE)",
		"pkcs11:token=t;object=%4":                              "the value of object is no part of a URI",
		"pkcs11:token=my token;object=k":                        "%20 for a space",
		"pkcs11:token=t;object=k;type=cert":                     "type=cert is no private key (write type=private",
		"pkcs11:slot-id=one;object=k":                           "slot-id is no number",
		"pkcs11:tokne=t;object=k":                               `"tokne" is not known here (known are token, serial,`,
		"pkcs11:token=t;object=k?pin-sauce=x":                   `"pin-sauce" is not known here (known are module-path, pin-source, divided by`,
		"pkcs11:token=t;object=k?module-path=/m;pin-source=/p?": "", // one path with a strange name
	} {
		_, err := Parse(text)
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "1234") {
			t.Errorf("%s: the error has the PIN: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("pkcs11:token=greengate;object=core;type=private?module-path=/m.so&pin-source=file:/pin")
	f.Add("pkcs11:slot-id=1;id=%00%ff?pin-value=1")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := Parse(s)
		if err != nil {
			return
		}
		if !IsURI(s) || u.TokenName() == "" || u.KeyName() == "" || u.Module != "" && u.Module[0] != '/' || u.PINFile != "" && u.PINFile[0] != '/' {
			t.Errorf("%q gives %+v", s, u)
		}
	})
}
