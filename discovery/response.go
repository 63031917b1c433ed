package discovery

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// response is the http.ResponseWriter of our handlers. It keeps the whole
// answer, so that the length can stand in the head.
type response struct {
	header http.Header
	status int // 0: not set yet
	body   bytes.Buffer
	closes bool // the connection ends after this answer
	sent   func()
}

func newResponse() *response {
	return &response{header: http.Header{"X-Amzn-Requestid": {newRequestID()}}, sent: func() {}}
}

// WhenSent has f called when the answer has been taken by the client, or never will be.
func (w *response) WhenSent(f func()) { w.sent = f }

// newRequestID returns a random UUID (RFC 9562, version 4): the SDKs of AWS
// give their users the one of each answer, and ours is in the data plane's too.
func newRequestID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (w *response) Header() http.Header { return w.header }

// WriteHeader takes the first final status; later ones, and informational ones,
// are not sent.
func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
}

func (w *response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// encode returns the bytes of the answer to a request of that method.
//
// The head is what all clients of AWS understand. The Python SDK v1 searches it
// with the regular expression `content-length: ([0-9]+)\r\n`, lower case, and
// for `HTTP/1.1 <code> `; the CRT behind the V2 SDKs refuses two lengths. Names
// in lower case are right for everybody else (RFC 9110, 5.1). There is no date,
// since the clock may be wrong.
func (w *response) encode(method string) []byte {
	w.WriteHeader(http.StatusOK)
	w.header.Del("Content-Length")
	w.header.Del("Transfer-Encoding")
	w.header.Del("Connection")

	var out bytes.Buffer
	fmt.Fprintf(&out, "HTTP/1.1 %d %s\r\n", w.status, http.StatusText(w.status))
	names := make([]string, 0, len(w.header))
	for name := range w.header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range w.header[name] {
			fmt.Fprintf(&out, "%s: %s\r\n", strings.ToLower(name), oneLine.Replace(value))
		}
	}
	bodyAllowed := w.status != http.StatusNoContent && w.status != http.StatusNotModified // RFC 9110, 6.4.1
	if bodyAllowed {
		out.WriteString("content-length: " + strconv.Itoa(w.body.Len()) + "\r\n")
	}
	if w.closes {
		out.WriteString("connection: close\r\n")
	}
	out.WriteString("\r\n")
	if bodyAllowed && method != http.MethodHead {
		out.Write(w.body.Bytes())
	}
	w.body = bytes.Buffer{} // the client may take its time: one copy is enough
	return out.Bytes()
}

// oneLine keeps a header value from ending its line.
var oneLine = strings.NewReplacer("\r", " ", "\n", " ")

// errorTypes are the names by which the SDKs of AWS know an error, in the
// header x-amzn-ErrorType (AWS IoT API, "Errors"). Others are invalid requests.
var errorTypes = map[int]string{
	http.StatusUnauthorized:        "UnauthorizedException",
	http.StatusForbidden:           "ForbiddenException",
	http.StatusNotFound:            "ResourceNotFoundException",
	http.StatusMethodNotAllowed:    "MethodNotAllowedException",
	http.StatusTooManyRequests:     "ThrottlingException",
	http.StatusInternalServerError: "InternalFailureException",
}

// writeError answers with a status and a JSON body. JSON it must be: another
// body makes the V2 SDK for Node abort its process.
func writeError(w http.ResponseWriter, status int, message string) {
	w.Header().Set("X-Amzn-Errortype", cmp.Or(errorTypes[status], "InvalidRequestException"))
	writeJSON(w, status, struct {
		Message string `json:"message"`
	}{message})
}

// writeJSON answers with v, which must be a value that JSON can hold.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // a fault in our own types; the connection's recover answers 500
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body)
}
