package endpoint_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"greengate/functions/endpoint"
)

// connect opens a connection to the endpoint that ends with the test.
func (h *house) connect(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", h.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// ask sends a request over a connection and returns the status, or how it ended.
func ask(conn net.Conn) (int, error) {
	if _, err := io.WriteString(conn, "GET /2018-06-01/runtime/x HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return 0, err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}

// ways are those to look up a socket: the kernel may not have the first.
var ways = map[string]func(*endpoint.Endpoint){"sock_diag": func(*endpoint.Endpoint) {}, "proc": (*endpoint.Endpoint).WithoutDiag}

// A process that is none of the instance's is turned away unheard; the instance's
// own is heard.
func TestStranger(t *testing.T) {
	for way, set := range ways {
		t.Run(way, func(t *testing.T) {
			var owned atomic.Int64
			h := open(t, func(o *endpoint.Options) { o.Owns = func(pid int) bool { return int64(pid) == owned.Load() } }, set)
			owned.Store(1 << 40) // nobody
			for range 2 {
				if status, err := ask(h.connect(t)); err == nil {
					t.Fatalf("a stranger was answered %d", status)
				}
			}
			h.noted(t, "function-stranger", "function-stranger")
			owned.Store(int64(os.Getpid()))
			if _, err := ask(h.connect(t)); err != nil {
				t.Errorf("the instance was turned away: %v", err)
			}
			owned.Store(int64(os.Getppid())) // what was known is asked again
			if status, err := ask(h.connect(t)); err == nil {
				t.Fatalf("a stranger was answered %d", status)
			}
		})
	}
}

// A child is known by its socket, of either kind.
func TestChildIsKnown(t *testing.T) {
	for _, c := range [][2]string{{"AF_INET", "sock_diag"}, {"AF_INET", "proc"}, {"AF_INET6", "sock_diag"}, {"AF_INET6", "proc"}} {
		family, way := c[0], c[1]
		t.Run(family+" "+way, func(t *testing.T) {
			if family == "AF_INET6" {
				if l, err := net.Listen("tcp6", "[::1]:0"); err != nil {
					t.Skipf("this computer has no IPv6: %v", err)
				} else {
					l.Close()
				}
			}
			var child atomic.Int64
			h := open(t, func(o *endpoint.Options) { o.Owns = func(pid int) bool { return int64(pid) == child.Load() } }, ways[way])
			host, port, _ := strings.Cut(h.Address(), ":")
			if family == "AF_INET6" {
				host = "::ffff:" + host
			}
			script := fmt.Sprintf("import socket,sys\nsys.stdin.readline()\ns=socket.socket(socket.%s)\ns.connect((%q,%s))\n"+
				"s.send(b'GET /2018-06-01/runtime/x HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')\nprint(s.recv(12).decode())", family, host, port)
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, "/usr/bin/python3", "-c", script)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			var out buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			child.Store(int64(cmd.Process.Pid))
			io.WriteString(in, "\n")
			if err := cmd.Wait(); err != nil || out.String() != "HTTP/1.1 404\n" {
				t.Errorf("the child got %q (%v)", out.String(), err)
			}
		})
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	h := open(t, nil)
	open := make([]net.Conn, endpoint.MaxConnections)
	for i := range open {
		open[i] = h.connect(t)
		if _, err := ask(open[i]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ask(h.connect(t)); err == nil {
		t.Error("one more than allowed was answered")
	}
	if _, err := ask(open[3]); err != nil {
		t.Errorf("one of the others was lost: %v", err)
	}
	// One that ends makes room.
	open[5].Close()
	for begun := time.Now(); ; {
		if _, err := ask(h.connect(t)); err == nil {
			break
		}
		if time.Since(begun) > patience {
			t.Fatal("there is no room")
		}
	}
	if n := strings.Count(h.log.String(), "reason=function-connections"); n != 1 {
		t.Errorf("logged %d times: %s", n, h.log)
	}
}

// A client that is slow is answered and sent away, and its call fails; one that
// waits for a slow answer is not slow.
func TestSlowClient(t *testing.T) {
	slow := make(chan struct{})
	h := open(t, func(o *endpoint.Options) {
		o.Home.Invoke = func(ctx context.Context, _ string, _ []byte, _ bool) ([]byte, error) {
			select {
			case <-slow:
				return []byte("1"), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}, func(e *endpoint.Endpoint) { e.SetPatience(50 * time.Millisecond) })
	invoked := make(chan int, 1)
	go func() {
		answer, _ := h.do(t, "POST", "/2016-11-01/functions/arn:aws:lambda:::function:other", strings.NewReader("event"),
			"Authorization", h.variable(t, "AWS_CONTAINER_AUTHORIZATION_TOKEN"))
		invoked <- answer.StatusCode
	}()
	for range 3 {
		h.hand(t, endpoint.Invocation{ID: "x"})
		conn := h.connect(t)
		io.WriteString(conn, "POST /2018-06-01/runtime/invocation/x/response HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
		f := wait(t, h.calls.ends, "failure").failure
		if f == nil || f.Type != "Runtime.TruncatedResponse" {
			t.Errorf("got %+v", f)
		}
		answer, err := io.ReadAll(conn) // to its end
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
			t.Errorf("the slow client got %q (%v)", answer, err)
		}
	}
	close(slow)
	if status := wait(t, invoked, "answer"); status != 200 {
		t.Errorf("the patient client got %d", status)
	}
	h.noted(t, "function-body", "function-body", "function-body")
}

// While one answer to a call is read there is no other.
func TestTwoAnswersAtOnce(t *testing.T) {
	h := open(t, nil)
	h.hand(t, endpoint.Invocation{ID: "x"})
	conn := h.connect(t)
	io.WriteString(conn, "POST /2018-06-01/runtime/invocation/x/response HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	from := bufio.NewReader(conn)
	if line, err := from.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	wantText(t, "the second", h.post(t, "invocation/x/response", strings.NewReader("other")),
		`400 {"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}`)
	io.WriteString(conn, "first")
	wantText(t, "the answer", wait(t, h.calls.ends, "answer").body, "first")
}

// A client that does not send what it said is told, and the call fails.
func TestTruncatedBody(t *testing.T) {
	h := open(t, nil)
	h.hand(t, endpoint.Invocation{ID: "x"})
	conn := h.connect(t)
	io.WriteString(conn, "POST /2018-06-01/runtime/invocation/x/response HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
	conn.(*net.TCPConn).CloseWrite()
	f := wait(t, h.calls.ends, "failure").failure
	if f == nil || f.Type != "Runtime.TruncatedResponse" {
		t.Errorf("got %+v", f)
	}
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
		t.Errorf("the client got %q (%v)", answer, err)
	}
	h.noted(t, "function-body")
}

func TestNewNeedsItsOptions(t *testing.T) {
	if _, err := endpoint.New(endpoint.Options{}); err == nil || !strings.Contains(err.Error(), "needs Function") {
		t.Errorf("got %v", err)
	}
}

// An endpoint that has not run is closed all the same.
func TestCloseBeforeRun(t *testing.T) {
	h := open(t, nil)
	e, err := endpoint.New(endpoint.Options{Function: "f", Calls: h.calls, Owns: func(int) bool { return true }, Log: discard()})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp", e.Address()); err == nil {
		conn.Close()
		t.Error("the port is still open")
	}
}

// What it costs to ask whose a connection is.
func BenchmarkAdmit(b *testing.B) {
	for way, set := range ways {
		b.Run(way, func(b *testing.B) {
			h := open(b, func(o *endpoint.Options) { o.Owns = func(pid int) bool { return pid == os.Getpid() } }, set)
			conn, err := net.Dial("tcp", h.Address())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			for b.Loop() {
				if err := h.Admit(conn); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
