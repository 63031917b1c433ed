package sandbox

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// judged has a filter judge a call, as the kernel would (struct seccomp_data).
// The virtual machine reads numbers in the order of networks.
func judged(t *testing.T, vm *bpf.VM, id uint32, nr int, args ...uint64) seccomp.Action {
	t.Helper()
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data, uint32(nr))
	binary.BigEndian.PutUint32(data[archOffset:], id)
	for i, arg := range args {
		binary.BigEndian.PutUint32(data[16+8*i:], uint32(arg))
		binary.BigEndian.PutUint32(data[16+8*i+4:], uint32(arg>>32))
	}
	verdict, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return seccomp.Action(verdict)
}

// The filter says the same on each processor; this looks at that of the tests.
func TestFilters(t *testing.T) {
	const gateway, group = 4321, 4300
	const refused, none, family = seccomp.ActionErrno | seccomp.Action(unix.EPERM), noSuchCall, noSuchFamily
	const allowed = seccomp.ActionAllow
	negative := func(n int64) uint64 { return uint64(n) }
	seen := order{Landlock: 2, Gateway: gateway, Group: group}
	alone := order{Namespace: true, Gateway: gateway, Group: group}
	machine, err := arch.GetInfo("")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		order   order
		call    string
		args    []uint64
		verdict seccomp.Action
	}{
		{seen, "read", nil, allowed}, {seen, "openat", nil, allowed}, {seen, "execve", nil, allowed}, {seen, "mprotect", nil, allowed},
		{seen, "mount", nil, refused}, {seen, "ptrace", nil, refused}, {seen, "bpf", nil, refused}, {seen, "clone3", nil, none}, {seen, "pidfd_open", nil, none},
		{seen, "socket", []uint64{unix.AF_INET, 1, 0}, allowed}, {seen, "socket", []uint64{unix.AF_INET6, 2, 0}, allowed},
		{seen, "socket", []uint64{unix.AF_UNIX, 1, 0}, family}, {seen, "socket", []uint64{1<<32 | unix.AF_UNIX, 1, 0}, family},
		{seen, "socket", []uint64{1<<32 | unix.AF_INET, 1, 0}, family}, {seen, "socket", []uint64{unix.AF_NETLINK, 3, 0}, allowed},
		{seen, "socket", []uint64{unix.AF_NETLINK, 3, 15}, family}, {seen, "socket", []uint64{unix.AF_PACKET, 3, 0}, family},
		{seen, "socketpair", []uint64{unix.AF_UNIX, 1 | unix.SOCK_CLOEXEC, 0}, allowed}, {seen, "socketpair", []uint64{unix.AF_UNIX, 5, 0}, allowed},
		{seen, "socketpair", []uint64{unix.AF_UNIX, 2, 0}, family}, {seen, "socketpair", []uint64{unix.AF_UNIX, 3 | unix.SOCK_CLOEXEC, 0}, family},
		{seen, "clone", []uint64{unix.CLONE_VM | unix.CLONE_THREAD}, allowed}, {seen, "clone", []uint64{uint64(syscall.SIGCHLD)}, allowed},
		{seen, "clone", []uint64{unix.CLONE_NEWUSER}, refused}, {seen, "clone", []uint64{unix.CLONE_PARENT}, refused},
		{seen, "kill", []uint64{77, 9}, allowed}, {seen, "kill", []uint64{0, 9}, allowed}, {seen, "kill", []uint64{negative(-77), 9}, allowed},
		{seen, "kill", []uint64{uint64(uint32(0xffffffb3)), 9}, allowed}, // -77, with an empty upper half
		{seen, "kill", []uint64{gateway, 9}, refused}, {seen, "kill", []uint64{negative(-group), 9}, refused}, {seen, "kill", []uint64{0xffffffff, 9}, refused},
		{seen, "kill", []uint64{negative(-1), 9}, refused}, {seen, "kill", []uint64{1<<32 | gateway, 9}, refused},
		{seen, "kill", []uint64{0xffffffff<<32 | gateway, 9}, refused}, {seen, "tgkill", []uint64{gateway, 1, 9}, refused}, {seen, "tkill", []uint64{5, 9}, refused},
		{seen, "prlimit64", []uint64{0, 7}, allowed}, {seen, "prlimit64", []uint64{gateway, 7}, refused},
		{seen, "setpriority", []uint64{0, 0, 5}, allowed}, {seen, "setpriority", []uint64{0, gateway, 5}, refused}, {seen, "setpriority", []uint64{2, 0, 5}, refused},
		{seen, "fcntl", []uint64{3, 1, 1}, allowed}, {seen, "fcntl", []uint64{3, unix.F_SETOWN, gateway}, refused}, {seen, "fcntl", []uint64{3, 1<<32 | unix.F_SETOWN, gateway}, refused},
		{seen, "ioctl", []uint64{1, 0x5401}, allowed}, {seen, "ioctl", []uint64{1, 0xffffffff80045430}, allowed}, {seen, "ioctl", []uint64{1, 0x8901}, refused},
		{seen, "memfd_create", nil, allowed}, {order{Uncounted: true, Namespace: true}, "memfd_create", nil, refused},
		{order{Landlock: landlockScope, Gateway: gateway}, "kill", []uint64{gateway, 9}, allowed}, {order{Landlock: landlockScope}, "tkill", nil, allowed},
		{alone, "kill", []uint64{gateway, 9}, allowed}, {alone, "tkill", []uint64{5, 9}, allowed}, {alone, "prlimit64", []uint64{7}, allowed},
		{alone, "clone", []uint64{unix.CLONE_NEWUSER}, refused}, {alone, "unshare", nil, refused}, {alone, "socket", []uint64{unix.AF_UNIX}, family},
	} {
		program, err := assemble(&c.order)
		if err != nil {
			t.Fatal(err)
		}
		vm, err := bpf.NewVM(program)
		if err != nil {
			t.Fatal(err)
		}
		nr, found := machine.SyscallNames[c.call]
		if !found {
			t.Fatalf("there is no %s", c.call)
		}
		if verdict := judged(t, vm, uint32(machine.ID), nr, c.args...); verdict != c.verdict {
			t.Errorf("%s %#x: %#x, not %#x", c.call, c.args, uint32(verdict), uint32(c.verdict))
		}
		if verdict := judged(t, vm, uint32(arch.I386.ID), nr, c.args...); verdict != seccomp.ActionKillProcess {
			t.Errorf("%s of another architecture: %#x", c.call, uint32(verdict))
		}
	}
	// A number of a child is not taken for that of a system call.
	program, err := assemble(&seen)
	if err != nil {
		t.Fatal(err)
	}
	vm, _ := bpf.NewVM(program)
	for pid := range uint64(500) {
		if verdict := judged(t, vm, uint32(machine.ID), machine.SyscallNames["kill"], pid, 9); verdict != allowed {
			t.Errorf("kill %d: %#x", pid, uint32(verdict))
		}
	}
}

// exit32 is a program for a 32-bit PC, whose calls a 64-bit kernel takes as
// well. It ends with status 0.
var exit32 = []byte("\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x03\x00\x01\x00\x00\x00\x54\x80\x04\x08\x34\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x34\x00\x20\x00\x01\x00\x28\x00\x00\x00\x00\x00" +
	"\x01\x00\x00\x00\x00\x00\x00\x00\x00\x80\x04\x08\x00\x80\x04\x08\x5f\x00\x00\x00\x5f\x00\x00\x00\x05\x00\x00\x00\x00\x10\x00\x00" +
	"\x31\xdb\xb8\x01\x00\x00\x00\xcd\x80\x00\x00")

// The calls of another processor are no way around the filter.
func TestOtherProcessor(t *testing.T) {
	site := newSite(t)
	program := filepath.Join(site.function, "exit32")
	if err := os.WriteFile(program, exit32, 0o755); err != nil {
		t.Fatal(err)
	}
	if outside, err := os.StartProcess(program, nil, &os.ProcAttr{}); err != nil {
		t.Skip(err)
	} else if state, err := outside.Wait(); err != nil || !state.Success() {
		t.Skipf("this kernel does not run it: %v %v", state, err)
	}
	onEach(t, func(t *testing.T, s *Sandbox) {
		if _, exit := run(t, s, site.spec(program)); exit.Signal != syscall.SIGSYS {
			t.Errorf("it ended with %v", exit)
		}
	})
}
