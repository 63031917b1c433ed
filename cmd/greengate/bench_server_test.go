package main_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"

	"greengate/core/admin/client"
)

// server is a process that is measured.
type server struct {
	tb      testing.TB
	name    string
	address string // of its MQTT listener
	cmd     *exec.Cmd
	log     *buffer
	gone    chan struct{} // closed when the process has ended
}

// startGreengate starts the built program on the site.
func startGreengate(tb testing.TB, s *benchSite) *server {
	tb.Helper()
	return startServer(tb, s, "greengate", s.broker, greengateCommand(tb, s.file, "run"))
}

// startMochi starts a bare mochi with the keys of the site.
func startMochi(tb testing.TB, s *benchSite) *server {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	address := freeAddress(tb, "127.0.0.1")
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), peerAddress+"="+address, peerKeys+"="+filepath.Join(s.dir, "pki"))
	return startServer(tb, s, "mochi", address, cmd)
}

// startServer starts a process, which ends with the benchmark at the latest, and
// waits until it has accepted an MQTT connection.
func startServer(tb testing.TB, site *benchSite, name, address string, cmd *exec.Cmd) *server {
	tb.Helper()
	s := &server{tb: tb, name: name, address: address, cmd: cmd, log: new(buffer), gone: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = s.log, s.log
	// A benchmark that is killed must not leave a server behind.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		close(s.gone)
	}()
	tb.Cleanup(s.stop)
	s.accepts(site, publisher(0))
	return s
}

// accepts waits until the server has accepted an MQTT connection of thing. It
// asks every millisecond, since the time until then is measured.
func (s *server) accepts(site *benchSite, thing string) {
	s.tb.Helper()
	limit := time.After(patience)
	for {
		if conn, err := net.Dial("tcp", s.address); err == nil {
			_ = conn.Close()
			break
		}
		select {
		case <-s.gone:
			s.tb.Fatalf("%s ended: %v\n%s", s.name, s.cmd.ProcessState, s.log)
		case <-limit:
			s.tb.Fatalf("%s does not listen on %s\n%s", s.name, s.address, s.log)
		case <-time.After(time.Millisecond):
		}
	}
	c, err := site.dial(s, thing)
	if err != nil {
		s.tb.Fatalf("%s: %v\n%s", s.name, err, s.log)
	}
	_ = c.Close()
}

// stop ends the process; it must have lived until now and end well.
func (s *server) stop() {
	s.tb.Helper()
	select {
	case <-s.gone:
	default:
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.gone:
		case <-time.After(patience):
			_ = s.cmd.Process.Kill()
			<-s.gone
		}
	}
	if !s.cmd.ProcessState.Success() {
		s.tb.Errorf("%s ended with %v\n%s", s.name, s.cmd.ProcessState, s.log)
	}
}

// cpu is the CPU time that the process has used, in steps of 10 ms.
func (s *server) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The name, field 2, may hold spaces but ends with the last bracket; utime
	// and stime are fields 14 and 15 of proc(5).
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read the CPU time of %s: %w", s.name, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100, nil
}

// resident is the memory of the process in MB (a million bytes).
func (s *server) resident() float64 {
	s.tb.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.tb.Fatal(err)
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	kib, err := strconv.Atoi(string(bytes.Fields(rest)[0]))
	if err != nil {
		s.tb.Fatalf("read the memory of %s: %v", s.name, err)
	}
	return float64(kib) * 1024 / 1e6
}

// status is what the gateway tells of itself.
func (s *server) status(site *benchSite) (st client.Status) {
	s.tb.Helper()
	out, err := greengateCommand(s.tb, site.file, "status", "--json").Output()
	if err == nil {
		err = json.Unmarshal(out, &st)
	}
	if err != nil {
		s.tb.Fatalf("greengate status: %v\n%s", err, out)
	}
	return st
}

// The environment that makes this test binary the bare mochi server: where it
// listens, and the folder of its keys.
const (
	peerAddress = "GREENGATE_BENCH_MOCHI"
	peerKeys    = "GREENGATE_BENCH_KEYS"
)

func init() {
	if address := os.Getenv(peerAddress); address != "" {
		if err := serveMochi(address, os.Getenv(peerKeys)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// serveMochi runs mochi as it comes, with the gateway's TLS settings, until
// SIGTERM.
func serveMochi(address, keys string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cert, err := tls.LoadX509KeyPair(filepath.Join(keys, "server.pem"), filepath.Join(keys, "server.key"))
	if err != nil {
		return err
	}
	s := mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler)})
	if err := s.AddHook(new(auth.AllowHook), nil); err != nil {
		return err
	}
	if err := s.AddListener(listeners.NewTCP(listeners.Config{
		ID: "bench", Address: address,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert},
	})); err != nil {
		return err
	}
	if err := s.Serve(); err != nil {
		return err
	}
	<-ctx.Done()
	return s.Close()
}
