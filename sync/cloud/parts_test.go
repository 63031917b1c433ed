package cloud

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestCheck(t *testing.T) {
	l := &Link{o: Options{Limits: Limits{}.withDefaults()}}
	l.maximumPacket.Store(100 << 10)
	for _, c := range []struct {
		name, topic string
		payload     int
		fault       string
	}{
		{"plain", "a/b", 10, ""},
		{"7 slashes", "1/2/3/4/5/6/7/8", 0, ""},
		{"8 slashes", "1/2/3/4/5/6/7/8/9", 0, "has 8 slashes, more than the 7"},
		{"named shadow", "$aws/things/T/shadow/name/N/update/accepted", 0, ""},
		{"256 bytes", strings.Repeat("x", 256), 0, ""},
		{"257 bytes", strings.Repeat("x", 257), 0, "is 257 bytes long, more than the 256"},
		{"bytes, not letters", strings.Repeat("é", 129), 0, "is 258 bytes long"},
		{"Basic Ingest", "$aws/rules/r/" + "1/2/3/4/5/6/7/8", 0, ""},
		{"Basic Ingest, long", "$aws/rules/" + strings.Repeat("r", 100) + "/" + strings.Repeat("x", 256), 0, ""},
		{"Basic Ingest, deep", "$aws/rules/r/" + "1/2/3/4/5/6/7/8/9", 0, "has 8 slashes"},
		{"rule alone", "$aws/rules/r", 0, ""},
		{"wildcard", "a/#", 0, "is none"},
		{"empty", "", 0, "is none"},
		{"what the cloud takes", "a", 100<<10 - 20, ""},
		{"more than the cloud takes", "a", 100 << 10, "a packet of 102411 bytes is more than the 102400"},
		{"more than AWS takes", "a", 128<<10 + 1, "a payload of 131073 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := l.Check(c.topic, c.payload)
			if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
				t.Errorf("error %v, want %q", err, c.fault)
			}
			if large, topic := (*TooLarge)(nil), (*BadTopic)(nil); err != nil && !errors.As(err, &large) && !errors.As(err, &topic) {
				t.Errorf("untyped error %T", err)
			}
		})
	}
}

// In no second more than the limit, and over a long time little less.
func TestShaperKeepsMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShaper(Rate{Messages: 100})
		var at []time.Time
		for start := time.Now(); time.Since(start) < 10*time.Second; {
			if wait := s.take(1000, false); wait > 0 {
				<-time.After(wait)
				continue
			}
			at = append(at, time.Now())
			if len(at)%10 == 0 {
				s.came()
			}
			if n := len(at); n > 91 && at[n-1].Sub(at[n-92]) < time.Second {
				t.Fatalf("92 up and at least 9 down in %v", at[n-1].Sub(at[n-92]))
			}
		}
		if n := len(at) + len(at)/10; n < 940 {
			t.Errorf("%d messages in 10 s, want nearly 950", n)
		}
	})
}

func TestShaperKeepsBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShaper(Rate{Bytes: 512 << 10})
		start, bytes := time.Now(), 0
		for time.Since(start) < 10*time.Second {
			if wait := s.take(128<<10, false); wait > 0 {
				<-time.After(wait)
				continue
			}
			bytes += 128 << 10
		}
		if most := 10*512<<10 + 128<<10; bytes > most || bytes < most*9/10 {
			t.Errorf("%d bytes in 10 s", bytes)
		}
	})
}

func TestShaperPausesAfterQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShaper(Rate{})
		for pause := time.Second; pause <= 16*time.Second; pause *= 2 {
			for range 100 { // the whole window comes back so
				s.answered(quotaExceeded)
			}
			wait := s.take(1, false)
			if wait < pause/2 || wait > pause {
				t.Errorf("pause of %v, want %v at most and half of it at least", wait, pause)
			}
			if !s.held() {
				t.Error("not told")
			}
			<-time.After(wait + 1)
			if wait := s.take(1, false); wait != 0 || s.held() {
				t.Errorf("still %v", wait)
			}
		}
		s.answered(0)
		s.answered(quotaExceeded)
		if wait := s.take(1, false); wait > time.Second {
			t.Errorf("%v after a success", wait)
		}
	})
}

func TestRetry(t *testing.T) {
	lost := errors.New("lost")
	wrap := func(code byte) error { return fmt.Errorf("x: %w", &Closed{Code: code}) }
	for _, c := range []struct {
		name        string
		err         error
		low, high   time.Duration // of the first wait
		last        time.Duration // the highest ceiling
		afterMinute time.Duration // ceiling after a connection of a minute
	}{
		{"lost", lost, 0, time.Second, 2 * time.Minute, time.Second},
		{"throttled", wrap(quotaExceeded), 0, 10 * time.Second, 10 * time.Minute, 10 * time.Second},
		{"unavailable", &Rejected{Code: serverUnavailable}, 0, 10 * time.Second, 10 * time.Minute, 10 * time.Second},
		{"taken over", wrap(sessionTakenOver), 2 * time.Minute, 3 * time.Minute, 30 * time.Minute, 30 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			var most time.Duration
			for range 200 {
				r := retry{timing: Timing{}.withDefaults()}
				if d := r.after(c.err, 0); d < c.low || d >= c.high {
					t.Fatalf("first wait %v, want %v to %v", d, c.low, c.high)
				}
				for range 12 {
					d := r.after(c.err, 59*time.Second)
					if d < c.low || d > c.last {
						t.Fatalf("wait %v, want %v to %v", d, c.low, c.last)
					}
					most = max(most, d)
				}
				if d := r.after(c.err, time.Minute); d > c.afterMinute {
					t.Fatalf("wait %v after a connection of a minute, want at most %v", d, c.afterMinute)
				}
			}
			if most < c.last*3/4 {
				t.Errorf("longest wait %v, want nearly %v", most, c.last)
			}
		})
	}
}

// Between two take-overs an attempt may fail otherwise: that is no reason to be
// quick again. A quarter of an hour without one is.
func TestRetryRemembersTakeOver(t *testing.T) {
	r := retry{timing: Timing{}.withDefaults()}
	r.after(&Closed{Code: sessionTakenOver}, 0)
	if d := r.after(errors.New("no route"), 5*time.Minute); d < 2*time.Minute {
		t.Errorf("wait %v", d)
	}
	if d := r.after(errors.New("no route"), 15*time.Minute); d >= time.Second {
		t.Errorf("wait %v after a quarter of an hour", d)
	}
}

// In MQTT 3.1.1 a take-over is a plain end: two gateways do not storm the cloud.
func TestRetryAfterPlainEnds(t *testing.T) {
	r := retry{timing: Timing{}.withDefaults()}
	for range 10 {
		r.after(errClosed, 10*time.Second)
	}
	for range 10 {
		r.after(errClosed, 2*time.Minute)
	}
	if r.ceiling != 2*time.Minute {
		t.Errorf("ceiling %v", r.ceiling)
	}
	if r.after(errClosed, 4*time.Minute); r.ceiling != time.Second {
		t.Errorf("ceiling %v after a connection of 4 minutes", r.ceiling)
	}
}

func TestJudgeAt(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 6, n, 0, 0, 0, 0, time.UTC) }
	valid := period{day(10), day(20)}
	for _, c := range []struct {
		name  string
		clock Clock
		want  time.Time
	}{
		{"believed", Clock{day(15), day(1), true}, day(15)},
		{"believed and too early", Clock{day(5), day(1), true}, day(5)},
		{"believed and too late", Clock{day(25), day(1), true}, day(25)},
		{"1970, floor before", Clock{time.Unix(0, 0), day(1), false}, day(10)},
		{"1970, floor within", Clock{time.Unix(0, 0), day(12), false}, day(12)},
		{"1970, ended before the floor", Clock{time.Unix(0, 0), day(25), false}, day(25)},
		{"2094", Clock{time.Date(2094, 1, 1, 0, 0, 0, 0, time.UTC), day(1), false}, day(20)},
		{"not believed but right", Clock{day(15), day(1), false}, day(15)},
	} {
		if got := judgeAt(c.clock, valid); !got.Equal(c.want) {
			t.Errorf("%s: judged at %v, want %v", c.name, got, c.want)
		}
	}
}

// A certificate that begins before its issuer, or ends after it, is judged at a time
// at which both are valid; where there is none, it is refused.
func TestVerifyBy(t *testing.T) {
	a := newCA(t)
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	from, until := a.cert.NotBefore, a.cert.NotAfter
	early, late := time.Unix(0, 0), time.Date(2094, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name        string
		from, until time.Time // of the certificate
		clock       Clock
		valid       bool
	}{
		{"begins before its issuer", from.Add(-time.Hour), until, Clock{Now: early}, true},
		{"ends after its issuer", from, until.Add(time.Hour), Clock{Now: late}, true},
		{"both", from.Add(-time.Hour), until.Add(time.Hour), Clock{Now: early}, true},
		{"ended before its issuer began", from.Add(-2 * time.Hour), from.Add(-time.Hour), Clock{Now: early}, false},
		{"its issuer ended before the floor", from, until.Add(2 * time.Hour), Clock{Now: early, Floor: until.Add(time.Hour)}, false},
		{"ends after its issuer, clock believed", from, until.Add(2 * time.Hour), Clock{Now: until.Add(time.Hour), Believed: true}, false},
	} {
		text, _ := a.issue(t, "x", func(x *x509.Certificate) { x.NotBefore, x.NotAfter = c.from, c.until })
		block, _ := pem.Decode(text)
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifyBy(c.clock, leaf, x509.VerifyOptions{Roots: roots}); (err == nil) != c.valid {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestShadowLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShadows(9, 20, new(atomic.Uint64))
		start := time.Now()
		const n = 60
		for i := range n {
			topic := "$aws/things/T/shadow/update"
			if i%2 == 0 {
				topic = "$aws/things/T/shadow/name/N/get"
			}
			if err := s.admit(t.Context(), nil, topic); err != nil {
				t.Fatal(err)
			}
			s.heard(topic + "/accepted")
		}
		if took := time.Since(start); took < n*time.Second/20 || took > n*time.Second/18 {
			t.Errorf("%d requests took %v, want 20 a second", n, took)
		}
		if err := s.admit(t.Context(), nil, "$aws/things/U/shadow/delete"); err != nil {
			t.Error(err)
		}
		// Without answers 9 stay in flight for a second.
		start = time.Now()
		for range 18 {
			if err := s.admit(t.Context(), nil, "$aws/things/V/shadow/get"); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took < time.Second || took > 2*time.Second {
			t.Errorf("18 unanswered requests took %v", took)
		}
	})
}

func TestShadowRequest(t *testing.T) {
	for topic, thing := range map[string]string{
		"$aws/things/T/shadow/get": "T", "$aws/things/T/shadow/name/N/update": "T", "$aws/things/a:b/shadow/delete": "a:b",
		"$aws/things/T/shadow/update/accepted": "", "$aws/things/T/jobs/get": "", "$aws/things/T/shadow/name/get": "",
		"a/things/T/shadow/get": "", "$aws/things/T": "",
	} {
		if got, ok := shadowRequest(topic); ok != (thing != "") || ok && got != thing {
			t.Errorf("%s: %q, %v", topic, got, ok)
		}
	}
}

func TestProxyURL(t *testing.T) {
	for proxy, fault := range map[string]string{
		"": "", "http://p:3128": "", "http://u:secret@p": "", "socks5://p:1080": "", "socks5h://[::1]:1080": "",
		"p:3128": "not known", "ftp://p": "not known", "http://": "not a host", "http://p/path": "not a host", "http://u:secret@p:x": "no URL",
	} {
		err := CheckProxy(proxy)
		if fault == "" && err != nil || fault != "" && (err == nil || !strings.Contains(err.Error(), fault) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%q: %v, want %q", proxy, err, fault)
		}
	}
}
