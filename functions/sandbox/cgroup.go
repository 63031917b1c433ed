package sandbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// hierarchy is the part of the control groups (v2) that this process may
// arrange: itself in one leaf, each process of a function in another.
type hierarchy struct {
	base         string // folder of the group that was delegated to us
	memory, pids bool   // the kernel counts that here
	next         atomic.Int64
}

const (
	cgroupMount = "/sys/fs/cgroup"
	gatewayLeaf = "gateway" // systemd's DelegateSubgroup= says the same
)

// errNotDelegated: there are control groups, but not for us to arrange.
var errNotDelegated = errors.New("its control group is not delegated")

// openHierarchy finds the group of this process and prepares it: a group with
// groups in it must not hold processes itself, so that we move to a leaf.
func openHierarchy() (*hierarchy, error) {
	mount, own, err := ownCgroup()
	if err != nil {
		return nil, err
	}
	h := &hierarchy{base: filepath.Join(mount, own)}
	if filepath.Base(own) == gatewayLeaf {
		h.base = filepath.Dir(h.base)
	}
	root := h.base == mount
	if !root && !delegated(h.base) {
		return nil, errNotDelegated
	}
	// Mounted read-only in containers, and by ProtectControlGroups=.
	if err := unix.Access(h.base, unix.W_OK); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errNotDelegated, h.base, err)
	}
	if !root {
		if err := h.enterLeaf(); err != nil {
			return nil, err
		}
	}
	h.sweep()
	for _, controller := range []string{"memory", "pids", "cpu"} {
		// One that is not there is told by what subtree_control says then.
		_ = h.write("", "cgroup.subtree_control", "+"+controller)
	}
	text, err := os.ReadFile(filepath.Join(h.base, "cgroup.subtree_control"))
	if err != nil {
		return nil, fmt.Errorf("read the controllers: %w", err)
	}
	for _, controller := range strings.Fields(string(text)) {
		h.memory = h.memory || controller == "memory"
		h.pids = h.pids || controller == "pids"
	}
	return h, nil
}

// ownCgroup returns where the v2 hierarchy is mounted, and our group in it.
func ownCgroup() (mount, own string, err error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", "", fmt.Errorf("find the control group: %w", err)
	}
	found := false
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			own, found = path, true
		}
	}
	for _, mount := range []string{cgroupMount, cgroupMount + "/unified"} {
		var fs unix.Statfs_t
		if found && unix.Statfs(mount, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC {
			return mount, own, nil
		}
	}
	return "", "", errors.New("this machine has no unified control groups (v2)")
}

// delegated tells whether systemd has left a group to us: it is marked then
// (systemd 251 and newer, and for root any).
func delegated(path string) bool {
	for _, mark := range []string{"user.delegate", "trusted.delegate"} {
		value := make([]byte, 8)
		if n, err := unix.Getxattr(path, mark, value); err == nil && string(value[:n]) == "1" {
			return true
		}
	}
	return false
}

// enterLeaf moves all processes of the base to the leaf of the gateway.
func (h *hierarchy) enterLeaf() error {
	if err := os.Mkdir(filepath.Join(h.base, gatewayLeaf), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make the gateway's control group: %w", err)
	}
	for _, pid := range readPids(filepath.Join(h.base, "cgroup.procs")) {
		if err := h.write(gatewayLeaf, "cgroup.procs", strconv.Itoa(pid)); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("enter the gateway's control group: %w", err)
		}
	}
	return nil
}

// sweep ends what a gateway has left behind that was killed.
func (h *hierarchy) sweep() {
	groups, _ := filepath.Glob(filepath.Join(h.base, groupPrefix+"*"))
	for _, path := range groups {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), groupPrefix), "-")
		if _, err := os.Stat("/proc/" + pid); errors.Is(err, os.ErrNotExist) {
			g := &cgroup{path: path}
			g.kill()
			g.remove()
		}
	}
}

func (h *hierarchy) write(group, file, value string) error {
	return os.WriteFile(filepath.Join(h.base, group, file), []byte(value), 0)
}

// groupPrefix begins the name of a function's group; the number of the gateway follows.
const groupPrefix = "function-"

// cpuWeight is the share of a function where processors are short; the gateway
// has the kernel's 100.
const cpuWeight = 33

// cgroup is the group of one process of a function, with all that it starts.
type cgroup struct {
	path   string
	memory bool
}

// make makes a group for a process. Its limit of memory comes with limit: the
// launcher needs some of its own before.
func (h *hierarchy) make(spec *Spec) (*cgroup, error) {
	g := &cgroup{memory: h.memory}
	for made := false; !made; {
		name := fmt.Sprintf("%s%d-%s-%d", groupPrefix, os.Getpid(), spec.Name, h.next.Add(1))
		g.path = filepath.Join(h.base, name)
		err := os.Mkdir(g.path, 0o755)
		// A gateway that was killed may have had the number of this process; and a test has
		// several gateways in one.
		if made = err == nil; !made && !errors.Is(err, os.ErrExist) {
			return nil, fmt.Errorf("make its control group: %w", err)
		}
	}
	if h.pids {
		// Enough for the threads of the launcher.
		if err := g.write("pids.max", strconv.Itoa(max(spec.Processes, 16))); err != nil {
			g.remove()
			return nil, fmt.Errorf("limit its processes: %w", err)
		}
	}
	_ = g.write("cpu.weight", strconv.Itoa(cpuWeight)) // where the kernel shares by groups
	return g, nil
}

// limit has the kernel end the whole group when it wants more than that.
func (g *cgroup) limit(memory int64) error {
	if !g.memory || memory <= 0 {
		return nil
	}
	_ = g.write("memory.swap.max", "0") // not there without swap accounting
	_ = g.write("memory.oom.group", "1")
	if err := g.write("memory.max", strconv.FormatInt(memory, 10)); err != nil {
		return fmt.Errorf("limit its memory: %w", err)
	}
	return nil
}

func (g *cgroup) write(file, value string) error {
	return os.WriteFile(filepath.Join(g.path, file), []byte(value), 0)
}

func (g *cgroup) pids() []int { return readPids(filepath.Join(g.path, "cgroup.procs")) }

// used is the memory of the group, without files that the kernel merely keeps.
func (g *cgroup) used() (int64, bool) {
	text, err := os.ReadFile(filepath.Join(g.path, "memory.current"))
	if err != nil {
		return 0, false
	}
	used, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return max(0, used-g.count("memory.stat", "inactive_file")), err == nil
}

// starved tells whether the kernel has ended something in there for want of memory.
func (g *cgroup) starved() bool { return g.count("memory.events", "oom_kill") > 0 }

// count reads one number of a file of names and numbers.
func (g *cgroup) count(file, name string) int64 {
	text, err := os.ReadFile(filepath.Join(g.path, file))
	if err != nil {
		return 0
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if number, found := strings.CutPrefix(lines.Text(), name+" "); found {
			n, _ := strconv.ParseInt(number, 10, 64)
			return n
		}
	}
	return 0
}

// kill ends all in the group. Before Linux 5.14 one by one, until none is left.
func (g *cgroup) kill() {
	if g.write("cgroup.kill", "1") == nil {
		return
	}
	for range 1000 {
		pids := g.pids()
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// remove waits until the group is empty, and removes it. One that stays, since
// a process in it hangs in the kernel, is swept by the next gateway.
func (g *cgroup) remove() {
	for wait := time.Millisecond; wait < time.Second; wait *= 2 {
		if err := unix.Rmdir(g.path); err == nil || errors.Is(err, unix.ENOENT) {
			return
		}
		time.Sleep(wait)
	}
}

func readPids(path string) (pids []int) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	for _, field := range strings.Fields(string(text)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}
