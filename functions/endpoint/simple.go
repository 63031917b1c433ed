package endpoint

import (
	"bytes"
	"net/url"
	"strings"
)

// simple is a request of a runtime client as they all write it.
type simple struct {
	method string
	url    *url.URL
	host   string
	body   []byte // part of what was parsed, or a copy
}

// parsed says what was read.
type parsed int

const (
	whole   parsed = iota // a simple request
	partial               // the beginning of one
	unusual               // anything else
)

const (
	nextHead     = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n"
	responseHead = "POST /2018-06-01/runtime/invocation/"
	responseTail = "/response HTTP/1.1"
	invocations  = "/2018-06-01/runtime/invocation/"
)

var nextURL = &url.URL{Path: "/2018-06-01/runtime/invocation/next"}

// maxHead is the longest head of a simple request, in bytes.
const maxHead = 2 << 10

// parseSimple reads the first request of in, and how long it is. It takes only what
// leaves no room for another reading (RFC 9112): headers that every client sends, each at
// most once where it says where the request ends, and a body of which that is said in one
// way. Trailers are unusual.
func parseSimple(in []byte) (r simple, size int, what parsed) {
	end := bytes.Index(in[:min(len(in), maxHead)], []byte("\r\n\r\n"))
	if end < 0 {
		if len(in) < maxHead && (begins(in, nextHead) || begins(in, responseHead)) {
			return r, 0, partial
		}
		return r, 0, unusual
	}
	line, head, _ := strings.Cut(string(in[:end+2]), "\r\n")
	h := simpleHead{length: -1}
	if !h.requestLine(&r, line) || !h.lines(head) || h.host == "" {
		return r, 0, unusual
	}
	r.host = h.host
	size = end + 4
	if r.method == "GET" {
		if h.chunked || h.length >= 0 || h.trailer {
			return r, 0, unusual
		}
		return r, size, whole
	}
	switch {
	case h.chunked == (h.length >= 0), h.trailer && !h.chunked, h.length > directLargest-size:
		return r, 0, unusual
	case h.chunked:
		body, length, what := parseChunks(in[size:])
		r.body = body
		return r, size + length, what
	case len(in) < size+h.length:
		return r, 0, partial
	}
	r.body = in[size : size+h.length : size+h.length]
	return r, size + h.length, whole
}

// begins tells whether one of the two begins with the other.
func begins(in []byte, head string) bool {
	n := min(len(in), len(head))
	return string(in[:n]) == head[:n]
}

// simpleHead is what the head of a request says.
type simpleHead struct {
	host    string
	length  int // -1: not said
	chunked bool
	trailer bool // announced
}

func (h *simpleHead) requestLine(r *simple, line string) bool {
	if line+"\r\n" == nextHead {
		r.method, r.url = "GET", nextURL
		return true
	}
	id, ok := strings.CutPrefix(line, responseHead)
	if !ok {
		return false
	}
	if id, ok = strings.CutSuffix(id, responseTail); !ok || id == "" || !only(id, "-") {
		return false
	}
	r.method, r.url = "POST", &url.URL{Path: invocations + id + "/response"}
	return true
}

// lines reads the header lines.
func (h *simpleHead) lines(head string) bool {
	for head != "" {
		var line string
		line, head, _ = strings.Cut(head, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		value = strings.Trim(value, " ")
		if !ok || strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' }) || !h.header(strings.ToLower(name), value) {
			return false
		}
	}
	return true
}

func (h *simpleHead) header(name, value string) bool {
	switch name {
	case "host":
		ok := h.host == "" && value != "" && only(value, ".:-")
		h.host = value
		return ok
	case "content-length":
		if h.length >= 0 || value == "" || len(value) > 7 {
			return false
		}
		h.length = 0
		for _, c := range value {
			if c < '0' || c > '9' {
				return false
			}
			h.length = 10*h.length + int(c-'0')
		}
		return true
	case "transfer-encoding":
		ok := !h.chunked && value == "chunked"
		h.chunked = true
		return ok
	case "trailer": // what the clients of AWS may tell at the end of an answer
		ok := !h.trailer && only(value, "-,") && strings.Count(value, "Lambda-Runtime-") == strings.Count(value, ",")+1
		h.trailer = true
		return ok
	case "connection":
		return strings.EqualFold(value, "keep-alive")
	case "user-agent", "accept", "accept-encoding", "content-type":
		return true
	}
	return false
}

// only tells whether a text holds letters, digits, and the others given.
func only(text, others string) bool {
	for i := range len(text) {
		c := text[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}

// parseChunks reads a body in chunks (RFC 9112, 7.1).
func parseChunks(in []byte) (body []byte, length int, what parsed) {
	for at := 0; ; {
		size, n := 0, at
		for ; n < len(in) && n < at+6; n++ {
			digit := strings.IndexByte("0123456789abcdef", in[n]|0x20)
			if in[n] < '0' || digit < 0 {
				break
			}
			size = 16*size + digit
		}
		if n == at && n < len(in) || size > directLargest {
			return nil, 0, unusual
		}
		data := n + 2
		switch lineBreak := in[n:min(len(in), data)]; {
		case !begins(lineBreak, "\r\n"):
			return nil, 0, unusual
		case len(lineBreak) < 2, len(in) < data+size+2:
			if len(lineBreak) == 2 && size == 0 && !begins(in[data:], "\r\n") {
				return nil, 0, unusual
			}
			return nil, 0, partial
		case string(in[data+size:data+size+2]) != "\r\n":
			return nil, 0, unusual
		case size == 0:
			return body, data + 2, whole
		case body == nil:
			body = in[data : data+size : data+size]
		default:
			body = append(body, in[data:data+size]...) // which copies the first
		}
		at = data + size + 2
	}
}
