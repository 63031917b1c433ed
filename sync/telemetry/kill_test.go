package telemetry_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/core/message"
	"greengate/core/sqlite"
	"greengate/sync/telemetry"
)

// victim, in the environment, names the database that this test program then spools to
// and drains until it is killed, instead of running its tests.
const victim = "GREENGATE_SPOOL_VICTIM"

func TestMain(m *testing.M) {
	if file := os.Getenv(victim); file != "" {
		fmt.Fprintln(os.Stderr, spoolUntilKilled(file, os.Getenv(victim+"_FROM")))
		os.Exit(1)
	}
	if text := os.Getenv(doomed); text != "" {
		fmt.Fprintln(os.Stderr, spoolUntilFailpoint(text))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// told is what the victim says on its output: a number of a device was stored, or has
// reached the cloud, or all has been settled.
type told struct {
	mu sync.Mutex
}

func (o *told) say(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fmt.Printf(format+"\n", args...)
}

// spoolUntilKilled publishes numbers of three devices from the ones given, and prints
// what was stored and what the cloud got.
func spoolUntilKilled(file, from string) error {
	var out told
	db, err := sqlite.Open(sqlite.Options{File: file, Migrations: telemetry.Migrations()})
	if err != nil {
		return err
	}
	l := newLink(nil)
	l.rtt = time.Millisecond
	l.fate = func(p *telemetry.Publish, _ int) fate {
		out.say("cloud %s %s", property(p, "gg-source"), p.Payload)
		return fate{}
	}
	s, err := telemetry.New(telemetry.Options{DB: db, Link: l, MaxSize: 64 << 20})
	if err != nil {
		return err
	}
	go func() { _ = db.Run(context.Background()) }()
	l.connect()
	for d, text := range strings.Fields(from) {
		next, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		if next < 0 {
			continue // only drain
		}
		device := fmt.Sprint("d", d)
		priority := telemetry.Priority(d)
		go func() {
			window := make(chan struct{}, 50) // as a device with that receive maximum
			for n := next; ; n++ {
				window <- struct{}{}
				m := message.Message{Source: message.DeviceEndpoint(device), Topic: "t", Payload: []byte(strconv.Itoa(n))}
				err := s.Put(&m, telemetry.Route{Key: device, Priority: priority}, func(err error) {
					out.say("stored %s %d", device, n)
					<-window
				})
				if err != nil {
					panic(err)
				}
			}
		}()
	}
	go func() {
		for ; ; time.Sleep(10 * time.Millisecond) {
			if s.Stats().Messages == 0 {
				out.say("empty")
			}
		}
	}()
	return s.Run(context.Background())
}

// A process that is killed loses nothing that it said was stored; the order holds, and
// what comes twice is bounded.
func TestKill(t *testing.T) {
	file := t.TempDir() + "/spool.db"
	const devices = 3
	var stored, next [devices]int // the first not stored, the next for the cloud
	duplicates, kills := 0, 0
	read := func(line string) {
		words := strings.Fields(line)
		d, n := int(words[1][1]-'0'), 0
		if _, err := fmt.Sscan(words[2], &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		switch {
		case words[0] == "stored":
			stored[d] = n + 1
		case n < next[d]:
			duplicates++
		case n == next[d]:
			next[d]++
		default:
			t.Fatalf("the cloud gets %d of d%d when %d is to come", n, d, next[d])
		}
	}
	for ; kills < 5; kills++ {
		// A message that was on the disk and not told stored is there all the same:
		// the next run begins behind it, as its publisher would publish it again.
		from := make([]string, devices)
		for d := range from {
			from[d] = strconv.Itoa(max(stored[d], next[d], present(t, file)[fmt.Sprint("d", d)]))
		}
		runVictim(t, file, strings.Join(from, " "), func(line string, lines int) bool {
			if line != "empty" {
				read(line)
			}
			return lines > 3000+kills*700
		})
	}
	runVictim(t, file, "-1 -1 -1", func(line string, _ int) bool {
		if line != "empty" {
			read(line)
		}
		return line == "empty"
	})
	for d := range devices {
		if next[d] < stored[d] || stored[d] < 100 {
			t.Errorf("d%d: %d were stored, %d came", d, stored[d], next[d])
		}
	}
	if most := (kills + 1) * 256; duplicates > most {
		t.Errorf("%d came twice, at most %d may", duplicates, most)
	}
	t.Logf("%v stored, %v came, %d twice", stored, next, duplicates)
}

// present returns the number behind the last one of each device on the disk.
func present(t *testing.T, file string) map[string]int {
	t.Helper()
	last := map[string]int{}
	if _, err := os.Stat(file); err != nil {
		return last
	}
	db, err := sqlite.Open(sqlite.Options{File: file, Migrations: telemetry.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := telemetry.New(telemetry.Options{DB: db, Link: newLink(t), MaxSize: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	records, err := s.List(context.Background(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		n, err := strconv.Atoi(string(r.Payload))
		if err != nil {
			t.Fatal(err)
		}
		last[r.Source] = max(last[r.Source], n+1)
	}
	return last
}

// runVictim starts a victim, and kills it when see says so.
func runVictim(t *testing.T, file, from string, see func(line string, lines int) (enough bool)) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victim+"="+file, victim+"_FROM="+from)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
			t.Fatalf("the victim ended with %v", err)
		}
	}()
	lines := bufio.NewScanner(out)
	killed := false
	for n := 1; lines.Scan(); n++ {
		if see(lines.Text(), n) && !killed {
			killed = true
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
