package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"greengate/subscriptions"
)

const head = "version: 1\ngroup: home\ncore: gw\n"

func mustParse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaultsHoldWhereTheFileIsSilent(t *testing.T) {
	c := mustParse(t, head+"broker: {strict_subscribe: true}\ncloud: {endpoint: e.example.com, certificate: c, key: k, ca: a, spool: {max_size: 1GiB}}\nfunctions: [{name: f, command: [x]}]\n")
	want := Default()
	if !c.Broker.StrictSubscribe || !reflect.DeepEqual(c.Broker.Listen, want.Broker.Listen) {
		t.Errorf("broker %+v", c.Broker)
	}
	if !reflect.DeepEqual(c.Discovery, want.Discovery) || c.Log != want.Log || !c.OwnShadows || c.Data != "data" {
		t.Errorf("got %+v", c)
	}
	if c.Cloud.Port != 8883 || c.Cloud.Spool.WhenFull != "drop_oldest" || c.Cloud.Spool.MaxSize != 1<<30 || c.Cloud.Rate.Bytes != 512<<10 {
		t.Errorf("cloud %+v", c.Cloud)
	}
	if f := c.Functions[0]; f.Timeout != 3*time.Second || f.Memory != 128<<20 {
		t.Errorf("function %+v", f)
	}
	if c.GPIO != nil {
		t.Error("a section that is not there is not nil")
	}
}

func TestRowsKnowWhereTheyStand(t *testing.T) {
	c := mustParse(t, head+`devices: [{thing: A}]
subscriptions:
  - {from:   A, topic: "a/#", to: 'A'}   # spaces do not count
  - from: A
    topic: b,c
    # a comment
    to: [A,
      cloud]
    ttl: 1d
  - {from: &me A,
     topic: "c", to: *me}
`)
	want := []subscriptions.Row{
		{From: subscriptions.Ends{"A"}, Topic: "a/#", To: subscriptions.Ends{"A"}, Line: 6, Column: 5, Text: `{from: A, topic: "a/#", to: 'A'}`},
		{From: subscriptions.Ends{"A"}, Topic: "b,c", To: subscriptions.Ends{"A", "cloud"}, TTL: 24 * time.Hour, Line: 7, Column: 5,
			Text: `{from: A, topic: "b,c", to: [A, cloud], ttl: 1d}`},
		{From: subscriptions.Ends{"A"}, Topic: "c", To: subscriptions.Ends{"A"}, Line: 13, Column: 5, Text: `{from: A, topic: "c", to: *me}`},
	}
	if !reflect.DeepEqual(c.Subscriptions, want) {
		t.Errorf("got  %+v\nwant %+v", c.Subscriptions, want)
	}
}

func TestPathsAreRelativeToTheFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "group.yaml")
	text := head + "data: state\npki: {dir: /etc/pki}\nfunctions: [{name: f, command: [x]}, {name: g, command: [x], dir: ../g}]\ncloud: {endpoint: e.example.com, certificate: c.pem, key: pki/k, ca: /a}\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.File, c.Data, c.Socket(), c.PKI.Dir, c.Functions[0].Dir, c.Functions[1].Dir, c.Cloud.Certificate, c.Cloud.Key, c.Cloud.CA}
	want := []string{file, dir + "/state", dir + "/state/greengate.sock", "/etc/pki", dir + "/functions/f", filepath.Dir(dir) + "/g", dir + "/c.pem", dir + "/pki/k", "/a"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "none.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Load(dir); err == nil {
		t.Error("a folder is no error")
	}
	for name, data := range map[string]struct{ text, want string }{
		"large":      {strings.Repeat("#", MaxSize+1), "g.yaml: the file has 16777217 bytes, more than 16777216"},
		"NUL":        {head + "data: \"a\x00b\"\n", `g.yaml:4:9: the control character U+0000 is not allowed (write it anew in an editor, as UTF-8)`},
		"no UTF-8":   {head + "data: ü\xffb\n", "g.yaml:4:8: the file is not UTF-8 (write it anew in an editor, as UTF-8)"},
		"UTF-16":     {"\xff\xfev\x00e\x00", "g.yaml:1:1: the file is not UTF-8 (write it anew in an editor, as UTF-8)"},
		"nesting":    {head + "data: " + strings.Repeat("[", 20000), ""},
		"deep block": {head + "data:\n" + strings.Repeat("- ", 20000), ""},
	} {
		_, err := Parse("g.yaml", []byte(data.text))
		if err == nil || data.want != "" && err.Error() != data.want {
			t.Errorf("%s: got  %v\nwant %s", name, err, data.want)
		}
	}
}

// A page of aliases that stands for 1.2 million values is refused in time.
func TestAliasBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString(head + "devices: [{thing: A}]\nsubscriptions:\n  - &r {from: A, topic: t, to: [" + strings.Repeat("A, ", 1000) + "]}\n")
	b.WriteString(strings.Repeat("  - *r\n", 1200))
	_, err := Parse("", []byte(b.String()))
	if err == nil || !strings.Contains(err.Error(), "the aliases of this file stand for more than 1000000 values") || strings.Count(err.Error(), "\n") > 0 {
		t.Errorf("got %.300v", err)
	}
}

func TestAFileOfFaultsEnds(t *testing.T) {
	_, err := Parse("", []byte(head+"devices:\n"+strings.Repeat("  - {thing: a b}\n", 5000)))
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != maxFaults+1 || faults[maxFaults].Problem != "4000 more faults are not listed" {
		t.Errorf("%d faults, the last %v", len(faults), faults[len(faults)-1])
	}
}

func TestSite(t *testing.T) {
	c := mustParse(t, head+"own_shadows: false\ndevices:\n  - {thing: A, labels: [x], own_shadows: true}\n  - {thing: B, shadow: none}\n  - thing: C\n    own_shadows: false\n")
	want := subscriptions.Site{Core: "gw", Devices: []subscriptions.Device{
		{Thing: "A", Labels: []string{"x"}, OwnShadows: true, OwnLine: 6, Line: 6}, {Thing: "B", NoShadow: true, OwnLine: 4, Line: 7}, {Thing: "C", OwnLine: 9, Line: 8},
	}}
	if got := c.Site(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if d := mustParse(t, head+"devices: [{thing: A}]\n").Site().Devices[0]; !d.OwnShadows || d.OwnLine != 0 {
		t.Errorf("by default: %+v", d)
	}
}

func TestPageAsked(t *testing.T) {
	if !mustParse(t, head+"admin: {listen: \":80\"}\n").PageAsked() || mustParse(t, head).PageAsked() {
		t.Error("who asked for the page is not known")
	}
}

// manyRows is a group file of rows as a person would write them.
func manyRows(rows int) []byte {
	var s bytes.Buffer
	s.WriteString(head + "devices:\n")
	for i := range 1000 {
		fmt.Fprintf(&s, "  - {thing: device-%d, labels: [sensor, floor-%d]}\n", i, i%10)
	}
	s.WriteString("subscriptions:\n")
	for i := range rows {
		fmt.Fprintf(&s, "  - {from: device-%d, topic: \"plant/%d/${from}/#\", to: [device-%d, \"label:floor-%d\"]}\n", i%1000, i, (i+7)%1000, i%10)
	}
	return s.Bytes()
}

// BenchmarkLoad is the way from a file to the table that can be put in force.
func BenchmarkLoad(b *testing.B) {
	for _, rows := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			file := filepath.Join(b.TempDir(), "group.yaml")
			text := manyRows(rows)
			if err := os.WriteFile(file, text, 0o644); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			cpu := processTime(b)
			for b.Loop() {
				c, err := Load(file)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := subscriptions.Compile(c.Subscriptions, c.Site()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e3/float64(b.N), "ms/load")
			b.ReportMetric((processTime(b)-cpu).Seconds()*1e3/float64(b.N), "cpu-ms/load")
		})
	}
}

// processTime is the CPU time of this process: a figure that other work does not spoil.
func processTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// What may have a password in it is not repeated by its fault.
func TestSecretsAreNotRepeated(t *testing.T) {
	_, err := Parse("g.yaml", []byte(head+"cloud: {endpoint: e.example.com, certificate: c, ca: a, proxy: 'ftp://me:1234@proxy', key: 'pkcs11:token=t;object=k?pin-value=1234'}\n"))
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 2 {
		t.Fatalf("got %v", err)
	}
	for _, f := range faults {
		if strings.Contains(f.Error()+f.Value, "1234") {
			t.Errorf("told: %+v", f)
		}
	}
}
