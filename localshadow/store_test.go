package localshadow_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

// What was stored is there again, times and versions of deleted ones included.
func TestReopen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shadows.db")
	st := openStationAt(t, file, atNoon)
	st.tell(updateTopic("a"), `{"state":{"desired":{"n":1.50,"l":[1,{"é":"\u0001"}],"o":{}},"reported":{"n":2}}}`)
	later := func(_ *sqlite.Options, o *localshadow.Options) {
		o.Now = func() time.Time { return noon.Add(time.Hour) }
	}
	st.tell(updateTopic("b"), `{"state":{}}`)
	st.tell("$aws/things/b/shadow/delete", "")
	want, _ := st.Document(context.Background(), "a", "")
	stats := st.Stats()
	st.stop()

	st = openStationAt(t, file, later)
	got, err := st.Document(context.Background(), "a", "")
	if err != nil || got != want || !got.Exists() {
		t.Errorf("stored %+v, read %+v, %v", want, got, err)
	}
	if s := st.Stats(); s.Shadows != 1 || s.Remembered != 1 || s.Bytes != stats.Bytes || s.Bytes == 0 {
		t.Errorf("counted %+v, was %+v", s, stats)
	}
	if got := st.tell(updateTopic("a"), `{"state":{"reported":{"n":3}}}`); !strings.Contains(got, `"metadata":{"desired":{"n":{"timestamp":1730481958},"l":[{"timestamp":1730481958},{"é":{"timestamp":1730481958}}],"o":{}},"reported":{"n":{"timestamp":1730485558}}}`) {
		t.Errorf("the times are gone: %s", got)
	}
	if got := st.tell(updateTopic("b"), `{"state":{}}`); !strings.Contains(got, `"version":2,`) {
		t.Errorf("recreated: %s", got)
	}
}

// A process that is killed has lost nothing that it gave a receipt for.
func TestKill(t *testing.T) {
	if file := os.Getenv("SHADOW_KILLED"); file != "" {
		updateUntilKilled(t, file)
	}
	file := filepath.Join(t.TempDir(), "shadows.db")
	cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
	cmd.Env = append(os.Environ(), "SHADOW_KILLED="+file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	receipts := map[string]int{}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		if thing, v, ok := strings.Cut(lines.Text(), " "); ok {
			receipts[thing], _ = strconv.Atoi(v)
		}
		if n == 200 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed
	if len(receipts) != 3 {
		t.Fatalf("the other process gave the receipts %v", receipts)
	}
	st := openStationAt(t, file)
	for thing, n := range receipts {
		d, err := st.Document(context.Background(), thing, "")
		if err != nil || d.Version < int64(n) || d.Desired != fmt.Sprintf(`{"n":%d}`, d.Version) {
			t.Errorf("%s: there was a receipt for version %d, the store has %+v, %v", thing, n, d, err)
		}
	}
}

func updateUntilKilled(t *testing.T, file string) {
	st := openStationAt(t, file)
	under := make(chan struct{}, 100) // requests under way
	for n := 1; ; n++ {
		for thing := range 3 {
			under <- struct{}{}
			err := st.Deliver(updateTopic(fmt.Sprint(thing)), []byte(desired("n", n)), device, func(err error) {
				if err == nil {
					fmt.Printf("%d %d\n", thing, n)
				}
				<-under
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The bounds of the store: what is refused is told and counted, and room can be
// made.
func TestBounds(t *testing.T) {
	file, now, limit := filepath.Join(t.TempDir(), "shadows.db"), noon, int64(100)
	bounds := func(_ *sqlite.Options, o *localshadow.Options) {
		o.Bounds = localshadow.Bounds{Shadows: 3, PerThing: 2, Bytes: limit}
		o.Now = func() time.Time { return now }
	}
	st := openStationAt(t, file, bounds)
	const refused = `update/rejected {"code":413,"message":"This gateway keeps no more shadows`
	named := func(thing string, n int) string {
		return fmt.Sprintf("$aws/things/%s/shadow/name/n%d/update", thing, n)
	}
	st.tell(named("a", 1), `{"state":{}}`)
	st.tell(named("a", 2), `{"state":{}}`)
	if got := st.tell(named("a", 3), `{"state":{},"clientToken":"t"}`); !strings.HasPrefix(got, "name/n3/"+refused+" of this thing: its limit is 2") || !strings.HasSuffix(got, `"clientToken":"t"}`) {
		t.Errorf("third of one thing: %s", got)
	}
	st.tell(updateTopic("b"), `{"state":{}}`)
	if got := st.tell(updateTopic("c"), `{"state":{}}`); !strings.HasPrefix(got, refused+": its limit is 3") {
		t.Errorf("fourth of all: %s", got)
	}
	st.tell("$aws/things/b/shadow/delete", "")
	fill := func(n int) string { return desired("k", `"`+strings.Repeat("x", n-len(`{"k":""}`))+`"`) }
	if got := st.tell(updateTopic("c"), fill(100)); !strings.Contains(got, "accepted") {
		t.Errorf("100 bytes: %s", got)
	}
	if got := st.tell(named("a", 1), desired("k", 1)); !strings.HasPrefix(got, "name/n1/"+refused+": its limit is 100 bytes") {
		t.Errorf("beyond 100 bytes: %s", got)
	}
	if got := st.tell(updateTopic("c"), fill(90)); !strings.Contains(got, "accepted") {
		t.Errorf("smaller: %s", got)
	}
	if s := st.Stats(); s.Rejected[413] != 3 || s.Shadows != 3 || s.Bytes != 90 {
		t.Errorf("stats %+v", s)
	}
	if f := st.Faults(); len(f) != 1 || !strings.Contains(f[0], "a bound of the store was met (3 times), last a: This gateway keeps no more shadows: its limit is 100 bytes") {
		t.Errorf("faults %q", f)
	}
	if now = now.Add(2 * time.Hour); len(st.Faults()) != 0 {
		t.Errorf("faults of two hours ago: %q", st.Faults())
	}
	st.stop()
	limit = 50 // one day somebody lowers it
	st = openStationAt(t, file, bounds)
	if got := st.tell(updateTopic("c"), fill(80)); !strings.Contains(got, "accepted") {
		t.Errorf("smaller, but still beyond: %s", got)
	}
}
