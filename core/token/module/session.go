package module

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/miekg/pkcs11"

	"greengate/core/token"
)

// maxPIN bounds what is read of the file with the PIN, in bytes.
const maxPIN = 1024

// sign opens the token, and has it sign.
func sign(r token.Request) ([]byte, error) {
	u, err := token.Parse(r.URI)
	if err != nil {
		return nil, err
	}
	how, err := mechanism(r)
	if err != nil {
		return nil, err
	}
	m, err := open(u)
	if err != nil {
		return nil, err
	}
	defer func() { _ = m.Finalize() }() // ends sessions and logins, too
	slot, info, err := findToken(m, u)
	if err != nil {
		return nil, err
	}
	pin, err := pinFor(u, info)
	if err != nil {
		return nil, err
	}
	session, err := m.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION)
	if err != nil {
		return nil, explain(u, "open", err)
	}
	if pin != "" {
		if err := login(m, session, u, pkcs11.CKU_USER, pin); err != nil {
			return nil, err
		}
	}
	key, err := findKey(m, session, u, how.kind)
	if err != nil {
		return nil, err
	}
	if err := m.SignInit(session, []*pkcs11.Mechanism{how.mechanism}, key); err != nil {
		return nil, explain(u, "sign with", err)
	}
	if pin != "" && wantsPINAgain(m, session, key) {
		if err := login(m, session, u, pkcs11.CKU_CONTEXT_SPECIFIC, pin); err != nil {
			return nil, err
		}
	}
	signature, err := m.Sign(session, how.input)
	if err != nil {
		return nil, explain(u, "sign with", err)
	}
	return how.encode(signature)
}

// pinFor reads the PIN; "" is to log in nowhere.
func pinFor(u token.URI, info pkcs11.TokenInfo) (string, error) {
	switch {
	case u.PINFile == "" && info.Flags&pkcs11.CKF_LOGIN_REQUIRED == 0:
		return "", nil
	case u.PINFile == "":
		return "", problem(fmt.Sprintf("the token %s wants a PIN", u.TokenName()), "add ?pin-source=file:/etc/greengate/pin to the URI")
	case info.Flags&pkcs11.CKF_USER_PIN_LOCKED != 0:
		return "", locked(u)
	case info.Flags&pkcs11.CKF_USER_PIN_FINAL_TRY != 0:
		return "", problem(fmt.Sprintf("the token %s takes one more PIN before it locks itself, so none is tried", u.TokenName()),
			"log in by hand with the right one, which gives it all tries back: `pkcs11-tool -l -O`")
	}
	file, err := os.Open(u.PINFile)
	if err != nil {
		return "", absent(fmt.Sprintf("read the PIN: %v", err), "the file must be readable by the user of greengate, and by nobody else")
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxPIN))
	if err != nil {
		return "", absent(fmt.Sprintf("read the PIN: %v", err), "")
	}
	pin := bytes.TrimRight(text, "\r\n")
	if len(pin) == 0 {
		return "", problem(fmt.Sprintf("the file of the PIN %s is empty", u.PINFile), "write the PIN into it, and nothing else")
	}
	return string(pin), nil
}

func locked(u token.URI) error {
	return problem(fmt.Sprintf("the token %s has locked its PIN, since it was wrong too often", u.TokenName()), "unlock it with its PUK or SO PIN")
}

func login(m *pkcs11.Ctx, session pkcs11.SessionHandle, u token.URI, user uint, pin string) error {
	err := m.Login(session, user, pin)
	var code pkcs11.Error
	errors.As(err, &code)
	switch {
	case err == nil || code == pkcs11.CKR_USER_ALREADY_LOGGED_IN:
		return nil
	case code == pkcs11.CKR_PIN_INCORRECT || code == pkcs11.CKR_PIN_INVALID || code == pkcs11.CKR_PIN_LEN_RANGE || code == pkcs11.CKR_PIN_EXPIRED:
		return &token.Error{
			Problem: fmt.Sprintf("the token %s does not take the PIN in %s", u.TokenName(), u.PINFile), Refused: true,
			Hint: "mend the file, then restart greengate: a PIN is not tried twice, since tokens lock themselves",
		}
	case code == pkcs11.CKR_PIN_LOCKED:
		return locked(u)
	case code == pkcs11.CKR_USER_PIN_NOT_INITIALIZED:
		return problem(fmt.Sprintf("the token %s has no PIN yet", u.TokenName()), "set one: `pkcs11-tool --init-pin`")
	}
	return explain(u, "log in to", err)
}

// findKey returns the one private key that u means. kind is that of the certificate's key.
func findKey(m *pkcs11.Ctx, session pkcs11.SessionHandle, u token.URI, kind uint) (pkcs11.ObjectHandle, error) {
	want := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY)}
	if u.Object != "" {
		want = append(want, pkcs11.NewAttribute(pkcs11.CKA_LABEL, u.Object))
	}
	if u.ID != nil {
		want = append(want, pkcs11.NewAttribute(pkcs11.CKA_ID, u.ID))
	}
	found, err := find(m, session, append(want, pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, kind)))
	if err != nil {
		return 0, explain(u, "look for the key in", err)
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return 0, problem(fmt.Sprintf("the token %s has more than one private key %s", u.TokenName(), u.KeyName()), "add id=%01 or the like; `pkcs11-tool -l -O` shows the ids")
	}
	if others, err := find(m, session, want); err == nil && len(others) > 0 {
		return 0, problem(fmt.Sprintf("the key %s of the token %s is of another kind than that of the certificate", u.KeyName(), u.TokenName()),
			"get a certificate for this key, or name the key of the certificate")
	}
	return 0, problem(fmt.Sprintf("the token %s has no private key %s", u.TokenName(), u.KeyName()), "`pkcs11-tool -l -O` lists what it has")
}

func find(m *pkcs11.Ctx, session pkcs11.SessionHandle, want []*pkcs11.Attribute) ([]pkcs11.ObjectHandle, error) {
	if err := m.FindObjectsInit(session, want); err != nil {
		return nil, err
	}
	found, _, err := m.FindObjects(session, 2)
	return found, errors.Join(err, m.FindObjectsFinal(session))
}

// wantsPINAgain tells whether the key wants the PIN for each signature (the slot 9c of a PIV card).
func wantsPINAgain(m *pkcs11.Ctx, session pkcs11.SessionHandle, key pkcs11.ObjectHandle) bool {
	is, err := m.GetAttributeValue(session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_ALWAYS_AUTHENTICATE, nil)})
	return err == nil && len(is) == 1 && len(is[0].Value) > 0 && is[0].Value[0] != 0
}

// explain puts an error of the module in the words of a person, as far as it is known what is
// behind it.
func explain(u token.URI, doing string, err error) error {
	text := fmt.Sprintf("%s the token %s: %v", doing, u.TokenName(), err)
	switch {
	case errors.Is(err, pkcs11.Error(pkcs11.CKR_MECHANISM_INVALID)), errors.Is(err, pkcs11.Error(pkcs11.CKR_MECHANISM_PARAM_INVALID)):
		return problem(text, "TLS 1.3 wants RSA-PSS of an RSA key, which not every token can: use a key on the curve P-256")
	case errors.Is(err, pkcs11.Error(pkcs11.CKR_KEY_FUNCTION_NOT_PERMITTED)), errors.Is(err, pkcs11.Error(pkcs11.CKR_KEY_TYPE_INCONSISTENT)):
		return problem(text, "make the key anew, as one that signs")
	}
	return absent(text, "")
}
