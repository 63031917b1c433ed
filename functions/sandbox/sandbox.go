// Package sandbox starts one process of a local function, closed in, and ends
// its whole tree. It owns the means: control groups, namespaces, Landlock,
// seccomp, resource limits; and the launcher, which is this program again: it
// closes itself in and becomes the function (LaunchMain).
//
// Each means is used wherever it can be had, so that most are there twice:
//
//   - files: a root of its own, in which nothing else is (namespaces), and
//     Landlock. Debian has both, Raspberry Pi OS the first, a container the second.
//   - processes: a process namespace, or Landlock's scope (Linux 6.12), or
//     seccomp, which keeps signals from the gateway only.
//   - sockets, the kernel's insides: seccomp.
//   - memory, number of processes: a control group (v2) of its own; without,
//     limits are kept by watching /proc.
//   - the end of the whole tree: its control group, its process namespace, or
//     else a group of processes that none can leave.
//
// What is missing is told by Confinement, for a person.
//
// Only functions and cmd import it; it imports nothing of ours. A Sandbox and
// a Process may be used by several goroutines at once; each Process has one
// that ends with it.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"

	"github.com/elastic/go-seccomp-bpf"
	"golang.org/x/sys/unix"
)

// Spec is one process to be started. Paths are absolute.
type Spec struct {
	Name    string   // of the function: letters, digits, - and _
	Command []string // the program and its arguments; a bare name is looked up in PATH of Env
	Dir     string   // in which it starts, and which it may read
	Env     []string // all of its environment; nothing is inherited
	// User is whose rights it has: "" means ours; else a name, or UID or
	// UID:GID in numbers. Another than ours needs root.
	User string
	// Memory is the most that the whole tree may use, in bytes; 0 is no limit.
	Memory int64
	// Processes is how many processes and threads the tree may have, and
	// OpenFiles how many descriptors each process; 0 means 256 and 1024.
	Processes, OpenFiles int
	// Read, Write and Devices it may open, beyond what every program needs.
	Read, Write, Devices []string
	// Scratch is a folder of its own, in which it may write: its TMPDIR and
	// HOME (which Env has to say), and its /tmp where there are namespaces. It
	// is given to User.
	Scratch string
	// Hidden is closed in any case, but for what Dir, Scratch, Read, Write and
	// Devices open below it: the keys, the data folder with the control
	// socket, the group file.
	Hidden         []string
	Stdout, Stderr *os.File // nil: nowhere
}

// Options are what a Sandbox needs to know.
type Options struct {
	// Program is this program, whose main calls LaunchMain for LaunchCommand.
	// Empty: the one that is running, even if its file was replaced.
	Program string
	Log     *slog.Logger // optional
}

// Confinement is what closes functions in on this machine.
type Confinement struct {
	Landlock  int  `json:"landlock"`  // version of its interface; 0: the kernel has none
	Namespace bool `json:"namespace"` // each function sees files and processes of its own only
	Seccomp   bool `json:"seccomp"`
	Cgroup    bool `json:"cgroup"` // memory and processes are counted by the kernel
	// Missing are sentences for a person: what is open, and how to close it.
	Missing []string `json:"missing,omitempty"`
}

// Sandbox starts processes.
type Sandbox struct {
	program   string
	log       *slog.Logger
	means     means
	hierarchy *hierarchy // nil: no control groups for us

	confinement Confinement

	prepare  func() error // finds the means, once
	start    sync.Once
	requests chan func()
}

// means is what a launcher is to use.
type means struct {
	landlock   int
	namespace  bool
	privileged bool // namespaces need no user namespace
	seccomp    bool
	cgroup     bool
}

// New returns a Sandbox. What this kernel has is found out when it is first
// asked for, by a start or by Confinement.
func New(o Options) (*Sandbox, error) {
	return build(o, means{landlock: landlockVersion(), namespace: true, privileged: mayMount(), seccomp: seccomp.Supported(), cgroup: true}), nil
}

// build makes a Sandbox of the given means, as far as they can be had.
func build(o Options, have means) *Sandbox {
	s := &Sandbox{program: o.Program, log: o.Log, means: have, requests: make(chan func())}
	if s.program == "" {
		s.program = "/proc/self/exe"
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.prepare = sync.OnceValue(s.findMeans)
	return s
}

// Confinement tells what closes functions in.
func (s *Sandbox) Confinement() Confinement {
	if err := s.prepare(); err != nil {
		return Confinement{Missing: []string{"functions cannot be started here: " + err.Error()}}
	}
	c := s.confinement
	c.Missing = slices.Clone(c.Missing)
	return c
}

// findMeans finds out what of the means this machine has, and makes this
// process what they need: alone in its control group, or closed to others.
func (s *Sandbox) findMeans() error {
	noGroups, noNamespace := errNotDelegated, error(nil)
	if s.means.cgroup {
		s.hierarchy, noGroups = openHierarchy()
	}
	if s.means.namespace {
		if noNamespace = s.rehearse(); noNamespace != nil {
			s.log.Info("No namespaces for functions", "component", "sandbox", "err", noNamespace)
			s.means.namespace = false
		}
	}
	if !s.means.namespace {
		if err := s.rehearse(); err != nil {
			return err
		}
		if err := s.guard(); err != nil {
			return err
		}
	}
	s.means.cgroup = s.hierarchy != nil && s.hierarchy.memory && s.hierarchy.pids
	s.confinement = s.judge(noNamespace, noGroups)
	return nil
}

// guard is for functions that see the processes of the machine.
func (s *Sandbox) guard() error {
	if s.means.landlock == 0 {
		// Nobody of our user can look into this process, then; not even we can
		// see how much it has written, which Landlock would spare us.
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
			return fmt.Errorf("close this process to others: %w", err)
		}
	}
	return nil
}

// rehearse has a launcher close itself in and end, to see whether it can.
func (s *Sandbox) rehearse() error {
	p, err := s.run(context.Background(), Spec{Name: "rehearsal", Dir: "/usr"})
	if err != nil {
		return err
	}
	if exit := p.Wait(); exit.Code != 0 || exit.Signal != 0 {
		return errors.New(exit.String())
	}
	return nil
}
