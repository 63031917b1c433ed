package endpoint_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Requests that are signed wrongly, or changed on the way, are refused as in AWS.
func TestSignatures(t *testing.T) {
	h, d := dataHouse(t)
	credentials := aws.Credentials{AccessKeyID: h.variable(t, "AWS_ACCESS_KEY_ID"), SecretAccessKey: h.variable(t, "AWS_SECRET_ACCESS_KEY")}
	type signing struct {
		service, hash string
		at            time.Time
	}
	const mismatch = "InvalidSignatureException"
	for _, c := range []struct {
		name   string
		sign   func(*signing)
		change func(*http.Request)
		code   string // "": it is good
	}{
		{name: "good, without a session"},
		{name: "five minutes off", sign: func(s *signing) { s.at = s.at.Add(-5 * time.Minute) }},
		{name: "an hour off", sign: func(s *signing) { s.at = s.at.Add(-time.Hour) }, code: mismatch},
		{name: "an hour ahead", sign: func(s *signing) { s.at = s.at.Add(time.Hour) }, code: mismatch},
		{name: "another service", sign: func(s *signing) { s.service = "s3" }, code: mismatch},
		{name: "unsigned payload", sign: func(s *signing) { s.hash = "UNSIGNED-PAYLOAD" },
			change: func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") }, code: mismatch}, // that header must be signed
		{name: "another body", sign: func(s *signing) { s.hash = strings.Repeat("0", 64) }, code: mismatch},
		{name: "another method", change: func(r *http.Request) { r.Method = "PUT" }, code: mismatch},
		{name: "another path", change: func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/topics/b", "" }, code: mismatch},
		{name: "another query", change: func(r *http.Request) { r.URL.RawQuery = "retain=true" }, code: mismatch},
		{name: "another host", change: func(r *http.Request) { r.Host = "x" }, code: mismatch},
		{name: "a header of AWS more", change: func(r *http.Request) { r.Header.Set("X-Amz-Mqtt5-Correlation-Data", "YQ==") }, code: mismatch},
		{name: "a header more", change: func(r *http.Request) { r.Header.Set("X-Other", "1") }},
		{name: "no signature", change: func(r *http.Request) { r.Header.Del("Authorization") }, code: "MissingAuthenticationTokenException"},
		{name: "another algorithm", change: authorization("AWS4-HMAC-SHA256", "Basic"), code: "IncompleteSignatureException"},
		{name: "host not signed", change: authorization("host;", ""), code: "IncompleteSignatureException"},
		{name: "no date", change: func(r *http.Request) { r.Header.Del("X-Amz-Date") }, code: "IncompleteSignatureException"},
		{name: "a date that is none", change: func(r *http.Request) { r.Header.Set("X-Amz-Date", "today") }, code: "IncompleteSignatureException"},
		{name: "a scope that is none", change: authorization("/aws4_request", ""), code: "IncompleteSignatureException"},
		{name: "no hexadecimal", change: authorization("Signature=", "Signature=x"), code: "IncompleteSignatureException"},
		{name: "another date", change: func(r *http.Request) {
			authorization("/"+r.Header.Get("X-Amz-Date")[:8]+"/", "/20010101/")(r)
		}, code: mismatch},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := `{"a":1}`
			sum := sha256.Sum256([]byte(body))
			s := signing{"iotdata", hex.EncodeToString(sum[:]), time.Now()}
			if c.sign != nil {
				c.sign(&s)
			}
			r, err := http.NewRequest("POST", "http://"+h.Address()+"/topics/a?qos=1&b=%2F", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Words", "  two   words ")
			if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, s.hash, s.service, "eu-west-1", s.at); err != nil {
				t.Fatal(err)
			}
			if c.change != nil {
				c.change(r)
			}
			asked := len(d.asked)
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case c.code == "":
				if answer.StatusCode != 200 || len(d.asked) != asked+1 {
					t.Errorf("refused: %s %s", answer.Status, text)
				}
			case len(d.asked) != asked:
				t.Error("the data plane was asked")
			case answer.StatusCode != 403 || answer.Header.Get("X-Amzn-Errortype") != c.code ||
				!strings.HasPrefix(string(text), `{"message":"`) || len(answer.Header.Get("X-Amzn-Requestid")) != 36:
				t.Errorf("%s %v %s; want %s", answer.Status, answer.Header, text, c.code)
			}
		})
	}
	if n := strings.Count(h.log.String(), "reason=function-signature"); n != 1 {
		t.Errorf("the refusals are logged %d times", n)
	}
}

func authorization(old, with string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, with, 1))
	}
}

// A client that does not want to read its body twice says so in a signed header.
func TestUnsignedPayload(t *testing.T) {
	h, d := dataHouse(t)
	credentials := aws.Credentials{AccessKeyID: h.variable(t, "AWS_ACCESS_KEY_ID"), SecretAccessKey: h.variable(t, "AWS_SECRET_ACCESS_KEY")}
	r, err := http.NewRequest("POST", "http://"+h.Address()+"/topics/a", io.MultiReader(strings.NewReader("in"), strings.NewReader("chunks")))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, "UNSIGNED-PAYLOAD", "iotdata", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 200 || len(d.asked) != 1 || d.asked[0] != "POST /topics/a? inchunks <nil>" {
		t.Errorf("%s, asked %q", answer.Status, d.asked)
	}
}

func TestLargeRequest(t *testing.T) {
	h, d := dataHouse(t)
	answer, text := h.do(t, "POST", "/topics/a", strings.NewReader(strings.Repeat("x", 256<<10+1)))
	if answer.StatusCode != 413 || answer.Header.Get("X-Amzn-Errortype") != "RequestEntityTooLargeException" || len(d.asked) > 0 {
		t.Errorf("%s %s", answer.Status, text)
	}
	h.noted(t, "function-too-large")
}
