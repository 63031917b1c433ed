package testvm_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"greengate/testvm/streams"
)

// What was flushed before a cut is on the disk, whatever else is; of the other
// writes any may be there, or half of one.
func TestReplay(t *testing.T) {
	const a, b, c, d = 8 << 10, 16 << 10, 32 << 10, 64 << 10
	sector := func(x byte) []byte { return bytes.Repeat([]byte{x}, streams.Sector) }
	note := make([]byte, streams.Sector)
	copy(note, "note 1 acknowledged 7\n")
	r := logOf(t, []logged{
		{a, 0, sector('a')},
		{0, flush, nil},
		{streams.FileSystem, 0, note},
		{b, 0, append(sector('1'), sector('2')...)},
		{c, forced, sector('c')},
		{d, 0, sector('d')},
		{d, discard, sector('x')},
		{0, flush, nil},
	})
	if err := r.forward(7); err != nil {
		t.Fatal(err)
	}
	if r.notes[fact{1, streams.Acknowledged}] != 7 || len(r.notes) != 1 {
		t.Errorf("noted: %v", r.notes)
	}
	chance := rand.New(rand.NewPCG(1, 2))
	found := map[string]int{}
	for range 500 {
		p, _, err := r.cut(chance)
		if err != nil {
			t.Fatal(err)
		}
		if p.first(a) != 'a' || p.first(c) != 'c' {
			t.Fatal("a durable write is gone")
		}
		found[string([]byte{p.first(b), p.first(b + streams.Sector), p.first(d)})]++
	}
	for _, disk := range []string{"12d", "12\x00", "1\x00d", "1\x00\x00", "\x00\x00d", "\x00\x00\x00"} {
		if found[disk] == 0 {
			t.Errorf("no cut left %q", disk)
		}
		delete(found, disk)
	}
	if len(found) > 0 {
		t.Errorf("a write was torn from behind: %v", found)
	}
	if err := r.forward(8); err != nil {
		t.Fatal(err)
	}
	if p, _, _ := r.cut(chance); p.first(b+streams.Sector) != '2' || p.first(d) != 'd' {
		t.Error("the last flush made nothing durable")
	}
}

func TestTornSuperblock(t *testing.T) {
	for size, want := range map[int64]int64{512: 512, 1024: 1024, 1536: 2048, 2048: 2048, 2560: 2560} {
		if got := spareSuperblock(entry{at: 0, size: 4096}, size); got != want {
			t.Errorf("torn at %d: got %d, want %d", size, got, want)
		}
	}
	if got := spareSuperblock(entry{at: 4096, size: 4096}, 1536); got != 1536 {
		t.Errorf("elsewhere: got %d", got)
	}
}

// first is the byte at a place of the disk.
func (p *pages) first(at int64) byte {
	if page := p.at[at-at%pageSize]; page != nil {
		return page[at%pageSize]
	}
	return 0
}

// logged is an entry of a log to be made, with its data.
type logged struct {
	at    int64
	flags uint64
	data  []byte
}

// logOf writes a log, and opens it over an empty disk.
func logOf(t *testing.T, entries []logged) *replay {
	t.Helper()
	le := binary.LittleEndian
	sector := func(b []byte) []byte { return append(b, make([]byte, streams.Sector-len(b))...) }
	head := le.AppendUint64(le.AppendUint64(le.AppendUint64(nil, 0x6a736677736872), 1), uint64(len(entries)))
	text := sector(le.AppendUint32(head, streams.Sector))
	for _, e := range entries {
		h := le.AppendUint64(nil, uint64(e.at/streams.Sector))
		h = le.AppendUint64(le.AppendUint64(h, uint64(len(e.data)/streams.Sector)), e.flags)
		if text = append(text, sector(h)...); e.flags&discard == 0 {
			text = append(text, e.data...)
		}
	}
	log, base := filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "base")
	for path, content := range map[string][]byte{log: text, base: make([]byte, pageSize)} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := openWriteLog(log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.file.Close() })
	r, err := newReplay(l, base)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A verdict finds what is lost and what overtook, and forgives what comes twice.
func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		name                string
		acknowledged, taken int
		got                 arrivals
		findings, lost      int
		again               int
	}{
		{"all", 4, 2, arrivals{3, 4}, 0, 0, 0},
		{"more than acknowledged", 4, 2, arrivals{3, 4, 5}, 0, 0, 0},
		{"taken ones again", 4, 2, arrivals{1, 2, 3, 4}, 0, 0, 2},
		{"sent twice, the first ones taken", 5, 3, arrivals{4, 2, 3, 4, 5}, 0, 0, 3},
		{"the last is lost", 4, 2, arrivals{3}, 1, 1, 0},
		{"one in the middle is lost", 4, 0, arrivals{1, 2, 4}, 1, 1, 0},
		{"all are lost", 4, 0, nil, 1, 4, 0},
		{"one overtook", 4, 0, arrivals{1, 3, 2, 4}, 1, 0, 0},
	} {
		var v verdict
		v.judge(0, noted{{0, streams.Acknowledged}: c.acknowledged, {0, streams.Taken}: c.taken}, c.got)
		if len(v.findings) != c.findings || v.lost[streams.Session] != c.lost || v.again != c.again {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
}
