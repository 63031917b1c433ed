package dataplane

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"
)

// params are the parameters in the URL, read one by one: the first that is
// wrong is the error.
type params struct {
	values url.Values
	err    error
}

func (c *call) params() *params {
	values, err := url.ParseQuery(c.r.URL.RawQuery)
	p := &params{values: values}
	if err != nil {
		p.err = invalid("the query of the URL is malformed")
	}
	return p
}

func (p *params) fail(format string, args ...any) {
	if p.err == nil {
		p.err = invalid(format, args...)
	}
}

// text returns a parameter that can travel in an MQTT packet.
func (p *params) text(name string) string {
	s := p.values.Get(name)
	if !packable(s) {
		p.fail("%s is not UTF-8, holds U+0000 or is too long", name)
	}
	return s
}

// number returns a parameter from lo to hi, and whether it was there.
func (p *params) number(name string, lo, hi int64) (n int64, given bool) {
	s := p.values.Get(name)
	if s == "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < lo || n > hi {
		p.fail("%s must be a number from %d to %d", name, lo, hi)
		return 0, false
	}
	return n, true
}

// flag returns a parameter that is true or false; false when it is not there.
func (p *params) flag(name string) bool {
	switch strings.ToLower(p.values.Get(name)) { // Python's is True in other clients
	case "true":
		return true
	case "", "false":
		return false
	}
	p.fail("%s must be true or false", name)
	return false
}

// maxText is the longest string, or binary data, of an MQTT packet in bytes [MQTT-1.5.4, -1.5.6].
const maxText = 65535

// packable tells whether s can be a string of an MQTT packet [MQTT-1.5.4-1, -2].
func packable(s string) bool {
	return len(s) <= maxText && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// body reads the body of the request, which may have so many bytes.
func (c *call) body(limit int) ([]byte, error) {
	if c.r.ContentLength > int64(limit) {
		return nil, tooLarge(limit)
	}
	body, err := io.ReadAll(io.LimitReader(c.r.Body, int64(limit)+1))
	switch {
	case err != nil && errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &Error{Status: http.StatusRequestTimeout, Type: typeInvalid, Message: "the body of the request took too long", reason: reasonBody, closes: true}
	case err != nil:
		return nil, &Error{Status: http.StatusBadRequest, Type: typeInvalid, Message: "the body of the request could not be read", reason: reasonBody, closes: true}
	case len(body) > limit:
		return nil, tooLarge(limit)
	}
	return body, nil
}
