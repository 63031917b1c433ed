package audit

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// change puts rights in force and fails the test if the log cannot be written.
func change(t *testing.T, l *Log, rights ...string) (Entry, bool) {
	t.Helper()
	e, ok, err := l.Change(Entry{Time: noon, Event: "reload", By: "uid 0"}, rights)
	if err != nil {
		t.Fatal(err)
	}
	return e, ok
}

func verify(t *testing.T, l *Log) (n int) {
	t.Helper()
	for _, err := range l.Read() {
		if err != nil {
			t.Errorf("the chain is broken: %v", err)
		}
		n++
	}
	return n
}

// broken is what Read says of a log.
func broken(l *Log) (all []string) {
	for _, err := range l.Read() {
		if err != nil {
			all = append(all, err.Error())
		}
	}
	return all
}

func TestEntriesTellWhatCameAndWhatWent(t *testing.T) {
	l := At(filepath.Join(t.TempDir(), "audit.log"))
	first, _ := change(t, l, "row b", "row a", "row a")
	if first.Seq != 1 || first.Prev != "" || !slices.Equal(first.Added, []string{"row a", "row b"}) {
		t.Errorf("first entry %+v", first)
	}
	if e, ok := change(t, l, "row a", "row b"); ok {
		t.Errorf("nothing changed, and an entry was written: %+v", e)
	}
	second, ok := change(t, l, "row b", "row c")
	if !ok || second.Seq != 2 || !slices.Equal(second.Added, []string{"row c"}) || !slices.Equal(second.Removed, []string{"row a"}) {
		t.Errorf("second entry %+v", second)
	}
	// What a command writes has no rights in it, and takes none away.
	if _, err := l.Append(Entry{Time: noon, Event: "token"}); err != nil {
		t.Fatal(err)
	}
	if e, ok := change(t, l, "row b", "row c"); ok {
		t.Errorf("nothing changed, and an entry was written: %+v", e)
	}
	if n := verify(t, l); n != 3 {
		t.Errorf("%d entries instead of 3", n)
	}
}

// TestTampering changes the log in each way that somebody could who wants to hide something.
func TestTampering(t *testing.T) {
	for name, tamper := range map[string]func(lines [][]byte) [][]byte{
		"a word is changed": func(l [][]byte) [][]byte {
			l[1] = bytes.Replace(l[1], []byte("row 1"), []byte("row 7"), 1)
			return l
		},
		"a line is taken out":   func(l [][]byte) [][]byte { return slices.Delete(l, 1, 2) },
		"a line is put in":      func(l [][]byte) [][]byte { return slices.Insert(l, 2, l[1]) },
		"two lines are swapped": func(l [][]byte) [][]byte { l[1], l[2] = l[2], l[1]; return l },
		"a line is rubbish":     func(l [][]byte) [][]byte { l[2] = []byte("{}x\n"); return l },
		"the first are gone":    func(l [][]byte) [][]byte { return l[2:] },
		"all are gone":          func([][]byte) [][]byte { return nil },
		"the first is of a new file": func(l [][]byte) [][]byte {
			return append([][]byte{[]byte(`{"seq":2,"event":"file","prev":"feed"}` + "\n")}, l[2:]...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.log")
			l := At(path)
			for i := range 5 {
				change(t, l, fmt.Sprint("row ", i))
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lines := tamper(slices.Collect(bytes.Lines(text)))
			if err := os.WriteFile(path, bytes.Join(lines, nil), 0o600); err != nil {
				t.Fatal(err)
			}
			if len(broken(l)) == 0 {
				t.Error("nobody noticed")
			}
		})
	}
}

// TestCutOffEnd is what a power cut leaves: a part of an entry, which nobody was told of.
func TestCutOffEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := At(path)
	change(t, l, "row a")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"seq":2,"ti`); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	e, ok := change(t, l, "row b")
	if !ok || e.Seq != 2 || !strings.Contains(e.Note, "cut off") {
		t.Errorf("entry after the power cut: %+v", e)
	}
	if n := verify(t, l); n != 2 {
		t.Errorf("%d entries instead of 2", n)
	}
}

// TestBounded fills the log far above its bound: the old files go, and the rights that are in
// force are still known.
func TestBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := At(path)
	l.max = 2000
	for i := range 200 {
		change(t, l, "row that stays", fmt.Sprint("row ", i))
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != maxOld+1 {
		t.Errorf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Size() > 3000 {
			t.Errorf("%s: %v, %v", f, info.Size(), err)
		}
	}
	verify(t, l)
	if e, ok := change(t, l, "row that stays", "row 199"); ok {
		t.Errorf("the rights are not known any more: %+v", e)
	}
	var last Entry
	for e, err := range l.Read() {
		if err != nil {
			t.Fatal(err)
		}
		last = e
	}
	if !slices.Equal(last.Added, []string{"row 199"}) {
		t.Errorf("last entry %+v", last)
	}
	// A copy is the whole record, and goes on by itself.
	elsewhere := t.TempDir()
	copies, err := l.Copy(elsewhere)
	if err != nil || len(copies) != maxOld+1 {
		t.Fatalf("copied %v, %v", copies, err)
	}
	there := At(filepath.Join(elsewhere, "audit.log"))
	n := verify(t, there)
	if e, ok := change(t, there, "row that stays"); !ok || e.Seq != last.Seq+1 || verify(t, there) != n+1 || verify(t, l) != n {
		t.Errorf("the copy does not go on: %+v", e)
	}
}

// TestOldFilesAreTakenOut: that the oldest file is gone is as it should be only while as many
// follow it as stay.
func TestOldFilesAreTakenOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := At(path)
	l.max = 2000
	for i := range 200 {
		change(t, l, fmt.Sprint("row ", i))
	}
	oldest := l.old()[0]
	if err := os.Rename(oldest, path+".away"); err != nil {
		t.Fatal(err)
	}
	if said := broken(l); len(said) != 1 || !strings.Contains(said[0], ":1: the record begins with entry ") {
		t.Errorf("without its oldest file: %q", said)
	}
	if err := os.Rename(path+".away", oldest); err != nil {
		t.Fatal(err)
	}
	verify(t, l)
	text, err := os.ReadFile(oldest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(oldest, text[bytes.IndexByte(text, '\n')+1:], 0o600); err != nil {
		t.Fatal(err)
	}
	if said := broken(l); len(said) != 1 || !strings.Contains(said[0], ":1: the record begins with entry ") {
		t.Errorf("without the first line of its oldest file: %q", said)
	}
	if err := os.WriteFile(oldest, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if said := broken(l); len(said) != 1 || said[0] != path+": it is not there, but those before it are" {
		t.Errorf("without its newest file: %q", said)
	}
}

// TestPowerCutAtANewFile: the old file has its second name already, and is still the newest.
func TestPowerCutAtANewFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := At(path)
	for i := range 3 {
		change(t, l, fmt.Sprint("row ", i))
	}
	if err := os.Link(path, fmt.Sprintf("%s.%020d", path, 4)); err != nil {
		t.Fatal(err)
	}
	if n := verify(t, l); n != 3 {
		t.Errorf("%d entries instead of 3", n)
	}
	l.max = 1
	change(t, l, "row 3")
	if n := verify(t, l); n != 5 || len(l.old()) != 1 {
		t.Errorf("%d entries instead of 3, one that begins a file, and the new one; old files: %q", n, l.old())
	}
}

// TestManyWriters is the daemon and commands that write at the same time, over the begin of
// new files.
func TestManyWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			l := At(path)
			l.max = 10_000
			for i := range 25 {
				if _, err := l.Append(Entry{Time: noon, Event: "token", Note: fmt.Sprint(w, i, strings.Repeat("x", 300))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	tokens := 0
	for e, err := range At(path).Read() {
		if err != nil {
			t.Error(err)
		}
		if e.Event == "token" {
			tokens++
		}
	}
	if tokens != 100 {
		t.Errorf("%d entries instead of 100", tokens)
	}
}
