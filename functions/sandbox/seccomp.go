package sandbox

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// denied are system calls that no function needs, and by which it could reach
// other processes, the kernel's insides, or get out of what closes it in. The
// answer is EPERM.
var denied = []string{
	// other processes
	"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp",
	"pidfd_getfd", "migrate_pages", "move_pages",
	// namespaces and mounts
	"unshare", "setns", "mount", "umount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree",
	"open_tree_attr", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "statmount", "listmount",
	// the kernel
	"bpf", "perf_event_open", "userfaultfd", "keyctl", "add_key", "request_key", "kexec_load", "kexec_file_load",
	"init_module", "finit_module", "delete_module", "reboot", "swapon", "swapoff", "acct", "syslog", "quotactl",
	"quotactl_fd", "lookup_dcookie", "open_by_handle_at", "fanotify_init", "nfsservctl", "vhangup", "iopl", "ioperm",
	"settimeofday", "clock_settime", "clock_settime64", "adjtimex", "clock_adjtime", "clock_adjtime64", "sethostname", "setdomainname",
	// memory that outlives its processes
	"shmget", "msgget", "semget", "mq_open",
}

// absent are calls for which programs have another way when the kernel has
// none of them: the answer is ENOSYS. io_uring and clone3 hide what they do
// from a filter; the rest reach processes.
var absent = []string{"clone3", "io_uring_setup", "io_uring_enter", "io_uring_register", "pidfd_open", "pidfd_send_signal"}

const noSuchCall = seccomp.ActionErrno | seccomp.Action(unix.ENOSYS)

// noSuchFamily is what a kernel says that was built without a kind of socket.
const noSuchFamily = seccomp.ActionErrno | seccomp.Action(unix.EAFNOSUPPORT)

// newNamespaces are the flags of clone that make namespaces, and CLONE_PARENT,
// which makes a process that is nobody's child down there.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_PARENT

// filterCalls closes system calls to this thread, and to what it executes.
func filterCalls(o *order) error {
	program, err := assemble(o)
	if err != nil {
		return err
	}
	raw, err := bpf.Assemble(program)
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, op := range raw {
		filter[i] = unix.SockFilter{Code: op.Op, Jt: op.Jt, Jf: op.Jf, K: op.K}
	}
	list := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if _, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&list))); errno != 0 {
		return errno
	}
	return nil
}

// assemble makes the filter of an order: a chain of programs of the library,
// one for the lists and one for each call that depends on its arguments, since
// after a look at these a program no longer has the number of the call. Each
// goes on to the next where it would allow.
//
// The library lets calls of another architecture pass, by which a 64-bit
// kernel's 32-bit calls would be a way around; here they end the process.
func assemble(o *order) ([]bpf.Instruction, error) {
	machine, err := arch.GetInfo("") // of this program
	if err != nil {
		return nil, err
	}
	chain := []bpf.Instruction{
		bpf.LoadAbsolute{Off: archOffset, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(machine.ID), SkipTrue: 1},
		bpf.RetConstant{Val: uint32(seccomp.ActionKillProcess)},
	}
	groups := []seccomp.SyscallGroup{{Action: noSuchCall}, {Action: seccomp.ActionErrno}}
	for i, names := range [][]string{absent, denied} {
		for _, name := range names {
			if _, found := machine.SyscallNames[name]; found {
				groups[i].Names = append(groups[i].Names, name)
			}
		}
	}
	add := func(groups ...seccomp.SyscallGroup) error {
		policy := seccomp.Policy{DefaultAction: seccomp.ActionAllow, Syscalls: groups}
		program, err := policy.Assemble()
		if err != nil {
			return fmt.Errorf("assemble the filter: %w", err)
		}
		if len(program) > longestProgram {
			return fmt.Errorf("assemble the filter: a program of %d instructions", len(program))
		}
		chain = append(chain, program[:len(program)-1]...)
		return nil
	}
	if err := add(groups...); err != nil {
		return nil, err
	}
	calls := append(sockets(), conditions(o)...)
	for _, call := range calls {
		if _, found := machine.SyscallNames[call.name]; !found {
			continue
		}
		group := seccomp.SyscallGroup{Action: call.action}
		if len(call.when) == 0 {
			group.Names = []string{call.name}
		}
		for _, c := range call.when {
			group.NamesWithCondtions = append(group.NamesWithCondtions, seccomp.NameWithConditions{Name: call.name, Conditions: c})
		}
		if err := add(group); err != nil {
			return nil, err
		}
	}
	return append(chain, bpf.RetConstant{Val: uint32(seccomp.ActionAllow)}), nil
}

// longestProgram is how far a jump reaches. In a longer one the library copies
// the last instruction, instead of going there.
const longestProgram = 255

// archOffset is where struct seccomp_data has the architecture.
const archOffset = 4

// conditional is a call that is refused for some arguments: where all conditions
// of one set hold; without any set, for all.
type conditional struct {
	name   string
	action seccomp.Action
	when   []seccomp.ArgumentConditions
}

func refuse(name string, when ...seccomp.ArgumentConditions) conditional {
	return conditional{name, seccomp.ActionErrno, when}
}

// all joins conditions that have to hold at once.
func all(conditions ...seccomp.ArgumentConditions) seccomp.ArgumentConditions {
	return slices.Concat(conditions...)
}

func is(argument uint32, value uint64) seccomp.ArgumentConditions {
	return seccomp.ArgumentConditions{{Argument: argument, Operation: seccomp.Equal, Value: value}}
}

func isNot(argument uint32, value uint64) seccomp.ArgumentConditions {
	return seccomp.ArgumentConditions{{Argument: argument, Operation: seccomp.NotEqual, Value: value}}
}

func hasAny(argument uint32, bits uint64) seccomp.ArgumentConditions {
	return seccomp.ArgumentConditions{{Argument: argument, Operation: seccomp.BitsSet, Value: bits}}
}

// between holds from the first value on, and ends before the second.
func between(argument uint32, from, before uint64) seccomp.ArgumentConditions {
	return seccomp.ArgumentConditions{
		{Argument: argument, Operation: seccomp.GreaterOrEqual, Value: from},
		{Argument: argument, Operation: seccomp.LessThan, Value: before},
	}
}

// sockets are those that a function cannot have: all but TCP, UDP and ICMP over
// IP, and routing netlink, by which getaddrinfo learns of addresses. A unix
// socket would reach the gateway's control socket and other daemons, whatever
// Landlock closes; a pair of connected ones reaches nobody, unless it is of
// datagrams, which may be sent elsewhere.
func sockets() []conditional {
	const packets = 2 // SOCK_DGRAM and SOCK_RAW have this bit, SOCK_STREAM and SOCK_SEQPACKET not
	return []conditional{
		{"socket", noSuchFamily, []seccomp.ArgumentConditions{
			all(isNot(0, unix.AF_INET), isNot(0, unix.AF_INET6), isNot(0, unix.AF_NETLINK)),
			all(is(0, unix.AF_NETLINK), isNot(2, unix.NETLINK_ROUTE)),
		}},
		{"socketpair", noSuchFamily, []seccomp.ArgumentConditions{hasAny(1, packets)}},
	}
}

// conditions are the calls that depend on what else closes the function in.
func conditions(o *order) []conditional {
	list := []conditional{refuse("clone", hasAny(0, newNamespaces))}
	if o.Uncounted {
		list = append(list, refuse("memfd_create")) // memory that no process shows
	}
	if o.Together {
		list = append(list, refuse("setsid"), refuse("setpgid"))
	}
	if o.Namespace {
		return list // it sees no process but its own
	}
	// Only its own limits and priorities: with the same user it could starve the gateway.
	for _, name := range []string{"prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr"} {
		list = append(list, refuse(name, isNot(0, 0)))
	}
	const ioprioProcess = 1 // IOPRIO_WHO_PROCESS
	list = append(list, refuse("setpriority", isNot(0, unix.PRIO_PROCESS), isNot(1, 0)),
		refuse("ioprio_set", isNot(0, ioprioProcess), isNot(1, 0)))
	// Signals go by number, or to the owner of a descriptor. Landlock's scope
	// keeps both among its own.
	numbers := []int{-1}
	if o.Landlock < landlockScope {
		numbers = append(numbers, o.Gateway, -o.Group)
		list = append(list, refuse("tkill")) // threads of the gateway have numbers that are not known
	}
	for _, name := range []string{"kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"} {
		list = append(list, refuse(name, integers(0, numbers...)...))
	}
	const setOwner, setGroup = 0x8901, 0x8902 // FIOSETOWN, SIOCSPGRP
	return append(list, refuse("ioctl", integers(1, setOwner, setGroup)...),
		refuse("fcntl", integers(1, unix.F_SETOWN, unix.F_SETOWN_EX)...),
		refuse("fcntl64", integers(1, unix.F_SETOWN, unix.F_SETOWN_EX)...))
}

// integers are the arguments that the kernel takes for one of these numbers. It
// looks at the lower half of an int only, and a filter sees both: the upper one
// is empty, or of the sign, or else a disguise, which is refused.
func integers(argument uint32, numbers ...int) []seccomp.ArgumentConditions {
	const upper = uint64(0xffffffff) << 32
	sets := []seccomp.ArgumentConditions{
		between(argument, 1<<32, upper),
		between(argument, upper, upper|1<<31),
	}
	for _, number := range numbers {
		low := uint64(uint32(number))
		sets = append(sets, is(argument, low))
		if number < 0 {
			sets = append(sets, is(argument, upper|low))
		}
	}
	return sets
}
