package functions

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

	"greengate/core/message"
	"greengate/core/sqlite"
	"greengate/functions/sandbox"
)

// callUntilKilled puts durable calls of numbers from the one in the environment, some at a
// time, and prints which are stored and how they end; with no number it only works off
// what is left, and prints "empty".
func callUntilKilled(dir string) error {
	s, err := sandbox.New(sandbox.Options{})
	if err != nil {
		return err
	}
	db, err := sqlite.Open(sqlite.Options{File: filepath.Join(dir, "functions.db"), Migrations: Migrations()})
	if err != nil {
		return err
	}
	c := config("f", pinned, func(c *Config) {
		c.Command, c.Dir, c.Write = []string{"./bootstrap"}, os.Getenv(victim+"_ACTOR"), []string{dir + "/notes"}
	})
	c.Timeout *= 10
	window := make(chan struct{}, 20)
	said := make(chan string, 100) // one writer of whole lines
	m, err := New(Options{
		Functions: []Config{c}, Dir: dir + "/functions", DB: db, Sandbox: s,
		Settled: func(end Settlement) {
			said <- fmt.Sprint("settled ", end.Verdict)
			select {
			case <-window:
			default:
			}
		},
	})
	if err != nil {
		return err
	}
	left := 0
	for _, n := range m.Content() {
		left += n
	}
	go func() { _ = db.Run(context.Background()) }()
	go func() { _ = m.Run(context.Background()) }()
	from, err := strconv.Atoi(os.Getenv(victim + "_FROM"))
	if err == nil {
		go func() {
			for n := from; ; n++ {
				window <- struct{}{}
				event := fmt.Appendf(nil, `{"do": "note", "n": %d, "path": %q}`, n, dir+"/notes/seen")
				err := m.Put(Call{Function: "f", Route: "row", Durable: true, Message: &message.Message{Topic: "t", Payload: event},
					Stored: func(error) { said <- fmt.Sprint("stored ", n) }})
				if err != nil {
					panic(err)
				}
			}
		}()
	}
	fmt.Println("left", left)
	for line := range said {
		fmt.Println(line)
		if strings.HasPrefix(line, "settled") {
			if left--; left == 0 && from == 0 {
				fmt.Println("empty")
			}
		}
	}
	return nil
}

// A gateway that is killed with calls under way makes them again: none is lost that was
// stored, and few come twice.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/notes", 0o777); err != nil {
		t.Fatal(err)
	}
	stored := map[int]bool{}
	const kills = 4
	left := 0
	for round := 1; round <= kills; round++ {
		from := round * 100000
		lines := 0
		runVictim(t, dir, fmt.Sprint(from), func(line string) bool {
			words := strings.Fields(line)
			switch words[0] {
			case "stored":
				n, err := strconv.Atoi(words[1])
				if err != nil {
					t.Fatalf("%q", line)
				}
				stored[n] = true
			case "settled":
				if words[1] != "done" {
					t.Errorf("%q", line)
				}
			case "left":
				n, _ := strconv.Atoi(words[1])
				left += n
			}
			lines++
			return lines > 300+round*37
		})
	}
	runVictim(t, dir, "", func(line string) bool {
		if line == "left 0" {
			return true
		}
		return line == "empty"
	})
	seen := map[int]int{}
	text, err := os.ReadFile(dir + "/notes/seen")
	if err != nil {
		t.Fatal(err)
	}
	calls, last := 0, 0
	for _, word := range strings.Fields(string(text)) {
		n, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		if seen[n] == 0 && n < last {
			t.Errorf("%d came for the first time after %d", n, last)
		}
		last = max(last, n)
		seen[n]++
		calls++
	}
	for n := range stored {
		if seen[n] == 0 {
			t.Errorf("%d was stored and never called", n)
		}
	}
	twice := calls - len(seen)
	if most := kills * (removeMany + 40); twice > most || len(stored) < 200 || left == 0 {
		t.Errorf("of %d stored calls %d came twice (at most %d may); %d were left by those killed", len(stored), twice, most, left)
	}
	t.Logf("%d stored, %d seen, %d twice, %d left", len(stored), len(seen), twice, left)
}

// runVictim starts a victim, and kills it when see says so.
func runVictim(t *testing.T, dir, from string, see func(line string) (enough bool)) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victim+"="+dir, victim+"_FROM="+from, victim+"_ACTOR="+actor(t))
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
	killed := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if see(lines.Text()) && !killed {
			killed = true
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
