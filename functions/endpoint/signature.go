package endpoint

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// keys are the credentials of one instance. They are worth nothing elsewhere.
type keys struct {
	id, secret, session string // of the AWS SDKs
	token               string // of the local calls of Greengrass V1
}

func newKeys() keys {
	random := func(n int) []byte {
		b := make([]byte, n)
		rand.Read(b) // never fails
		return b
	}
	return keys{
		id:      "ASIA" + base32.StdEncoding.EncodeToString(random(10)), // 20 characters, as AWS's
		secret:  base64.RawURLEncoding.EncodeToString(random(30)),       // 40
		session: base64.RawURLEncoding.EncodeToString(random(48)),
		token:   base64.RawURLEncoding.EncodeToString(random(30)),
	}
}

// Names of Signature Version 4.
const (
	algorithm       = "AWS4-HMAC-SHA256"
	service         = "iotdata"
	unsignedPayload = "UNSIGNED-PAYLOAD"
	amzTime         = "20060102T150405Z"
)

// maxSkew is how far the clock of a signature may be off. It is the same clock,
// but it may be set in between.
const maxSkew = 15 * time.Minute

// unsigned is why a request is refused: the names are those of all services of
// AWS (AWS, "Common error types").
type unsigned struct{ Type, Message string }

func (u *unsigned) Error() string { return u.Message }

func badSignature(format string, args ...any) *unsigned {
	return &unsigned{"InvalidSignatureException", fmt.Sprintf(format, args...)}
}

func incomplete(format string, args ...any) *unsigned {
	return &unsigned{"IncompleteSignatureException", fmt.Sprintf(format, args...)}
}

// verifier checks signatures in the Authorization header. Presigned URLs are not
// for this service. Safe for concurrent use.
type verifier struct {
	keys keys
	now  func() time.Time
}

// verify returns nil, or an *unsigned.
func (v *verifier) verify(r *http.Request, body []byte) error {
	a, err := parseAuthorization(r.Header.Get("Authorization"))
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(a.key), []byte(v.keys.id)) != 1 {
		return &unsigned{"UnrecognizedClientException", "The security token included in the request is invalid."}
	}
	if token := r.Header.Get("X-Amz-Security-Token"); token != "" && subtle.ConstantTimeCompare([]byte(token), []byte(v.keys.session)) != 1 {
		return &unsigned{"UnrecognizedClientException", "The security token included in the request is invalid."}
	}
	if a.service != service {
		return badSignature("Credential should be scoped to correct service: '%s'.", service)
	}
	at, stamp, err := signedAt(r.Header)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(stamp, a.date) {
		return badSignature("Date in Credential scope does not match the date of the request: %q is not that of %q", a.date, stamp)
	}
	if d := v.now().Sub(at); d > maxSkew || d < -maxSkew {
		return badSignature("Signature expired: it is %v off the time here", d.Round(time.Second))
	}
	hash, err := payloadHash(r.Header, body)
	if err != nil {
		return err
	}
	canonical, err := canonicalRequest(r, a.headers, hash)
	if err != nil {
		return err
	}
	if !hmac.Equal(a.signature, v.sign(a, stamp, canonical)) {
		return badSignature("The request signature we calculated does not match the signature you provided. " +
			"Check your AWS Secret Access Key and signing method.")
	}
	return nil
}

// sign is the signature of a canonical request.
func (v *verifier) sign(a authorization, stamp string, canonical []byte) []byte {
	sum := sha256.Sum256(canonical)
	text := algorithm + "\n" + stamp + "\n" + a.date + "/" + a.region + "/" + a.service + "/aws4_request\n" + hex.EncodeToString(sum[:])
	key := []byte("AWS4" + v.keys.secret)
	for _, part := range []string{a.date, a.region, a.service, "aws4_request", text} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return key
}

// authorization is the header of that name.
type authorization struct {
	key, date, region, service string
	headers                    []string // the signed ones, in lower case, as they stand there
	signature                  []byte
}

func parseAuthorization(header string) (a authorization, err error) {
	if header == "" {
		return a, &unsigned{"MissingAuthenticationTokenException", "Missing Authentication Token"}
	}
	rest, ok := strings.CutPrefix(header, algorithm)
	if !ok {
		return a, incomplete("Authorization header requires the algorithm %s", algorithm)
	}
	for field := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			scope := strings.Split(value, "/")
			if len(scope) != 5 || scope[4] != "aws4_request" {
				return a, incomplete("Credential must have the form KEY/DATE/REGION/SERVICE/aws4_request")
			}
			a.key, a.date, a.region, a.service = scope[0], scope[1], scope[2], scope[3]
		case "SignedHeaders":
			a.headers = strings.Split(value, ";")
		case "Signature":
			if a.signature, err = hex.DecodeString(value); err != nil {
				return a, incomplete("Signature must be hexadecimal")
			}
		}
	}
	if a.key == "" || len(a.date) != 8 || a.headers == nil || a.signature == nil {
		return a, incomplete("Authorization header requires Credential, SignedHeaders and Signature")
	}
	if !slices.Contains(a.headers, "host") {
		return a, incomplete("SignedHeaders must hold host")
	}
	return a, nil
}

// signedAt is the time of the request, and how it is written.
func signedAt(h http.Header) (at time.Time, stamp string, err error) {
	stamp = h.Get("X-Amz-Date")
	if stamp == "" { // then it is the Date of HTTP
		if at, err = http.ParseTime(h.Get("Date")); err != nil {
			return at, "", incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
		}
		return at, at.UTC().Format(amzTime), nil
	}
	if at, err = time.Parse(amzTime, stamp); err != nil {
		return at, "", incomplete("Date must be in ISO-8601 'basic format'.")
	}
	return at, stamp, nil
}

// payloadHash is what the signature holds of the body.
func payloadHash(h http.Header, body []byte) (string, error) {
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	switch told := h.Get("X-Amz-Content-Sha256"); told {
	case "", hash:
		return hash, nil
	case unsignedPayload:
		return unsignedPayload, nil
	}
	return "", badSignature("The provided 'x-amz-content-sha256' header does not match what was computed.")
}

// canonicalRequest is the request as it was signed (AWS, "Create a signed AWS API
// request", step 1).
func canonicalRequest(r *http.Request, signed []string, payload string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(r.Method + "\n" + escape(r.URL.EscapedPath(), true) + "\n")
	query, err := canonicalQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	b.WriteString(query + "\n")
	for _, name := range signed {
		b.WriteString(name + ":" + headerValue(r, name) + "\n")
	}
	// What bears a meaning to AWS must not be added on the way.
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") && !slices.Contains(signed, lower) && lower != "x-amz-security-token" {
			return nil, badSignature("There is a header %s that is not signed", lower)
		}
	}
	b.WriteString("\n" + strings.Join(signed, ";") + "\n" + payload)
	return b.Bytes(), nil
}

// headerValue is a header as it is signed: its values, without spaces around
// them, and with single ones between words.
func headerValue(r *http.Request, name string) string {
	switch name {
	case "host":
		return r.Host
	case "content-length": // net/http may have taken it out
		return strconv.FormatInt(max(r.ContentLength, 0), 10)
	}
	values := slices.Clone(r.Header.Values(name))
	for i, v := range values {
		values[i] = strings.Join(strings.FieldsFunc(v, func(c rune) bool { return c == ' ' }), " ")
	}
	return strings.Join(values, ",")
}

func canonicalQuery(raw string) (string, error) {
	if raw == "" {
		return "", nil
	}
	var fields [][2]string
	for field := range strings.SplitSeq(raw, "&") {
		if field == "" {
			continue
		}
		name, value, _ := strings.Cut(field, "=")
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return "", badSignature("the query of the URL is malformed")
		}
		fields = append(fields, [2]string{escape(n, false), escape(v, false)})
	}
	slices.SortFunc(fields, func(a, b [2]string) int {
		return strings.Compare(a[0]+"\x00"+a[1], b[0]+"\x00"+b[1])
	})
	text := make([]string, len(fields))
	for i, f := range fields {
		text[i] = f[0] + "=" + f[1]
	}
	return strings.Join(text, "&"), nil
}

// escape is AWS's URI encoding: all but the unreserved characters of RFC 3986,
// and slashes where they divide a path.
func escape(s string, slashes bool) string {
	const hexadecimal = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~', c == '/' && slashes:
			b.WriteByte(c)
		default:
			b.WriteString("%" + string(hexadecimal[c>>4]) + string(hexadecimal[c&15]))
		}
	}
	return b.String()
}
