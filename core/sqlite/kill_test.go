package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
)

// victim, in the environment, names the database that this test program then
// writes to until it is killed, instead of running its tests.
const victim = "GREENGATE_SQLITE_VICTIM"

func TestMain(m *testing.M) {
	if file := os.Getenv(victim); file != "" {
		fmt.Fprintln(os.Stderr, writeUntilKilled(file))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeUntilKilled writes rows from several callers, and prints the id of each one
// that was acknowledged.
func writeUntilKilled(file string) error {
	db, err := Open(Options{File: file, Migrations: schema})
	if err != nil {
		return err
	}
	var first int
	err = db.View(context.Background(), func(tx *Tx) error {
		return tx.QueryRow("SELECT coalesce(max(id), 0) + 1 FROM rows").Scan(&first)
	})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	for caller := range 8 {
		go func() {
			for id := first + caller; ; id += 8 {
				if err := db.Update(context.Background(), insert(id)); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				mu.Lock()
				fmt.Println(id)
				mu.Unlock()
			}
		}()
	}
	return db.Run(context.Background())
}

// A process that is killed loses nothing that it acknowledged. That the power cut
// does not either is shown below the file system, in testvm.
func TestKill(t *testing.T) {
	file := newFile(t)
	acknowledged := make(map[int]bool)
	for range 4 {
		killAfter(t, file, 500, acknowledged)
		db, err := Open(Options{File: file, Migrations: schema})
		if err != nil {
			t.Fatal(err)
		}
		found := make(map[int]bool)
		for _, id := range ids(t, db) {
			found[id] = true
		}
		for id := range acknowledged {
			if !found[id] {
				t.Errorf("row %d was acknowledged and is lost", id)
			}
		}
		if more := len(found) - len(acknowledged); more < 0 || more > 4*8 {
			t.Errorf("%d rows more than were acknowledged, want at most one for each caller and kill", more)
		}
		if err := db.Check(t.Context()); err != nil {
			t.Error(err)
		}
		db.Close()
	}
}

// killAfter starts a victim, kills it when it has acknowledged n rows, and adds all
// that it acknowledged.
func killAfter(t *testing.T, file string, n int, acknowledged map[int]bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victim+"="+file)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for got := 1; lines.Scan(); got++ {
		id, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		acknowledged[id] = true
		if got == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Fatalf("the victim ended with %v", err)
	}
}
