package sandbox

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An act is what a function tries. It returns nil when it worked, which is
// harm, or why it did not.
type acts map[string]func(args []string) error

// harmful are acts with the number of the gateway, and with paths of its site.
var harmful = acts{
	"read a file":           readFile,
	"read a link":           func(a []string) error { _, err := os.Readlink(a[0]); return err },
	"read a file by a link": readByLink,
	"list a folder":         func(a []string) error { _, err := os.ReadDir(a[0]); return err },
	"write a file":          func(a []string) error { return os.WriteFile(a[0], []byte("x"), 0o644) },
	"remove a file":         func(a []string) error { return os.Remove(a[0]) },
	"hard link":             func(a []string) error { return os.Link(a[0], filepath.Join(os.Getenv("TMPDIR"), "stolen")) },
	"open for reading": func(a []string) error {
		f, err := os.Open(a[0])
		if err == nil {
			_, err = f.Read(make([]byte, 1))
		}
		return err
	},
	"open for writing": func(a []string) error { // and leaves it as it is
		f, err := os.OpenFile(a[0], os.O_WRONLY, 0)
		if err == nil {
			_ = f.Close()
		}
		return err
	},
	"connect to a unix socket": func(a []string) error { _, err := net.Dial("unix", a[0]); return err },
	"netlink": func([]string) error {
		_, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_KOBJECT_UEVENT)
		return err
	},
	"raw packets": func([]string) error {
		_, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
		return err
	},
	"pair of datagram sockets": func([]string) error {
		_, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		return err
	},
	"kill":                  func(a []string) error { return kill(uintptr(number(a[0]))) },
	"kill its group":        func(a []string) error { return kill(uintptr(-number(a[1]))) },
	"kill all":              killAll,
	"kill, disguised":       func(a []string) error { return kill(uintptr(number(a[0])) | upperHalf&^(upperHalf>>1)) },
	"kill, signed":          func(a []string) error { return kill(uintptr(number(a[0])) | upperHalf) },
	"tgkill":                func(a []string) error { return call(unix.SYS_TGKILL, number(a[0]), number(a[0]), 0) },
	"tkill":                 func(a []string) error { return call(unix.SYS_TKILL, number(a[0]), 0) },
	"signal by descriptor":  setOwner,
	"signal with a message": queueSignal,
	"ptrace":                func(a []string) error { return call(unix.SYS_PTRACE, unix.PTRACE_SEIZE, number(a[0]), 0, 0) },
	"read its memory":       readMemory,
	"its limits": func(a []string) error {
		return unix.Prlimit(number(a[0]), unix.RLIMIT_CORE, &unix.Rlimit{}, nil)
	},
	"its priority": func(a []string) error { return unix.Setpriority(unix.PRIO_PROCESS, number(a[0]), 19) },
	"its processors": func(a []string) error {
		var set unix.CPUSet
		set.Set(0)
		return unix.SchedSetaffinity(number(a[0]), &set)
	},
	"priority of all its user has": func([]string) error { return unix.Setpriority(unix.PRIO_USER, os.Getuid(), 19) },
	"user namespace":               func([]string) error { return unix.Unshare(unix.CLONE_NEWUSER) },
	"user namespace by clone": func([]string) error {
		return call(unix.SYS_CLONE, unix.CLONE_NEWUSER|unix.CLONE_NEWNS|int(unix.SIGCHLD), 0, 0, 0, 0)
	},
	"mount":    func([]string) error { return unix.Mount("x", os.Getenv("TMPDIR"), "tmpfs", 0, "") },
	"io_uring": func([]string) error { return call(unix.SYS_IO_URING_SETUP, 1, 0) },
	"keys": func([]string) error {
		_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_USER_KEYRING, true)
		return err
	},
	"become root": func([]string) error { return unix.Setresuid(0, 0, 0) },
	"a right of root's": func([]string) error {
		status, err := os.ReadFile("/proc/self/status")
		for _, none := range []string{"CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1"} {
			if err == nil && !strings.Contains(string(status), none) {
				return nil
			}
		}
		return errors.New("it has none, and gets none")
	},
}

// act does one act, or behaves as named, and does not return. It ends with 0
// when the act did no harm.
func act(name string, args []string) {
	if behave := behaviours[name]; behave != nil {
		behave(args)
		os.Exit(0)
	}
	if harmful[name] == nil {
		fmt.Println("there is no such act:", name)
		os.Exit(3)
	}
	if err := harmful[name](args); err != nil {
		fmt.Println("refused:", err)
		os.Exit(0)
	}
	fmt.Println("it worked")
	os.Exit(1)
}

// Signals are number 0 here, which asks whether one would arrive: a test that
// fails is not to take the machine with it.

// upperHalf is what the kernel does not look at in a number of 32 bits, but a
// filter does. A processor of 32 bits has none.
const upperHalf = (^uintptr(0) - 0xffffffff)

func kill(pid uintptr) error {
	if _, _, errno := unix.Syscall(unix.SYS_KILL, pid, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

func killAll([]string) error {
	err := kill(^uintptr(0))
	if err == nil && os.Getpid() == 1 {
		return errors.New("all are its own")
	}
	return err
}

func call(number uintptr, args ...int) error {
	var a [6]uintptr
	for i, arg := range args {
		a[i] = uintptr(arg)
	}
	if pid, _, errno := unix.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
		return errno
	} else if number == unix.SYS_CLONE && pid == 0 {
		unix.Exit(0)
	}
	return nil
}

func number(text string) int { n, _ := strconv.Atoi(text); return n }

func readFile(a []string) error { _, err := os.ReadFile(a[0]); return err }

func readByLink(a []string) error {
	link := filepath.Join(os.Getenv("TMPDIR"), "link")
	if err := os.Symlink(a[0], link); err != nil {
		return err
	}
	_, err := os.ReadFile(link)
	return err
}

func setOwner(a []string) error {
	var ends [2]int
	if err := unix.Pipe(ends[:]); err != nil {
		return err
	}
	_, err := unix.FcntlInt(uintptr(ends[0]), unix.F_SETOWN, number(a[0]))
	return err
}

func queueSignal(a []string) error {
	var info [128]byte
	*(*int32)(unsafe.Pointer(&info[8])) = -1 // SI_QUEUE
	_, _, errno := unix.Syscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(number(a[0])), 0, uintptr(unsafe.Pointer(&info)))
	if errno != 0 {
		return errno
	}
	return nil
}

func readMemory(a []string) error {
	local := make([]byte, 8)
	address, _ := strconv.ParseUint(a[2], 10, 64)
	_, err := unix.ProcessVMReadv(number(a[0]), []unix.Iovec{{Base: &local[0], Len: 8}},
		[]unix.RemoteIovec{{Base: uintptr(address), Len: 8}}, 0)
	return err
}
