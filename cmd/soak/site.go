package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"greengate/core/admin/client"
	"greengate/sync/cloud/cloudtest"
	"greengate/testvm/freeport"
)

const coreThing = "soak_Core"

// site is the group of a soak, made by the commands that a person would use, and
// the gateway that serves it.
type site struct {
	program                  string
	dir, file                string
	broker, discovery, admin string // HOST:PORT
	base, other              string // the two versions of the group file
	credentials              map[string]*tls.Config

	control *client.Client
	cmd     *exec.Cmd
	gone    chan struct{} // closed when the gateway has ended
}

// newSite makes the site of a plan in dir, which must not exist.
func newSite(ctx context.Context, dir, program string, p *plan, cloud *cloudtest.Cloud) (*site, error) {
	s := &site{program: program, dir: dir, file: filepath.Join(dir, "group.yaml"), credentials: map[string]*tls.Config{}, gone: make(chan struct{})}
	for _, address := range []*string{&s.broker, &s.discovery, &s.admin} {
		var err error
		if *address, err = freeport.Take("127.0.0.1"); err != nil {
			return nil, err
		}
	}
	if err := s.command(ctx, "init", dir, "--group", "soak", "--core", coreThing, "--key", "p-256"); err != nil {
		return nil, err
	}
	head := fmt.Sprintf(groupHead, s.broker, s.discovery, s.admin)
	if err := os.WriteFile(s.file, []byte(head), 0o644); err != nil {
		return nil, fmt.Errorf("write the group file: %w", err)
	}
	if err := s.addDevices(ctx, p.things); err != nil {
		return nil, err
	}
	devices, err := os.ReadFile(s.file)
	if err != nil {
		return nil, fmt.Errorf("read the group file: %w", err)
	}
	files, err := cloud.Files(filepath.Join(dir, "pki"), coreThing)
	if err != nil {
		return nil, fmt.Errorf("make the certificate for the cloud: %w", err)
	}
	link := fmt.Sprintf(groupCloud, cloud.Name(), cloud.Port(), files.Certificate, files.Key, files.CA)
	s.base = string(devices) + link + p.functions() + p.rows(nil)
	s.other = string(devices) + link + p.functions() + p.rows(strangeRows())
	s.control = client.New(filepath.Join(dir, "data", "greengate.sock"))
	return s, s.write(s.base)
}

// addDevices adds the things, a few at a time: each is a run of the program.
func (s *site) addDevices(ctx context.Context, things []thing) error {
	var (
		all   sync.WaitGroup
		mu    sync.Mutex
		fault error
		turn  = make(chan struct{}, 4)
	)
	for _, t := range things {
		all.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			args := []string{"device", "add", t.name, "--out", s.folder(t.name), "--config", s.file}
			for _, l := range t.labels {
				args = append(args, "--label", l)
			}
			err := s.command(ctx, args...)
			var c *tls.Config
			if err == nil {
				c, err = credential(s.folder(t.name), t.name)
			}
			mu.Lock()
			defer mu.Unlock()
			fault = errors.Join(fault, err)
			s.credentials[t.name] = c
		})
	}
	all.Wait()
	return fault
}

func (s *site) folder(thing string) string { return filepath.Join(s.dir, "devices", thing) }
func (s *site) data() string               { return filepath.Join(s.dir, "data") }

// credential reads what `greengate device add THING --out folder` wrote. Its TLS
// sessions are resumed, as those of most devices.
func credential(folder, thing string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, thing+".cert.pem"), filepath.Join(folder, thing+".private.key"))
	if err != nil {
		return nil, fmt.Errorf("read the certificate of %s: %w", thing, err)
	}
	root, err := os.ReadFile(filepath.Join(folder, "root-ca.pem"))
	if err != nil {
		return nil, fmt.Errorf("read the group CA: %w", err)
	}
	c := &tls.Config{
		ServerName: "127.0.0.1", Certificates: []tls.Certificate{pair}, RootCAs: x509.NewCertPool(),
		ClientSessionCache: tls.NewLRUClientSessionCache(4),
	}
	c.RootCAs.AppendCertsFromPEM(root)
	return c, nil
}

func (s *site) command(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, s.program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("greengate %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// write replaces the group file in one step.
func (s *site) write(text string) error {
	if err := os.WriteFile(s.file+".edit", []byte(text), 0o644); err != nil {
		return fmt.Errorf("write the group file: %w", err)
	}
	if err := os.Rename(s.file+".edit", s.file); err != nil {
		return fmt.Errorf("write the group file: %w", err)
	}
	return nil
}

// start runs the gateway with its log in a file, and waits until it answers.
func (s *site) start(ctx context.Context, log string) error {
	out, err := os.Create(log)
	if err != nil {
		return fmt.Errorf("make the log of the gateway: %w", err)
	}
	defer out.Close()
	s.cmd = exec.Command(s.program, "run", "--config", s.file)
	s.cmd.Stdout, s.cmd.Stderr = out, out
	// An interrupt at the terminal is for the soak alone, and a soak that is killed
	// leaves no gateway behind.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start the gateway: %w", err)
	}
	go func() {
		_ = s.cmd.Wait() // how it ended is in ProcessState
		close(s.gone)
	}()
	return s.until(ctx, "the gateway is ready", func(st *client.Status) bool { return len(st.Listeners) >= 2 })
}

// pid is the gateway's.
func (s *site) pid() int { return s.cmd.Process.Pid }

// stop ends the gateway with SIGTERM, and reports when it did not end well.
func (s *site) stop() error {
	if s.cmd == nil || s.cmd.Process == nil {
		return nil
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.gone:
	case <-time.After(patience):
		_ = s.cmd.Process.Signal(syscall.SIGQUIT) // its log then tells what it waits for
		<-s.gone
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the gateway ended with %v, want exit code 0", s.cmd.ProcessState)
	}
	return nil
}

// reload puts a version of the group file in force by SIGHUP.
func (s *site) reload(ctx context.Context, text string) error {
	st, err := s.control.Status(ctx)
	if err != nil {
		return err
	}
	before := st.Config.Generation
	if err := s.write(text); err != nil {
		return err
	}
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return fmt.Errorf("send SIGHUP: %w", err)
	}
	return s.until(ctx, "the changed file is in force", func(st *client.Status) bool { return st.Config.Generation > before })
}

// until waits until the status is as wanted.
func (s *site) until(ctx context.Context, what string, met func(*client.Status) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		st, err := s.control.Status(ctx)
		if err == nil && met(st) {
			return nil
		}
		select {
		case <-again.C:
		case <-s.gone:
			return fmt.Errorf("wait until %s: the gateway ended: %v", what, s.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w (the last answer: %v)", what, ctx.Err(), err)
		}
	}
}

// errorsLogged are the lines of level ERROR in the gateway's log.
func errorsLogged(log string) (lines []string, err error) {
	text, err := os.ReadFile(log)
	if err != nil {
		return nil, fmt.Errorf("read the log of the gateway: %w", err)
	}
	for line := range bytes.Lines(text) {
		if bytes.Contains(line, []byte("level=ERROR")) {
			lines = append(lines, strings.TrimSpace(string(line)))
		}
	}
	return lines, nil
}
