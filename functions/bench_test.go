package functions

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"greengate/core/message"
)

// BenchmarkWarmCall calls a Go function that runs, one call after the other, from Put to
// Settled: with the queue, the Runtime API over loopback, and the function's answer. Beside
// it stands the bare request: net/http on loopback, the same payload there and back.
func BenchmarkWarmCall(b *testing.B) {
	event := []byte(`{"do":"","n":12345,"path":"something of the length of a usual message"}`)
	b.Run("call", func(b *testing.B) {
		r := newReal(b, b.TempDir(), Options{}, acting(b, "f", pinned)).start()
		done := make(chan struct{}, 1)
		r.m.o.Settled = func(Settlement) { done <- struct{}{} }
		call := func() {
			m := message.Message{Topic: "t/f", Payload: event}
			if err := r.m.Put(Call{Function: "f", Route: "row", Message: &m}); err != nil {
				b.Fatal(err)
			}
			<-done
		}
		call()
		b.ReportAllocs()
		for b.Loop() {
			call()
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	})
	b.Run("parallel4", func(b *testing.B) {
		r := newReal(b, b.TempDir(), Options{}, acting(b, "f", func(c *Config) { c.Queue.Max = 100000 })).start()
		done := make(chan struct{}, 8)
		r.m.o.Settled = func(Settlement) { done <- struct{}{} }
		b.ReportAllocs()
		for range 8 {
			done <- struct{}{}
		}
		for b.Loop() {
			<-done
			m := message.Message{Topic: "t/f", Payload: event}
			if err := r.m.Put(Call{Function: "f", Route: "row", Message: &m}); err != nil {
				b.Fatal(err)
			}
		}
		for range 8 {
			<-done
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	})
	b.Run("bare", func(b *testing.B) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			_, _ = w.Write(body)
		})}
		go func() { _ = server.Serve(listener) }()
		defer server.Close()
		requests(b, listener.Addr().String(), event)
	})
	b.Run("bareprocess", func(b *testing.B) { // the server is another process, as a function is
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		address := listener.Addr().String()
		_ = listener.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cmd := bareActor(ctx, actor(b), "")
		cmd.Env = append(cmd.Env, "INIT=serve", "SERVE="+address)
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		defer func() {
			cancel()
			_ = cmd.Wait()
		}()
		for up := false; !up; {
			conn, err := net.Dial("tcp", address)
			if up = err == nil; up {
				_ = conn.Close()
			}
		}
		requests(b, address, event)
	})
}

// requests posts event, one request after the other.
func requests(b *testing.B, address string, event []byte) {
	b.ReportAllocs()
	for b.Loop() {
		resp, err := http.Post("http://"+address, "application/json", strings.NewReader(string(event)))
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

// BenchmarkColdStart is the first call of an on-demand function: all that stands between
// Put and Settled when no instance runs. Beside it stands the start of the same program
// without us: from its exec to its first request for work.
func BenchmarkColdStart(b *testing.B) {
	b.Run("call", func(b *testing.B) {
		r := newReal(b, b.TempDir(), Options{}, acting(b, "f")).start()
		done := make(chan struct{}, 1)
		r.m.o.Settled = func(Settlement) { done <- struct{}{} }
		f := r.m.find("f")
		for b.Loop() {
			m := message.Message{Topic: "t/f", Payload: []byte("{}")}
			if err := r.m.Put(Call{Function: "f", Route: "row", Message: &m}); err != nil {
				b.Fatal(err)
			}
			<-done
			b.StopTimer()
			for live := true; live; {
				f.mu.Lock()
				f.endUnused(whyIdle)
				live = len(f.instances) > 0
				f.mu.Unlock()
				time.Sleep(time.Millisecond)
			}
			b.StartTimer()
		}
	})
	b.Run("own", func(b *testing.B) {
		asked := make(chan struct{}, 1)
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			<-r.Context().Done()
		})}
		go func() { _ = server.Serve(listener) }()
		defer server.Close()
		dir := actor(b)
		for b.Loop() {
			ctx, cancel := context.WithCancel(context.Background())
			cmd := bareActor(ctx, dir, listener.Addr().String())
			if err := cmd.Start(); err != nil {
				b.Fatal(err)
			}
			<-asked
			b.StopTimer()
			cancel()
			_ = cmd.Wait()
			b.StartTimer()
		}
	})
}

// BenchmarkPut is what a call costs its publisher, and the queue, without a function's
// process: the answer comes from a fake on the same goroutines.
func BenchmarkPut(b *testing.B) {
	r := newRig(b, b.TempDir(), echo, Options{}, config("f", pinned)).start()
	done := make(chan struct{}, 1)
	r.m.o.Settled = func(Settlement) { done <- struct{}{} }
	payload, err := json.Marshal(fmt.Sprint(make([]int, 30)))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		m := message.Message{Topic: "t/f", Payload: payload}
		if err := r.m.Put(Call{Function: "f", Route: "row", Message: &m}); err != nil {
			b.Fatal(err)
		}
		<-done
	}
}
