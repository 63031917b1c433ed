package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// identity is a user with the groups that it has on this machine.
type identity struct {
	UID, GID int
	Groups   []int
}

// groupsOf returns the groups of a user: its own, and those that a name has.
func groupsOf(uid, gid int) []int {
	groups := []int{gid}
	named, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return groups // a number without a name
	}
	ids, err := named.GroupIds()
	if err != nil {
		return groups
	}
	for _, id := range ids {
		if other, err := strconv.Atoi(id); err == nil && other != gid {
			groups = append(groups, other)
		}
	}
	return groups
}

// findUser reads the user of a Spec: nil is the one that we are already.
func findUser(name string) (*identity, error) {
	if name == "" {
		return nil, nil
	}
	id, err := lookUpUser(name)
	if err != nil {
		return nil, err
	}
	if id.UID == os.Geteuid() && id.GID == os.Getegid() {
		return nil, nil
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("run it as user %s: only root may; leave `user` away, or run greengate as root", name)
	}
	id.Groups = groupsOf(id.UID, id.GID)
	return &id, nil
}

func lookUpUser(name string) (identity, error) {
	first, second, both := strings.Cut(name, ":")
	uid, err := strconv.ParseUint(first, 10, 31)
	if err != nil {
		found, err := user.Lookup(name)
		if err != nil {
			return identity{}, fmt.Errorf("find the user %s: %w", name, err)
		}
		uid, uidErr := strconv.Atoi(found.Uid)
		gid, gidErr := strconv.Atoi(found.Gid)
		return identity{UID: uid, GID: gid}, errors.Join(uidErr, gidErr)
	}
	gid := uid
	if found, err := user.LookupId(first); err == nil && !both {
		second, both = found.Gid, true
	}
	if both {
		if gid, err = strconv.ParseUint(second, 10, 31); err != nil {
			return identity{}, fmt.Errorf("find the group %s: it is to be a number", second)
		}
	}
	return identity{UID: int(uid), GID: int(gid)}, nil
}

// niceness makes way for the gateway where both want a processor.
const niceness = 5

// setLimits sets what the kernel bounds for each process.
func setLimits(o *order) error {
	limits := map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: uint64(o.OpenFiles)}
	if o.UserSpace {
		// The kernel counts those of a user namespace alone. Elsewhere it counts
		// all that a user has on the machine, the gateway's threads with them.
		limits[unix.RLIMIT_NPROC] = uint64(o.Processes)
	}
	for resource, limit := range limits {
		var old syscall.Rlimit
		if err := syscall.Getrlimit(resource, &old); err != nil {
			return fmt.Errorf("read a limit: %w", err)
		}
		limit := min(limit, uint64(old.Max))
		if err := setLimit(resource, limit); err != nil {
			return fmt.Errorf("set a limit: %w", err)
		}
	}
	// Where memory or time is short, the functions go first. Neither is a
	// promise: where it is not allowed the limits above hold all the same.
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, niceness)
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0)
	return nil
}

// setLimit sets both the soft and the hard one. It is package syscall's, which
// knows that the limit of descriptors is then not to be restored at exec.
func setLimit(resource int, limit uint64) error {
	var wanted syscall.Rlimit
	wanted.Cur, wanted.Max = limit, limit
	return syscall.Setrlimit(resource, &wanted)
}

// dropRights gives this thread, which will be the function, the user of the
// order and not one right of root's; and no way to get any.
func dropRights(o *order) error {
	if o.User != nil {
		if err := errors.Join(syscall.Setgroups(o.User.Groups),
			syscall.Setresgid(o.User.GID, o.User.GID, o.User.GID),
			syscall.Setresuid(o.User.UID, o.User.UID, o.User.UID)); err != nil {
			return fmt.Errorf("become the user: %w", err)
		}
	}
	for right := uintptr(0); right <= unix.CAP_LAST_CAP; right++ {
		// Without the right to do it there is none to lose; EINVAL is an older kernel.
		_ = unix.Prctl(unix.PR_CAPBSET_DROP, right, 0, 0, 0)
	}
	_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	// A filter may keep the call from us. Only root needs it: others lose all
	// when they execute a program, as there are none that would be handed on.
	if err := unix.Capset(&header, &none[0]); err != nil && os.Geteuid() == 0 {
		return fmt.Errorf("drop the rights: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("close the way to new rights: %w", err)
	}
	return nil
}

// mayMount tells whether this process can make namespaces by a right of its
// own; others need a user namespace for it.
func mayMount() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	_, _, errno := unix.RawSyscall(unix.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&have[0])), 0)
	return errno == 0 && have[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}
