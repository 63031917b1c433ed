package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What a Spec has that says nothing about it: as many processes as a runtime
// with a pool of threads and some children needs, and what most systems give.
const (
	defaultProcesses = 256
	defaultOpenFiles = 1024
)

// Start starts a process. It returns when the program of the function runs, or
// with the reason why it cannot. ctx is for the start only.
func (s *Sandbox) Start(ctx context.Context, spec Spec) (*Process, error) {
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("close it in: %w", err)
	}
	return s.run(ctx, spec)
}

// run starts a process with the means that were found so far.
func (s *Sandbox) run(ctx context.Context, spec Spec) (*Process, error) {
	if spec.Processes <= 0 {
		spec.Processes = defaultProcesses
	}
	if spec.OpenFiles <= 0 {
		spec.OpenFiles = defaultOpenFiles
	}
	o, err := s.order(&spec)
	if err != nil {
		return nil, err
	}
	// The kernel ends the process when the thread ends that has started it.
	s.start.Do(func() { go s.serve() })
	var p *Process
	done := make(chan struct{})
	s.requests <- func() {
		defer close(done)
		p, err = s.launch(ctx, &spec, o)
	}
	<-done
	return p, err
}

// serve starts processes on a thread that lives as long as this program.
func (s *Sandbox) serve() {
	runtime.LockOSThread()
	for start := range s.requests {
		start()
	}
}

// order says what the launcher is to do for a spec.
func (s *Sandbox) order(spec *Spec) (*order, error) {
	if !filepath.IsAbs(spec.Dir) {
		return nil, fmt.Errorf("start in %q: the folder has to be absolute", spec.Dir)
	}
	id, err := findUser(spec.User)
	if err != nil {
		return nil, err
	}
	if id != nil && spec.Scratch != "" {
		if err := os.Chown(spec.Scratch, id.UID, id.GID); err != nil {
			return nil, fmt.Errorf("give it its scratch folder: %w", err)
		}
	}
	group, err := unix.Getpgid(0)
	if err != nil {
		return nil, fmt.Errorf("find our group of processes: %w", err)
	}
	return &order{
		Command: spec.Command, Env: spec.Env, Dir: spec.Dir,
		Read: spec.Read, Write: spec.Write, Devices: spec.Devices, Scratch: spec.Scratch, Hidden: spec.Hidden,
		OpenFiles: spec.OpenFiles, Processes: spec.Processes,
		User: id, UID: os.Geteuid(), GID: os.Getegid(),
		Namespace: s.means.namespace, UserSpace: s.means.namespace && !s.means.privileged,
		Landlock: s.means.landlock, Seccomp: s.means.seccomp,
		Gateway: os.Getpid(), Group: group,
		Together:  s.hierarchy == nil && !s.means.namespace,
		Uncounted: s.hierarchy == nil || !s.hierarchy.memory,
		Rehearse:  len(spec.Command) == 0,
	}, nil
}

// launch starts a launcher, and returns when it has become the function.
func (s *Sandbox) launch(ctx context.Context, spec *Spec, o *order) (*Process, error) {
	p := &Process{s: s, spec: *spec, alone: s.means.namespace, done: make(chan struct{})}
	if s.hierarchy != nil {
		var err error
		if p.cgroup, err = s.hierarchy.make(spec); err != nil {
			return nil, err
		}
	}
	answer, err := s.fork(p, o)
	if err != nil {
		if p.cgroup != nil {
			p.cgroup.remove()
		}
		return nil, fmt.Errorf("start the launcher: %w", err)
	}
	go p.attend()
	if err := p.await(ctx, answer, o.Rehearse); err != nil {
		p.Kill()
		p.Wait()
		return nil, err
	}
	return p, nil
}

// fork starts the launcher, gives it the order, and returns where it answers.
func (s *Sandbox) fork(p *Process, o *order) (answer *os.File, err error) {
	var closers []*os.File // the launcher's ends
	defer func() {
		for _, f := range closers {
			_ = f.Close()
		}
		if err != nil && answer != nil {
			_ = answer.Close()
		}
	}()
	nowhere, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	closers = append(closers, nowhere)
	orderEnd, orders, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer orders.Close()
	closers = append(closers, orderEnd)
	answer, answerEnd, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	closers = append(closers, answerEnd)
	files := []*os.File{nowhere, p.spec.Stdout, p.spec.Stderr, orderEnd, answerEnd}
	for i, file := range files {
		if file == nil {
			files[i] = nowhere
		}
	}
	if err := s.startProcess(p, files); err != nil {
		return answer, err
	}
	// The launcher reads while this writes; if it has ended, its answer says why.
	if err := json.NewEncoder(orders).Encode(o); err != nil && !errors.Is(err, syscall.EPIPE) {
		_ = p.process.Kill()
		_, _ = p.process.Wait()
		return answer, err
	}
	return answer, nil
}

// startProcess starts the launcher in its control group and its namespaces.
func (s *Sandbox) startProcess(p *Process, files []*os.File) error {
	attributes := &os.ProcAttr{Dir: "/", Env: []string{}, Files: files, Sys: &syscall.SysProcAttr{Setsid: true}}
	if s.means.namespace {
		attributes.Sys.Cloneflags = unix.CLONE_NEWNS | unix.CLONE_NEWPID
		if !s.means.privileged {
			attributes.Sys.Cloneflags |= unix.CLONE_NEWUSER
			// For the launcher: a program that is executed in there by a user
			// who is not mapped yet would lose them.
			attributes.Sys.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_SETPCAP}
		}
	}
	arguments := []string{s.program, LaunchCommand}
	if p.cgroup == nil {
		var err error
		p.process, err = os.StartProcess(s.program, arguments, attributes)
		return err
	}
	// Straight into its group: to move there later takes the kernel up to some
	// hundredth of a second.
	group, err := os.Open(p.cgroup.path)
	if err != nil {
		return err
	}
	defer group.Close()
	attributes.Sys.UseCgroupFD, attributes.Sys.CgroupFD = true, int(group.Fd())
	p.process, err = os.StartProcess(s.program, arguments, attributes)
	if !errors.Is(err, unix.ENOSYS) {
		return err
	}
	// A filter may keep the newer call from us (RestrictNamespaces= of systemd).
	attributes.Sys.UseCgroupFD = false
	if p.process, err = os.StartProcess(s.program, arguments, attributes); err != nil {
		return err
	}
	if err := p.cgroup.write("cgroup.procs", fmt.Sprint(p.process.Pid)); err != nil {
		_ = p.process.Kill()
		_, _ = p.process.Wait()
		return fmt.Errorf("enter its control group: %w", err)
	}
	return nil
}

// await waits until the launcher has become the function, which closes its end
// of the answer without a word.
func (p *Process) await(ctx context.Context, answer *os.File, rehearsal bool) error {
	defer answer.Close()
	stop := context.AfterFunc(ctx, func() { _ = answer.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	text, err := io.ReadAll(io.LimitReader(answer, 4096))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("hear of the launcher: %w", err)
	case len(text) > 0:
		return errors.New(string(text))
	case rehearsal:
		return nil
	}
	if p.cgroup == nil {
		return nil
	}
	return p.cgroup.limit(p.spec.Memory)
}

// judge puts what closes functions in into words.
func (s *Sandbox) judge(noNamespace, noGroups error) Confinement {
	c := Confinement{Landlock: s.means.landlock, Namespace: s.means.namespace, Seccomp: s.means.seccomp, Cgroup: s.means.cgroup}
	const namespaces = "gives no namespaces (%v): link /usr/share/greengate/namespaces.conf into /etc/systemd/system/greengate.service.d, and see the sysctls kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns"
	say := func(format string, args ...any) { c.Missing = append(c.Missing, fmt.Sprintf(format, args...)) }
	switch {
	case c.Landlock == 0 && !c.Namespace:
		say("functions can open every file that greengate can open: this kernel has no Landlock (lsm=landlock on its command line), and "+namespaces, noNamespace)
	case !c.Namespace && c.Landlock < landlockScope:
		say("a function can end other functions of the same user: this kernel is older than 6.12, and "+namespaces, noNamespace)
	}
	if !c.Seccomp {
		say("functions can connect to unix sockets and reach other processes: this kernel has no seccomp")
	}
	switch {
	case errors.Is(noGroups, errNotDelegated):
		say("the memory of functions is watched, not counted by the kernel (%v): run greengate as the service of its package, or add Delegate=yes to its unit", noGroups)
	case noGroups != nil:
		say("the memory of functions is watched, not counted by the kernel: %v", noGroups)
	case !s.hierarchy.memory:
		say("the memory of functions is watched, not counted by the kernel, which has that switched off: on a Raspberry Pi add `cgroup_enable=memory` to the line in /boot/firmware/cmdline.txt, and start it anew")
	}
	slices.Sort(c.Missing)
	return c
}
