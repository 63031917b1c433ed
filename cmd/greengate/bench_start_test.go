package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"greengate/configs"
	"greengate/core/message"
	"greengate/core/sqlite"
	"greengate/subscriptions"
	"greengate/sync/telemetry"
)

// The start of the gateway, measured.

// backlog is how many messages wait for the cloud when the gateway starts.
const backlog = 1_000_000

// BenchmarkStartBacklog is the time from the start of the process until it has told the
// service manager that it is ready and has accepted an MQTT connection, in a group of
// 1,000 devices and 10,000 rows with a spool of a million messages.
func BenchmarkStartBacklog(b *testing.B) {
	site := newBenchSite(b, true)
	site.addCloud(b)
	site.fillSpool(b, backlog)
	socket := filepath.Join(b.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	b.Setenv("NOTIFY_SOCKET", socket)
	var times, cpus []float64
	for b.Loop() {
		began := time.Now()
		s := startGreengate(b, site)
		awaitReady(b, conn)
		times = append(times, float64(time.Since(began).Microseconds())/1e3)
		cpu, err := s.cpu()
		if err != nil {
			b.Fatal(err)
		}
		cpus = append(cpus, cpu.Seconds()*1e3)
		b.StopTimer()
		if st := s.status(site); st.Spool.Messages != backlog {
			b.Fatalf("%d messages wait", st.Spool.Messages)
		}
		s.stop()
		b.StartTimer()
	}
	slices.Sort(times)
	slices.Sort(cpus)
	b.ReportMetric(times[len(times)/2], "ms/start")
	b.ReportMetric(times[len(times)-1], "ms-longest")
	b.ReportMetric(cpus[len(cpus)/2], "cpu-ms/start")
	b.ReportMetric(0, "ns/op")
}

// awaitReady waits until the process has told the service manager that it is ready.
func awaitReady(b *testing.B, conn *net.UnixConn) {
	b.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		b.Fatal(err)
	}
	for buf := make([]byte, 4096); ; {
		n, err := conn.Read(buf)
		if err != nil {
			b.Fatalf("the gateway does not get ready: %v", err)
		}
		if bytes.HasPrefix(buf[:n], []byte("READY=1")) {
			return
		}
	}
}

// addCloud gives the group a cloud that is not there.
func (s *benchSite) addCloud(b *testing.B) {
	b.Helper()
	f, err := os.OpenFile(s.file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(freeAddress(b, "127.0.0.1"))
	_, err = fmt.Fprintf(f, "cloud: {endpoint: localhost, port: %s, certificate: pki/server.pem, key: pki/server.key, ca: pki/root-ca.pem, spool: {max_size: 4GiB}}\n", port)
	if err := errors.Join(err, f.Close()); err != nil {
		b.Fatal(err)
	}
}

// fillSpool puts n messages of the publishers onto the disk, as the gateway would.
func (s *benchSite) fillSpool(b *testing.B, n int) {
	b.Helper()
	c, err := configs.Load(s.file)
	if err != nil {
		b.Fatal(err)
	}
	table, err := subscriptions.Compile(c.Subscriptions, c.Site())
	if err != nil {
		b.Fatal(err)
	}
	// Each machine has a row of its own that leads to the cloud: a start has to find them all.
	type lane struct{ thing, topic, key string }
	var lanes []lane
	for _, thing := range s.things {
		topic := "plant/" + thing + "/0/alarm/high"
		match := table.Lookup(message.DeviceEndpoint(thing), topic)
		if match == nil {
			continue
		}
		if row, ok := match.Allows(message.Endpoint{Kind: message.Cloud}); ok {
			lanes = append(lanes, lane{thing, topic, table.Key(row)})
		}
	}
	if len(lanes) < 500 {
		b.Fatalf("%d rows lead to the cloud", len(lanes))
	}
	if err := os.MkdirAll(c.Data, 0o750); err != nil {
		b.Fatal(err)
	}
	db, err := sqlite.Open(sqlite.Options{File: filepath.Join(c.Data, "spool.db"), Migrations: telemetry.Migrations()})
	if err != nil {
		b.Fatal(err)
	}
	spool, err := telemetry.New(telemetry.Options{DB: db, Link: noLink{}, MaxSize: 64 << 30})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = spool.Run(ctx) })
	dbCtx, cancelDB := context.WithCancel(context.Background())
	var runningDB sync.WaitGroup
	runningDB.Go(func() { _ = db.Run(dbCtx) })
	payload := bytes.Repeat([]byte("p"), 200)
	slots := make(chan struct{}, 2000)
	for i := range n {
		slots <- struct{}{}
		l := lanes[i%len(lanes)]
		m := message.Message{Source: message.DeviceEndpoint(l.thing), Topic: l.topic, Payload: payload, QoS: 1}
		if err := spool.Put(&m, telemetry.Route{Key: l.key}, func(error) { <-slots }); err != nil {
			b.Fatal(err)
		}
	}
	for range cap(slots) {
		slots <- struct{}{}
	}
	cancel()
	running.Wait()
	cancelDB()
	runningDB.Wait()
}

// noLink is a cloud that is not there.
type noLink struct{}

func (noLink) Send(context.Context, *telemetry.Publish, func(error)) error {
	return telemetry.ErrOffline
}
func (noLink) Connected() bool          { return false }
func (noLink) Changed() <-chan struct{} { return nil }
func (noLink) Check(string, int) error  { return nil }
