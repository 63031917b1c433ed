package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// built builds a program of the repository beside the test binary: the go command
// removes that folder when the tests are over. $GREENGATE_UNDER_TEST names another
// build of greengate.
func built(t *testing.T, name string) string {
	t.Helper()
	if path := os.Getenv("GREENGATE_UNDER_TEST"); path != "" && name == "greengate" {
		return path
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(filepath.Dir(self), name+"-under-test")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-ldflags", "-s -w", "-o", path, "greengate/cmd/"+name).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return path
}

// TestSoak is a soak of seconds: all that happens in one of hours happens in it, and
// not a message may be missing. What it uses is told and not judged.
func TestSoak(t *testing.T) {
	var said bytes.Buffer
	r, err := run(t.Context(), options{
		Program: built(t, "greengate"), Self: built(t, "soak"), Out: t.TempDir(),
		Duration: 6 * time.Second, Rate: 200, Pace: 20, Sample: time.Second,
		Print: &said, Log: slog.New(slog.NewTextHandler(&said, nil)),
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, &said)
	}
	if !r.well() {
		t.Errorf("%s\n%s", r, &said)
	}
	for _, event := range []string{"cloud away", "offline cycles", "reloads", "slow reader, QoS 0", "slow reader, QoS 1", "visits", "wills"} {
		if !strings.Contains(r.String(), "- "+event+": ") {
			t.Errorf("the report tells nothing of %s:\n%s", event, r)
		}
	}
}

// samplesOf are those of a run whose memory is as given, over its quarters.
func samplesOf(rss ...int64) (all []sample) {
	for i := range 40 {
		all = append(all, sample{At: time.Duration(i) * time.Second, RSS: rss[i/10] << 20, Written: int64(i) * 1000})
	}
	return all
}

func TestReportJudgesGrowth(t *testing.T) {
	for _, c := range []struct {
		rss  []int64
		want string
	}{
		{[]int64{10, 100, 100, 105}, ""}, // it begins cold
		{[]int64{10, 100, 100, 106}, "resident memory grew"},
		{[]int64{10, 100, 200, 90}, ""},
	} {
		var judged, told report
		judged.resources(true, samplesOf(c.rss...))
		told.resources(false, samplesOf(c.rss...))
		got := strings.Join(judged.Wrong, "; ")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%v: got %q, want %q", c.rss, got, c.want)
		}
		if len(told.Wrong) > 0 {
			t.Errorf("%v was judged: %v", c.rss, told.Wrong)
		}
	}
}

func TestReportJudgesWear(t *testing.T) {
	// 39,000 bytes were written for messages of 100 bytes: 350 may be for each.
	for sent, want := range map[int]string{112: "", 111: "351 bytes written to the disk for each message, may be 350"} {
		var r report
		r.disk(true, samplesOf(1, 1, 1, 1), tally{Sent: sent, Bytes: 100 * sent})
		if got := fmt.Sprint(r.Wrong); want == "" && got != "[]" || !strings.Contains(got, want) {
			t.Errorf("%d messages: got %s, want %q", sent, got, want)
		}
	}
}
