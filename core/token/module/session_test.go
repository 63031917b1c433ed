package module

import (
	"errors"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"greengate/core/token"
)

// A PIN is never tried when that may lock the token. The signatures themselves are tested
// from outside, in core/token.
func TestPINThatIsNotTried(t *testing.T) {
	u := token.URI{Token: "t", Object: "k", PINFile: "/nowhere/pin"}
	for flags, want := range map[uint]string{
		pkcs11.CKF_LOGIN_REQUIRED | pkcs11.CKF_USER_PIN_FINAL_TRY: `takes one more PIN before it locks itself, so none is tried`,
		pkcs11.CKF_LOGIN_REQUIRED | pkcs11.CKF_USER_PIN_LOCKED:    `has locked its PIN`,
		pkcs11.CKF_LOGIN_REQUIRED | pkcs11.CKF_USER_PIN_COUNT_LOW: `read the PIN: `, // which is to try it
	} {
		if _, err := pinFor(u, pkcs11.TokenInfo{Flags: flags}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("flags %#x: %v, want %s", flags, err, want)
		}
	}
	u.PINFile = ""
	if pin, err := pinFor(u, pkcs11.TokenInfo{}); pin != "" || err != nil {
		t.Errorf("a token without a PIN: %q, %v", pin, err)
	}
}

func TestMeans(t *testing.T) {
	three, four := uint(3), uint(4)
	is := pkcs11.TokenInfo{Label: "my token  ", SerialNumber: "01", Model: "M", ManufacturerID: "Y"}
	for _, c := range []struct {
		u    token.URI
		want bool
	}{
		{token.URI{Token: "my token"}, true}, {token.URI{Token: "my"}, false},
		{token.URI{Serial: "01", Model: "M", Manufacturer: "Y", Slot: &three}, true},
		{token.URI{Serial: "02"}, false}, {token.URI{Token: "my token", Model: "N"}, false},
		{token.URI{Manufacturer: "Z"}, false}, {token.URI{Slot: &four}, false},
	} {
		if got := means(c.u, 3, is); got != c.want {
			t.Errorf("%+v: %v", c.u, got)
		}
	}
}

// What Serve cannot do stands in the answer; what is no request is its error.
func TestServe(t *testing.T) {
	var out strings.Builder
	in := `{"uri": "pkcs11:token=t;object=k", "scheme": "ecdsa", "hash": "MD5", "digest": "AAAA"}`
	if err := Serve(strings.NewReader(in), &out); err != nil || !strings.Contains(out.String(), `"MD5\" of 3 bytes is not used in TLS`) {
		t.Errorf("%s, %v", out.String(), err)
	}
	if err := Serve(strings.NewReader("PIN"), &out); err == nil || errors.As(err, new(*token.Error)) {
		t.Errorf("no request: %v", err)
	}
}
