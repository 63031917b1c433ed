package telemetry_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"greengate/sync/telemetry"
)

// An operator sees what waits, since when, and what is to come.
func TestStats(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{MaxSize: 8 << 20, Rate: 100})
		low := telemetry.Route{Key: "low row", Priority: telemetry.Low}
		for i := range 120 { // 10 a second
			r.put("d", "t", fat(i), low)
			time.Sleep(100 * time.Millisecond)
		}
		r.flushed()
		st := r.spool.Stats()
		if st.Messages != 120 || st.ByPriority["low"].Messages != 120 || st.Routes["low row"].Messages != 120 || st.Bytes < 120_000 {
			t.Errorf("%+v", st)
		}
		if age := st.OldestAge.Round(time.Second); age != 12*time.Second || st.Oldest == nil {
			t.Errorf("the oldest is %v old: %+v", age, st.Oldest)
		}
		f := st.Forecast
		if f.IntakeRate < 8 || f.IntakeRate > 12 || f.DrainRate != 0 {
			t.Errorf("%+v", f)
		}
		if want := 120 * time.Second / 90; f.DrainedIn < want*8/10 || f.DrainedIn > want*12/10 {
			t.Errorf("it says drained in %v, want about %v", f.DrainedIn, want)
		}
		// What it says of the time until full must come true, about.
		start := time.Now()
		n := 0
		for ; r.spool.Stats().Dropped[telemetry.ReasonOldest] == 0 && n < 20000; n++ {
			r.put("d", "t", fat(n), low)
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(start); f.FullIn < took/2 || f.FullIn > took*2 {
			t.Errorf("it said full in %v, it took %v", f.FullIn, took)
		}
	})
}

func TestListAndExport(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		for i := range 600 {
			r.put("d", "low", strconv.Itoa(i), telemetry.Route{Key: "low", Priority: telemetry.Low, TTL: time.Hour})
			r.put("d", "high", "\xff\x00", telemetry.Route{Key: "high", Priority: telemetry.High})
		}
		r.flushed()
		records, err := r.spool.List(context.Background(), 601)
		if err != nil || len(records) != 601 {
			t.Fatalf("%d records, %v", len(records), err)
		}
		if records[0].Topic != "high" || records[600].Topic != "low" || string(records[600].Payload) != "0" || records[600].TTL != time.Hour {
			t.Errorf("the first is %+v, the last %+v", records[0], records[600])
		}
		var out bytes.Buffer
		if err := r.spool.Export(context.Background(), &out); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(&out)
		n := 0
		for ; lines.Scan(); n++ {
			var line struct {
				Topic, Source, Route, Clock, Payload string
				Time                                 time.Time
				Base64                               []byte `json:"payload_base64"`
			}
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				t.Fatal(err)
			}
			if line.Source != "d" || line.Time.IsZero() || line.Clock != "unsynced" || line.Route != line.Topic {
				t.Errorf("%s", lines.Bytes())
			}
			if text := line.Payload + string(line.Base64); n < 600 && text != "\xff\x00" || n >= 600 && text != fmt.Sprint(n-600) {
				t.Errorf("%d: %s", n, lines.Bytes())
			}
		}
		if n != 1200 {
			t.Errorf("%d lines", n)
		}
	})
}

// A link that looks well and acknowledges nothing is told by how long that lasts.
func TestUnacked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.link.connect()
		r.put("d", "t", "a", telemetry.Route{})
		r.drained()
		if st := r.spool.Stats(); st.Unacked != 0 {
			t.Errorf("%v after the acknowledgement", st.Unacked)
		}
		r.link.die()
		r.put("d", "t", "b", telemetry.Route{})
		r.flushed()
		time.Sleep(7 * time.Second)
		if st := r.spool.Stats(); st.Unacked < 6*time.Second || st.Unacked > 8*time.Second {
			t.Errorf("%v after 7s", st.Unacked)
		}
	})
}
