package main

import (
	"context"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// processes are the programs that a site consists of. They are started and
// stopped by one goroutine, the main one.
type processes struct {
	console *console
	running []*process
	ended   chan *process // each process once, when it has ended; never blocks
}

type process struct {
	name string
	cmd  *exec.Cmd
	gone chan struct{} // closed when the process has ended and err is set
	err  error
}

// maxProcesses bounds how many processes one site may have.
const maxProcesses = 16

func newProcesses(c *console) *processes {
	return &processes{console: c, ended: make(chan *process, maxProcesses)}
}

// start runs a program whose lines appear on the console under name, but for
// those that skip, if it is not nil, says yes to.
//
// It gets a process group of its own, so a Ctrl-C, which the terminal sends to
// the whole group of `make run`, reaches only us and we can end the processes
// in order. Should we be killed, the kernel ends them (Pdeathsig).
func (ps *processes) start(name, colour string, skip func(string) bool, program string, args ...string) error {
	out := &lines{to: ps.console, name: name, colour: colour, skip: skip}
	p := &process{name: name, cmd: exec.Command(program, args...), gone: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	ps.running = append(ps.running, p)
	go func() {
		p.err = p.cmd.Wait()
		out.end()
		close(p.gone)
		ps.ended <- p
	}()
	return nil
}

// wait returns nil when ctx ends, and an error when a process ends before.
func (ps *processes) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case p := <-ps.ended:
		if ctx.Err() != nil {
			return nil
		}
		if p.err != nil {
			return fmt.Errorf("%s ended by itself: %w", p.name, p.err)
		}
		return fmt.Errorf("%s ended by itself", p.name)
	}
}

// stop ends the processes in the reverse order of their start, each with
// SIGTERM and, after 10 s, SIGKILL. It returns the first that did not end well.
func (ps *processes) stop() (first error) {
	for i := len(ps.running) - 1; i >= 0; i-- {
		p := ps.running[i]
		select {
		case <-p.gone:
			continue // its end has been told by wait
		default:
		}
		// The group, not the process: it may have children of its own.
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-p.gone:
		case <-time.After(10 * time.Second):
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
			<-p.gone
		}
		if p.err != nil && first == nil {
			first = fmt.Errorf("stop %s: %w", p.name, p.err)
		}
	}
	ps.running = nil
	return first
}
