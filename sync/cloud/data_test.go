package cloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"greengate/sync/cloud/cloudtest"
)

// fill gives a thing so many named shadows.
func fill(tb testing.TB, c *cloudtest.Cloud, thing string, n int) (names []string) {
	tb.Helper()
	for i := range n {
		name := fmt.Sprintf("s%03d", i)
		if _, err := c.UpdateShadow(thing, name, []byte(`{"state":{}}`)); err != nil {
			tb.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

func TestNames(t *testing.T) {
	inWorld(t, cloudtest.Options{}, func(o *Options) { o.Port = 443 }, func(w *world) {
		want := fill(t, w.cloud, "lamp", 205)
		fill(t, w.cloud, "other", 1)
		if _, err := w.cloud.UpdateShadow("lamp", "", []byte(`{"state":{}}`)); err != nil {
			t.Fatal(err)
		}
		got, err := w.link.Names(w.Context(), "lamp")
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%d names %.100q, %v", len(got), got, err)
		}
		if got, err = w.link.Names(w.Context(), "nobody"); err != nil || len(got) != 0 {
			t.Errorf("names of nobody: %q, %v", got, err)
		}
		// One connection serves all that ask at about the same time.
		if n := w.dials.Load(); n != 2 {
			t.Errorf("%d connections, want that of MQTT and one more", n)
		}
		if _, err = w.link.Names(w.Context(), "a/b"); err == nil {
			t.Error("a thing that is none was asked for")
		}
	})
}

// Many pages of one thing keep its limits, which the strict cloud sees to.
func TestNamesKeepTheLimitsOfAThing(t *testing.T) {
	inWorld(t, cloudtest.Options{}, func(o *Options) { o.Port = 443 }, func(w *world) {
		fill(t, w.cloud, "lamp", 250)
		start := time.Now()
		for range 20 {
			if _, err := w.link.Names(w.Context(), "lamp"); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took < 2*time.Second || took > 5*time.Second {
			t.Errorf("60 pages took %v, want about 3 s", took)
		}
	})
}

func TestNamesRefused(t *testing.T) {
	inWorld(t, cloudtest.Options{}, func(o *Options) { o.Port = 443 }, func(w *world) {
		var e *DataError
		w.cloud.Change(func(f *cloudtest.Faults) { f.ShadowCode, f.ShadowCount = 503, 1 })
		if _, err := w.link.Names(w.Context(), "lamp"); !errors.As(err, &e) || e.Status != 503 || e.Type != "ServiceUnavailableException" {
			t.Errorf("a 503: %v", err)
		}
		w.cloud.SetPolicy("gw", cloudtest.Policy{DenyShadow: true})
		if _, err := w.link.Names(w.Context(), "lamp"); !errors.As(err, &e) || e.Status != 403 || !strings.Contains(err.Error(), `lamp in the cloud: the cloud answered 403 ForbiddenException: "Forbidden" (does the policy`) {
			t.Errorf("a 403: %v", err)
		}
		w.cloud.SetPolicy("gw", cloudtest.Policy{})
		w.cloud.PullPlug()
		start := time.Now()
		if _, err := w.link.Names(w.Context(), "lamp"); err == nil || time.Since(start) > 2*time.Minute {
			t.Errorf("a dead link: %v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		if _, err := w.link.Names(ctx, "lamp"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the caller's end: %v", err)
		}
		w.cloud.PlugIn()
		w.connected(time.Hour)
		w.pardon = []string{"keep-alive"}
		if _, err := w.link.Names(w.Context(), "lamp"); err != nil {
			t.Errorf("the link is well again: %v", err)
		}
	})
}

// Where the data plane is, and by which way: with MQTT on 8883 it has port 8443,
// otherwise MQTT's own and its ALPN name.
func TestNamesWay(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{Name: endpoint})
	want := fill(t, c, "lamp", 1)
	files, err := c.Files(t.TempDir(), "gw")
	if err != nil {
		t.Fatal(err)
	}
	var a asked
	for name, x := range map[string]struct {
		port   int
		reach  string // what is dialled
		target string
		proxy  string
	}{
		"8883":            {8883, endpoint + ":8443", c.DataAddr(), ""},
		"443":             {443, endpoint + ":443", c.Addr(), ""},
		"another":         {1234, endpoint + ":1234", c.Addr(), ""},
		"through a proxy": {8883, "", "", "http://u:p@" + httpProxy(t, c.DataAddr(), &a)},
	} {
		t.Run(name, func(t *testing.T) {
			var reached []string
			l, err := New(Options{
				Endpoint: endpoint, Port: x.port, Core: "gw", Certificate: files.Certificate, Key: files.Key, CA: files.CA, Proxy: x.proxy,
				Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
					reached = append(reached, address)
					if x.target != "" {
						address = x.target
					}
					return new(net.Dialer).DialContext(ctx, network, address)
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(l.data.CloseIdleConnections)
			got, err := l.Names(t.Context(), "lamp")
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("names %q, %v", got, err)
			}
			if x.reach != "" && !slices.Equal(reached, []string{x.reach}) {
				t.Errorf("dialled %q", reached)
			}
		})
	}
	if got := a.first(); !strings.HasPrefix(got, "CONNECT "+endpoint+":8443") {
		t.Errorf("the proxy was asked for %q", got)
	}
}

// What is no AWS is told in words, and is not believed.
func TestNamesOfNoCloud(t *testing.T) {
	portal := "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>"
	for name, x := range map[string]struct {
		answer string
		clock  Clock
		want   string
	}{
		"a page":              {portal, Clock{}, "read the answer"},
		"an error of others":  {"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\nno!\n", Clock{}, "the cloud answered 502"},
		"a redirect":          {"HTTP/1.1 302 Found\r\nLocation: https://example.com/\r\nContent-Length: 0\r\n\r\n", Clock{}, "the cloud answered 302"},
		"no HTTP":             {"hello\r\n\r\n", Clock{}, "malformed HTTP"},
		"an end":              {"", Clock{}, "EOF"},
		"no end":              {"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{\"results\":[\"a\"],  \"nextToken\":\"again\"} ", Clock{}, "the list does not end"},
		"more than asked for": {"HTTP/1.1 200 OK\r\nContent-Length: 417\r\n\r\n{\"results\":[" + strings.Repeat("\"a\",", 100) + "\"a\"]}", Clock{}, "101 names came where 100 were asked for"},
		"too much":            {"HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 300<<10), Clock{}, "read the answer"},
		"an old certificate":  {portal, Clock{Now: time.Now(), Floor: time.Now().AddDate(30, 0, 0)}, "is the clock right?"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, func(p *peer) {
				for {
					if _, err := http.ReadRequest(p.r); err != nil {
						return
					}
					_, _ = io.WriteString(p, x.answer)
					if !strings.Contains(x.answer, "Content-Length") {
						return
					}
				}
			})
			o := f.options()
			if x.clock != (Clock{}) {
				o.Clock = func() Clock { return x.clock }
			}
			l, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(l.data.CloseIdleConnections)
			if strings.Contains(x.want, "does not end") {
				l.shadows = newShadows(1000, 1e6, new(atomic.Uint64))
			}
			_, err = l.Names(t.Context(), "lamp")
			if err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("error %v, want %q", err, x.want)
			}
		})
	}
}
