package telemetry_test

import (
	"context"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"greengate/core/sqlite"
	"greengate/sync/telemetry"
)

// firstSchema are the migrations as the first release had them.
func firstSchema(t *testing.T) fstest.MapFS {
	t.Helper()
	text, err := telemetry.Migrations().Open("01-spool.sql")
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	data := make([]byte, 1<<16)
	n, err := text.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{"01-spool.sql": {Data: data[:n]}}
}

// old is a message as the first schema has it.
type old struct {
	lane, source, topic string
	seq, wall, ttl      int64
	flags               int
	properties          []byte
	payload             string
}

func (o *old) insert(tx *sqlite.Tx) error {
	sum := crc32.Checksum([]byte(o.source+o.topic+string(o.properties)+o.payload), crc32.MakeTable(crc32.Castagnoli))
	if strings.HasPrefix(o.payload, "damaged") {
		sum++
	}
	var properties any
	if o.properties != nil {
		properties = o.properties
	}
	return tx.Exec("INSERT INTO messages_"+o.lane+" VALUES (?, ?, ?, 1, 0, ?, ?, ?, ?, ?, ?, ?)",
		o.seq, o.source, o.topic, 5, o.wall, o.ttl, o.flags, int64(sum), properties, []byte(o.payload))
}

// A database of the first schema goes up with all that its messages had.
func TestFirstSchema(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &rig{t: t, link: newLink(t), file: filepath.Join(t.TempDir(), "spool.db"), settled: map[string]int{}}
		r.o.Clock = (&machine{booted: time.Now().Add(-time.Hour)}).clock
		wall := time.Now().Add(-time.Minute).UnixNano()
		hour := time.Hour.Milliseconds()
		messages := []old{
			{lane: "high", source: "d", topic: "a/ä", seq: 7, wall: wall, flags: 2, payload: "x\x00\xff\x00y"},
			{lane: "normal", source: "function:f", topic: strings.Repeat("t", 300), seq: 3, wall: wall, ttl: 30 * 24 * hour, flags: 2, payload: ""},
			{lane: "normal", source: "d", topic: "t", seq: 4, wall: wall, flags: 3, payload: strings.Repeat("long", 5000),
				properties: []byte(`{"ContentType":"text","User":[{"Name":"n","Value":"` + strings.Repeat("v", 1000) + `"}]}`)},
			{lane: "low", source: "d", topic: "t2", seq: 5, payload: "damaged"},
		}
		write(t, sqlite.Options{File: r.file, Migrations: firstSchema(t)}, func(tx *sqlite.Tx) error {
			for i := range messages {
				if err := messages[i].insert(tx); err != nil {
					return err
				}
			}
			for _, sql := range []string{
				`INSERT INTO routes VALUES (1, 'row', '{}')`, `INSERT INTO waiting VALUES (1, 0, 1, 9), (1, 1, 2, 20301), (1, 2, 1, 9)`,
				`INSERT INTO boots VALUES (1, 'boot-0', NULL)`, `UPDATE state SET reserved = 100`,
			} {
				if err := tx.Exec(sql); err != nil {
					return err
				}
			}
			return nil
		})
		r.start()
		defer r.stop()
		r.puts = len(messages)
		r.number("d", "t", 0, 3, telemetry.Route{})
		r.link.connect()
		r.drained()
		if got := r.quarantined(); len(got) != 1 || !strings.Contains(got[0], "damaged") {
			t.Errorf("in quarantine are %q", got)
		}
		for i, p := range r.link.got()[:3] {
			m := messages[i]
			time, source, seq := property(p, "gg-time"), property(p, "gg-source"), property(p, "gg-seq")
			if p.Topic != m.topic || string(p.Payload) != m.payload || source != m.source || seq != fmt.Sprint(m.seq) ||
				p.Retain != (m.flags&1 != 0) || (p.Expiry > 0) != (m.ttl > 0) || property(p, "gg-clock") != "synced" || time == "" {
				t.Errorf("of %s: came %s with %d bytes, %+v, expiry %v", m.topic, p.Topic, len(p.Payload), p.Properties, p.Expiry)
			}
			if m.properties != nil && (p.Properties.ContentType != "text" || len(property(p, "n")) != 1000) {
				t.Errorf("the properties are %+v", p.Properties)
			}
		}
		if n := len(r.link.got()); n != 6 {
			t.Errorf("%d came", n)
		}
	})
}

// write runs f on a database that nobody else has open.
func write(t *testing.T, o sqlite.Options, f func(*sqlite.Tx) error) {
	t.Helper()
	db, err := sqlite.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- db.Run(ctx) }()
	err = db.Update(context.Background(), f)
	cancel()
	if err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
