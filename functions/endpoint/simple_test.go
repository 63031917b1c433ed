package endpoint

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

const (
	simpleNext  = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: 127.0.0.1:80\r\nUser-Agent: x/1\r\nAccept-Encoding: gzip\r\n\r\n"
	simplePost  = "POST /2018-06-01/runtime/invocation/8476a536-e9f4/response HTTP/1.1\r\nhost:127.0.0.1:80\r\n"
	simpleSized = simplePost + "Content-Type: text/plain\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello"
	simpleParts = simplePost + "Transfer-Encoding: chunked\r\nTrailer: Lambda-Runtime-Function-Error-Body,Lambda-Runtime-Function-Error-Type\r\n\r\n" +
		"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
)

var requests = []struct {
	text string
	what parsed
}{
	{simpleNext, whole},
	{simpleSized, whole},
	{simpleParts, whole},
	{simplePost + "Content-Length: 0\r\n\r\n", whole},
	{simplePost + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", whole},
	{simplePost + "Transfer-Encoding: chunked\r\n\r\n00000A\r\n0123456789\r\n0\r\n\r\n", whole},
	{simpleNext + simpleSized, whole},
	{"", partial},
	{simpleNext[:20], partial},
	{simpleNext[:len(simpleNext)-1], partial},
	{simpleSized[:len(simpleSized)-1], partial},
	{simpleParts[:len(simpleParts)-1], partial},
	{simpleParts[:len(simpleParts)-6], partial},

	{"G\r\n", unusual},
	{"HEAD" + simpleNext[3:], unusual},
	{strings.Replace(simpleNext, "1.1", "1.0", 1), unusual},
	{strings.Replace(simpleNext, "next", "next?a=b", 1), unusual},
	{strings.Replace(simpleNext, "Host:", "Most:", 1), unusual},
	{strings.Replace(simpleNext, "Host:", "Host :", 1), unusual},
	{strings.Replace(simpleNext, "Host: ", "Host: a/", 1), unusual},
	{strings.Replace(simpleNext, "\r\nUser", "\r\nHost: b\r\nUser", 1), unusual},
	{strings.Replace(simpleNext, "Host:", "Host:\r\nHost:", 1), unusual},
	{strings.Replace(simpleNext, "\r\nUser", "\r\n folded\r\nUser", 1), unusual},
	{strings.Replace(simpleNext, "\r\nUser", "\nUser", 1), unusual},
	{strings.Replace(simpleNext, "\r\nUser", "\r\nExpect: 100-continue\r\nUser", 1), unusual},
	{strings.Replace(simpleNext, "\r\nUser", "\r\nContent-Length: 0\r\nUser", 1), unusual},
	{strings.Replace(simpleNext, "x/1", "x\x00", 1), unusual},
	{strings.Replace(simpleNext, "User-Agent", "User\x80Agent", 1), unusual},
	{strings.Replace(simpleSized, "8476a536-e9f4", "a/b", 1), unusual},
	{strings.Replace(simpleSized, "8476a536-e9f4", "", 1), unusual},
	{strings.Replace(simpleSized, "keep-alive", "close", 1), unusual},
	{strings.Replace(simpleSized, ": 5", ": +5", 1), unusual},
	{strings.Replace(simpleSized, ": 5", ": 5\r\nContent-Length: 5", 1), unusual},
	{strings.Replace(simpleSized, ": 5", ": 5\r\nTransfer-Encoding: chunked", 1), unusual},
	{strings.Replace(simpleSized, ": 5", ": 65536", 1), unusual},
	{strings.Replace(simpleSized, "Content-Length: 5", "Accept: x", 1), unusual},
	{strings.Replace(simpleSized, "Content-Type", "Lambda-Runtime-Function-Response-Mode", 1), unusual},
	{strings.Replace(simpleSized, "Content-Type: text/plain", "Trailer: Lambda-Runtime-Function-Error-Type", 1), unusual},
	{strings.Replace(simpleParts, ": chunked", ": gzip, chunked", 1), unusual},
	{strings.Replace(simpleParts, "Error-Body,", "Error-Body,Content-Length,", 1), unusual},
	{strings.Replace(simpleParts, "3\r\n", "3;a=b\r\n", 1), unusual},
	{strings.Replace(simpleParts, "3\r\n", "4\r\n", 1), unusual},
	{strings.Replace(simpleParts, "3\r\n", "-3\r\n", 1), unusual},
	{strings.Replace(simpleParts, "3\r\n", "0000003\r\n", 1), unusual},
	{strings.Replace(simpleParts, "0\r\n\r\n", "0\r\nLambda-Runtime-Function-Error-Type: X\r\n\r\n", 1), unusual},
	{strings.Replace(simpleParts, "3\r\nhel\r\n", "fffff\r\n", 1), unusual},
	{simpleNext[:20] + strings.Repeat("x", 4096), unusual},
}

// checkSimple fails when net/http would read another request, and tells what was read.
func checkSimple(t *testing.T, in []byte) parsed {
	t.Helper()
	r, size, what := parseSimple(bytes.Clone(in))
	if what != whole {
		return what
	}
	rest := bytes.NewReader(in)
	buffered := bufio.NewReader(rest)
	q, err := http.ReadRequest(buffered)
	if err != nil {
		t.Fatalf("net/http says %v of %q", err, in)
	}
	body, err := io.ReadAll(q.Body)
	if err != nil {
		t.Fatalf("net/http says %v of %q", err, in)
	}
	if len(in)-rest.Len()-buffered.Buffered() != size || q.Method != r.method || q.URL.String() != r.url.String() || q.Host != r.host ||
		!bytes.Equal(body, r.body) || q.Close || q.Header.Get("Expect") != "" {
		t.Fatalf("got  %+v of %d bytes\nwant %+v, body %q\nof %q", r, size, q, body, in)
	}
	for name, values := range q.Trailer {
		if values != nil {
			t.Fatalf("the trailer %s of %q is lost", name, in)
		}
	}
	return whole
}

func TestSimpleRequests(t *testing.T) {
	for _, c := range requests {
		if got := checkSimple(t, []byte(c.text)); got != c.what {
			t.Errorf("got %d, not %d, of %q", got, c.what, c.text)
		}
	}
	// However a request comes in, its beginnings are only that.
	for _, text := range []string{simpleNext, simpleSized, simpleParts} {
		for n := range text {
			if got := checkSimple(t, []byte(text[:n])); got != partial {
				t.Errorf("got %d of %q", got, text[:n])
			}
		}
	}
}

// FuzzSimple: a request that is served directly is the one that net/http would read.
func FuzzSimple(f *testing.F) {
	for _, c := range requests {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, in []byte) { checkSimple(t, in) })
}
