package sandbox

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// resident is a process as /proc tells it.
type resident struct {
	parent, session int
	threads         int
	zombie          bool
}

// census reads who is there. One that ends meanwhile is left out.
func census() map[int]resident {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	all := make(map[int]resident, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if r, ok := lookAt(pid); ok {
				all[pid] = r
			}
		}
	}
	return all
}

// lookAt reads /proc/PID/stat: `pid (name) state ppid pgrp session ... threads`.
func lookAt(pid int) (resident, bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return resident{}, false
	}
	// A name may hold spaces and brackets; the last bracket ends it.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 18 {
		return resident{}, false
	}
	number := func(i int) int { n, _ := strconv.Atoi(string(fields[i])); return n }
	state := fields[0][0]
	return resident{parent: number(1), session: number(3), threads: number(17), zombie: state == 'Z' || state == 'X'}, true
}

// footprint is the memory of a process that is not a file's: what no other
// process could use if this one ended. Bytes.
func footprint(pid int) int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	return 1024 * (statusNumber(text, "RssAnon:") + statusNumber(text, "RssShmem:") + statusNumber(text, "VmSwap:"))
}

// statusNumber reads one number of a /proc/PID/status.
func statusNumber(text []byte, key string) int64 {
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, key); found {
			n, _ := strconv.ParseInt(strings.Fields(rest + " 0")[0], 10, 64)
			return n
		}
	}
	return 0
}

// strays are processes whose parent has ended and whose function is therefore
// not known. As their reaper (PR_SET_CHILD_SUBREAPER) this process gets them as
// children. It is used only where neither a control group nor a namespace holds
// a function together.
type strays struct {
	mu      sync.Mutex
	filters int64        // how many this process has itself
	zombies map[int]int  // seen so often, and nobody has waited for them
	mine    map[int]bool // killed by us: ours to wait for
}

func newStrays() *strays {
	status, _ := os.ReadFile("/proc/self/status")
	return &strays{filters: statusNumber(status, "Seccomp_filters:"), zombies: map[int]int{}, mine: map[int]bool{}}
}

// patience is after how many looks a zombie is nobody else's: who starts a
// process waits for it at once.
const patience = 10

// sweep kills the strays among our children, and takes leave of them. known are
// processes of which somebody else takes care.
func (s *strays) sweep(all map[int]resident, known func(pid int) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	self := os.Getpid()
	for pid, r := range all {
		if r.parent != self || known(pid) {
			continue
		}
		if r.zombie {
			if s.zombies[pid]++; s.mine[pid] || s.zombies[pid] > patience {
				_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
			}
			continue
		}
		// Our own other children, if there are any, have no filter more than we.
		if status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status"); err == nil && statusNumber(status, "Seccomp_filters:") > s.filters {
			s.mine[pid] = true
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
	for pid := range s.zombies {
		if !all[pid].zombie {
			delete(s.zombies, pid)
			delete(s.mine, pid)
		}
	}
}

// family are the descendants of a process with itself, and those of its session.
func family(all map[int]resident, head int) (pids []int) {
	children := map[int][]int{}
	for pid, r := range all {
		children[r.parent] = append(children[r.parent], pid)
	}
	seen := map[int]bool{}
	var add func(pid int)
	add = func(pid int) {
		if seen[pid] {
			return
		}
		seen[pid] = true
		for _, child := range children[pid] {
			add(child)
		}
	}
	add(head)
	for pid, r := range all {
		if r.session == head {
			add(pid)
		}
	}
	for pid := range seen {
		if r, there := all[pid]; there && !r.zombie {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}
