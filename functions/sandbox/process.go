package sandbox

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a process that was started, with all that it has started itself.
type Process struct {
	s       *Sandbox
	spec    Spec
	process *os.Process
	cgroup  *cgroup       // nil: there are none for us
	alone   bool          // it has a process namespace, which ends with it
	done    chan struct{} // closed when exit is there

	mu     sync.Mutex
	reaped bool // guarded by mu

	broke limit // that this side has ended it for; attend reads it when watch is over
	exit  Exit
}

// limit is one of those that are kept by watching.
type limit int

const (
	noLimit limit = iota
	memoryLimit
	processLimit
)

// Pid is the number of its first process.
func (p *Process) Pid() int { return p.process.Pid }

// Wait waits for the end of the first process, ends what that has left behind,
// and tells how it ended. Any number may wait.
func (p *Process) Wait() Exit {
	<-p.done
	return p.exit
}

// Kill ends the whole tree, at once. Wait tells when it is over.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		p.killTree()
	}
}

// killTree ends all of it at one stroke: none can fork out of it meanwhile.
func (p *Process) killTree() {
	if p.cgroup != nil {
		p.cgroup.kill()
	}
	if !p.alone {
		_ = unix.Kill(-p.Pid(), unix.SIGKILL)
	}
	_ = p.process.Kill() // and with the first process its namespace
}

// tree are the living processes that belong to it.
func (p *Process) tree() []int {
	if p.cgroup != nil {
		return p.cgroup.pids()
	}
	return family(census(), p.Pid())
}

// Owns tells whether a process belongs to the tree.
func (p *Process) Owns(pid int) bool {
	if pid == p.Pid() {
		return true
	}
	if p.cgroup != nil {
		return slices.Contains(p.cgroup.pids(), pid)
	}
	for next, hops := pid, 0; hops < 1000; hops++ {
		r, there := lookAt(next)
		if !there {
			return false
		}
		if r.parent == p.Pid() || r.group == p.Pid() {
			return true
		}
		next = r.parent
	}
	return false
}

// Memory is what the tree uses, in bytes; false when it has ended.
func (p *Process) Memory() (int64, bool) {
	select {
	case <-p.done:
		return 0, false
	default:
	}
	if p.cgroup != nil && p.cgroup.memory {
		return p.cgroup.used()
	}
	var sum int64
	for _, pid := range p.tree() {
		sum += footprint(pid)
	}
	return sum, true
}

// Unlinked is the room, in bytes, of the files on a device that the tree has open and that
// have no name any more: no walk over a folder finds them.
func (p *Process) Unlinked(device uint64) (sum int64) {
	seen := map[uint64]bool{} // inodes
	for _, pid := range p.tree() {
		open := "/proc/" + strconv.Itoa(pid) + "/fd/"
		dir, err := os.ReadDir(open)
		if err != nil {
			continue // it has ended
		}
		for _, fd := range dir {
			var st unix.Stat_t
			if unix.Stat(open+fd.Name(), &st) == nil && st.Dev == device && st.Nlink == 0 && st.Mode&unix.S_IFMT == unix.S_IFREG && !seen[st.Ino] {
				seen[st.Ino] = true
				sum += st.Blocks * 512
			}
		}
	}
	return sum
}

// attend waits for the end, and cleans up.
func (p *Process) attend() {
	over := make(chan struct{})
	var watching sync.WaitGroup
	if p.watched() {
		watching.Go(func() { p.watch(over) })
	}
	// What it has left behind ends before its number can be another's.
	for unix.Waitid(unix.P_PID, p.Pid(), nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	close(over)
	watching.Wait()
	p.mu.Lock()
	p.killTree()
	state, err := p.process.Wait()
	p.reaped = true // from here on its number may be another's
	p.mu.Unlock()
	exit := Exit{Err: err}
	if err == nil {
		status, _ := state.Sys().(syscall.WaitStatus)
		exit.Code = status.ExitStatus()
		if status.Signaled() {
			exit.Code, exit.Signal = 0, status.Signal()
		}
	}
	if p.cgroup != nil {
		exit.OOM = p.cgroup.memory && p.cgroup.starved()
		p.cgroup.remove()
	}
	exit.OOM = exit.OOM || p.broke == memoryLimit
	exit.Limit = p.spec.Memory
	if p.broke == processLimit {
		exit.Processes = p.spec.Processes
	}
	p.exit = exit
	close(p.done)
}

// watched tells whether limits have to be kept by watching.
func (p *Process) watched() bool {
	return p.cgroup == nil || !p.cgroup.memory || !p.s.hierarchy.pids
}

// How often the tree is looked at: what it can take between two looks it has
// beyond its limit. Above half of it the looks are closer.
const (
	calmLook = 100 * time.Millisecond
	nearLook = 10 * time.Millisecond
)

// watch ends the tree when it has more than it may.
func (p *Process) watch(over <-chan struct{}) {
	timer := time.NewTimer(nearLook)
	defer timer.Stop()
	for {
		select {
		case <-over:
			return
		case <-timer.C:
		}
		used, threads := p.look()
		switch {
		case p.spec.Memory > 0 && used > p.spec.Memory:
			p.breaks(memoryLimit)
			return
		case threads > p.spec.Processes:
			p.breaks(processLimit)
			return
		case used > p.spec.Memory/2 || threads > p.spec.Processes/2:
			timer.Reset(nearLook)
		default:
			timer.Reset(calmLook)
		}
	}
}

// look counts the memory and the threads of the tree. Of one that has too many
// processes it does not look at each.
func (p *Process) look() (used int64, threads int) {
	pids := p.tree()
	if len(pids) > p.spec.Processes {
		return 0, len(pids)
	}
	for _, pid := range pids {
		r, _ := lookAt(pid)
		used, threads = used+footprint(pid), threads+r.threads
	}
	return used, threads
}

// breaks ends the tree for a limit.
func (p *Process) breaks(l limit) {
	p.broke = l
	p.Kill()
}

// Exit is how a process ended.
type Exit struct {
	Code      int            // exit status, when no signal ended it
	Signal    syscall.Signal // 0: it ended by itself
	OOM       bool           // it was ended because the tree wanted more memory than it may have
	Limit     int64          // that limit, in bytes
	Processes int            // it was ended because the tree had more processes than these; else 0
	Err       error          // it could not be waited for
}

// String tells it in words: "exit status 1".
func (e Exit) String() string {
	switch {
	case e.Err != nil:
		return "lost: " + e.Err.Error()
	case e.OOM:
		return fmt.Sprintf("ran out of its %s of memory", size(e.Limit))
	case e.Processes > 0:
		return fmt.Sprintf("had more than its %d processes and threads", e.Processes)
	case e.Signal == syscall.SIGSYS:
		return "killed by signal 31 (bad system call): a program for another processor than greengate's"
	case e.Signal != 0:
		return fmt.Sprintf("killed by signal %d (%s)", int(e.Signal), e.Signal)
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

func size(bytes int64) string {
	for _, unit := range []struct {
		name  string
		shift int
	}{{"GiB", 30}, {"MiB", 20}, {"KiB", 10}} {
		if bytes >= 1<<unit.shift && bytes%(1<<unit.shift) == 0 {
			return fmt.Sprintf("%d %s", bytes>>unit.shift, unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", bytes)
}
