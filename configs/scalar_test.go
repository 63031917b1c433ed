package configs

import (
	"math"
	"testing"
	"time"
)

func TestDurationsReadBack(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "0d": 0, "1ns": 1, "20ms": 20 * time.Millisecond, "1.5s": 1500 * time.Millisecond, "10s": 10 * time.Second,
		"1m": time.Minute, "90m": 90 * time.Minute, "10h": 10 * time.Hour, "1h10m0s": 70 * time.Minute, "72h": 72 * time.Hour,
		"7d": 7 * day, "1d12h": 36 * time.Hour, "106751d": 106751 * day,
	} {
		got, problem, _ := parseDuration(text)
		if got != want || problem != "" {
			t.Errorf("%s: got %v, %s", text, got, problem)
		}
		if again, problem, _ := parseDuration(formatDuration(want)); again != want || problem != "" {
			t.Errorf("%s is written %s and read %v, %s", want, formatDuration(want), again, problem)
		}
	}
}

func TestSizesReadBack(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "1023": 1023, "1KiB": 1 << 10, "1536": 1536, "64 KiB": 64 << 10, "256MiB": 256 << 20, "2GiB": 2 << 30, "9223372036854775807": math.MaxInt64,
	} {
		got, problem, _ := parseSize(text)
		if got != want || problem != "" {
			t.Errorf("%s: got %v, %s", text, got, problem)
		}
		if again, problem, _ := parseSize(formatSize(want)); again != want || problem != "" {
			t.Errorf("%d is written %s and read %d, %s", want, formatSize(want), again, problem)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"listen", "strict_subscribe", "thing", "to", "from", "on", "labels"}
	for word, want := range map[string]string{
		"lisen": "listen", "lsiten": "listen", "LISTEN": "listen", "strictsubscribe": "strict_subscribe", "form": "from", "thng": "thing", "lable": "labels",
		"ot": "to", "o": "to", "tls": "", "than": "", "colour": "", "": "",
	} {
		if got := nearest(word, known); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}
