package subscriptions_test

import (
	"testing"

	. "greengate/subscriptions"
)

func TestFind(t *testing.T) {
	rows, site := plant(3000)
	rows = append(rows, rows[5], Row{From: Ends{"device:machine-00001", "label:area0", "cloud"}, Topic: "a b", To: Ends{"cloud", "shadow"}, Priority: "high", Line: len(rows) + 2})
	table, err := Compile(rows, site)
	if err != nil {
		t.Fatal(err)
	}
	for row := range table.Len() {
		want := row
		if row == 3000 {
			want = 5 // says the same, and is the first
		}
		if got, ok := table.Find(table.Key(row)); !ok || got != want {
			t.Fatalf("row %d: found %d, %v by %s", row, got, ok, table.Key(row))
		}
	}
	if row, ok := table.Find("{from: nobody, topic: x, to: cloud}"); ok {
		t.Errorf("found row %d by the key of none", row)
	}
	empty, err := Compile(nil, Site{})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := empty.Find(""); ok {
		t.Error("found a row of an empty table")
	}
}

// BenchmarkFind is the first search in a table of 100,000 rows, and another.
func BenchmarkFind(b *testing.B) {
	rows, site := plant(100_000)
	for b.Loop() {
		b.StopTimer()
		table, err := Compile(rows, site)
		if err != nil {
			b.Fatal(err)
		}
		key := table.Key(99_000)
		b.StartTimer()
		if row, ok := table.Find(key); !ok || row != 99_000 {
			b.Fatal(row, ok)
		}
	}
}
