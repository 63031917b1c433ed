package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"greengate/testvm/freeport"
)

// kind is one of the servers that are compared.
type kind string

const (
	greengate kind = "greengate"
	mosquitto kind = "mosquitto"
	mochi     kind = "mochi"
	relay     kind = "relay" // no broker: what TLS alone costs
)

var (
	brokers  = []kind{greengate, mosquitto, mochi}
	allKinds = append(brokers[:3:3], relay)
)

// programs are what the servers are started from.
type programs struct {
	site      *site
	greengate string // path
	mosquitto string // path
	self      string // path; serves as mochi and as the relay
	suite     uint16 // of TLS 1.3, which the first server chose for this processor
}

// server is a process that is measured.
type server struct {
	kind    kind
	address string // of its MQTT listener
	cmd     *exec.Cmd
	log     string        // path
	gone    chan struct{} // closed when the process has ended
}

// start starts a fresh server and waits until it has accepted an MQTT connection.
// The group is of interest to greengate only: the others let everything pass.
func (p *programs) start(ctx context.Context, k kind, g group) (*server, error) {
	s := &server{kind: k, log: p.site.path(string(k) + ".log"), gone: make(chan struct{})}
	var err error
	if s.address = p.site.brokers[g]; k != greengate {
		if s.address, err = freeport.Take("127.0.0.1"); err != nil {
			return nil, err
		}
	}
	switch k {
	case greengate:
		s.cmd = exec.Command(p.greengate, "run", "--config", p.site.path(g.name+".yaml"))
	case mosquitto:
		config := p.site.path("mosquitto.conf")
		if err := os.WriteFile(config, p.mosquittoConfig(s.address), 0o600); err != nil {
			return nil, err
		}
		s.cmd = exec.Command(p.mosquitto, "-c", config)
	case mochi:
		s.cmd = exec.Command(p.self, serveMochiCommand, s.address, p.site.path("pki"))
	case relay:
		s.cmd = exec.Command(p.self, serveRelayCommand, s.address, p.site.path("pki"))
	}
	if err := s.run(); err != nil {
		return nil, fmt.Errorf("start %s: %w", k, err)
	}
	state, err := s.accepts(ctx, p.site.devices[publisherName(0)])
	if err == nil {
		err = p.same(s, state)
	}
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// run starts the process. Its log goes to a file, so that the load need not carry it.
func (s *server) run() error {
	log, err := os.Create(s.log)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	// Whoever kills us must not leave a server behind.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.gone)
	}()
	return nil
}

// accepts waits until the server has accepted an MQTT connection of d, and returns
// what TLS it was.
func (s *server) accepts(ctx context.Context, d *device) (t tls.ConnectionState, err error) {
	limit := time.After(patience)
	for {
		c, err := d.dial(ctx, s.address, 512)
		if err == nil {
			c.leave()
			return c.ConnectionState(), nil
		}
		select {
		case <-ctx.Done():
			return t, ctx.Err()
		case <-s.gone:
			return t, s.failed(fmt.Errorf("ended with %v", s.cmd.ProcessState))
		case <-limit:
			return t, s.failed(fmt.Errorf("accepts nobody: %w", err))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// same is an error when the server chose another kind of TLS than all are to do.
func (p *programs) same(s *server, t tls.ConnectionState) error {
	if p.suite == 0 {
		p.suite = t.CipherSuite
	}
	if t.Version != tls.VersionTLS13 || t.CipherSuite != p.suite || t.CurveID != tls.X25519 {
		return s.failed(fmt.Errorf("speaks %s with %s and %s", tls.VersionName(t.Version), tls.CipherSuiteName(t.CipherSuite), t.CurveID))
	}
	return nil
}

// failed adds to err who it was and the end of its log.
func (s *server) failed(err error) error {
	log, _ := os.ReadFile(s.log)
	return fmt.Errorf("%s: %w\n%s", s.kind, err, log[max(0, len(log)-2000):])
}

// stop ends the process; it is an error when it did not live until now.
func (s *server) stop() error {
	select {
	case <-s.gone:
		return s.failed(fmt.Errorf("ended with %v", s.cmd.ProcessState))
	default:
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.gone:
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		<-s.gone
		return s.failed(errors.New("did not end on SIGTERM"))
	}
	return nil
}

// cpu is the CPU time that all threads of the process have used, also those that
// have ended, exact to the nanosecond: the clock of clock_getcpuclockid(3). The
// same sum stands in /proc/PID/stat, in steps of 10 ms, which would be too coarse
// for a server that needs 20 ms in 2 s; and schedstat tells of living threads only.
func (s *server) cpu() (time.Duration, error) {
	const sched = 2 // CPUCLOCK_SCHED of the kernel's posix-timers.h
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^s.cmd.Process.Pid<<3|sched), &t); err != nil {
		return 0, s.failed(fmt.Errorf("read the CPU clock: %w", err))
	}
	return time.Duration(t.Nano()), nil
}

// resident is the memory of the process in bytes.
func (s *server) resident() (int64, error) {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), "status"))
	if err != nil {
		return 0, s.failed(err)
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	words := bytes.Fields(rest)
	if len(words) == 0 {
		return 0, s.failed(errors.New("has no memory any more"))
	}
	kib, err := strconv.ParseInt(string(words[0]), 10, 64)
	return kib << 10, err
}
