package endpoint

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
)

// guests tells whose a connection is. The kernel knows each TCP socket of the
// computer by its inode, and lists the files of every process (Linux, proc(5)):
// the far end must be a file of a process that owns accepts. Safe for concurrent
// use.
type guests struct {
	owns func(pid int) bool
	diag func(local, remote netip.AddrPort) (uint32, error) // asks the kernel for one socket
	proc string                                             // where procfs is

	mu    sync.Mutex
	known []int // processes that held a connection before, the newest first
}

// maxKnown is how many processes are asked before all others.
const maxKnown = 8

// admit returns nil if the far end of a connection of ours is held by a process
// of the instance, and else an error that says what is known.
func (g *guests) admit(near, far net.Addr) error {
	server, err := addrPort(near)
	if err != nil {
		return err
	}
	client, err := addrPort(far)
	if err != nil {
		return err
	}
	inode, err := g.inode(client, server)
	if err != nil {
		return err
	}
	socket := "socket:[" + inode + "]"
	g.mu.Lock()
	known := slices.Clone(g.known)
	g.mu.Unlock()
	if pid, _ := g.holder(socket, known); pid != 0 {
		return nil
	}
	all, err := g.processes()
	if err != nil {
		return err
	}
	pid, err := g.holder(socket, all)
	if pid == 0 {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Contains(g.known, pid) {
		g.known = append([]int{pid}, g.known[:min(len(g.known), maxKnown-1)]...)
	}
	return nil
}

// inode looks up the socket whose own address is local, connected to remote.
func (g *guests) inode(local, remote netip.AddrPort) (string, error) {
	inode, err := g.diag(local, remote)
	if err == nil {
		return strconv.FormatUint(uint64(inode), 10), nil
	}
	// A kernel without sock_diag, or a sandbox around us; and one whose module for
	// TCP (inet_diag) is not to be had says of each socket that it is not there.
	for _, table := range []struct {
		name  string
		entry func(netip.AddrPort) []byte
	}{{"tcp", entry4}, {"tcp6", entry6}} { // some runtimes, Java's, use sockets of IPv6 for all
		inode, err := lookUp(g.proc+"/self/net/"+table.name, table.entry(local), table.entry(remote))
		if inode != "" || err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
			return inode, err
		}
	}
	return "", errNoSocket
}

// lookUp finds the inode of a socket in one of the kernel's tables; "" when it
// is not there, or belongs to no process any more.
func lookUp(table string, local, remote []byte) (string, error) {
	file, err := os.Open(table)
	if err != nil {
		return "", fmt.Errorf("look up a socket: %w", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if !bytes.Contains(lines.Bytes(), local) { // most lines are others
			continue
		}
		f := bytes.Fields(lines.Bytes())
		if len(f) > 9 && bytes.Equal(f[1], local) && bytes.Equal(f[2], remote) && string(f[9]) != "0" {
			return string(f[9]), nil
		}
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("look up a socket: %w", err)
	}
	return "", nil
}

// entry4 is an address as /proc/net/tcp has it: the kernel prints the four bytes
// as one number of the machine.
func entry4(a netip.AddrPort) []byte {
	ip := a.Addr().As4()
	return fmt.Appendf(nil, "%08X:%04X", binary.NativeEndian.Uint32(ip[:]), a.Port())
}

// entry6 is an address of IPv4 as /proc/net/tcp6 has it (RFC 4291, 2.5.5.2).
func entry6(a netip.AddrPort) []byte {
	var text []byte
	ip := a.Addr().As16()
	for i := 0; i < len(ip); i += 4 {
		text = fmt.Appendf(text, "%08X", binary.NativeEndian.Uint32(ip[i:]))
	}
	return fmt.Appendf(text, ":%04X", a.Port())
}

// processes lists all of them, the youngest first: an instance is mostly young.
func (g *guests) processes() ([]int, error) {
	dir, err := os.Open(g.proc)
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	slices.Reverse(pids)
	return pids, nil
}

// holder returns which process of the instance among pids holds the socket; 0
// for none, and an error that says why.
func (g *guests) holder(socket string, pids []int) (int, error) {
	none := errStranger
	for _, pid := range pids {
		if !g.owns(pid) {
			continue
		}
		holds, err := g.holds(pid, socket)
		if holds {
			return pid, nil
		}
		if err != nil && errors.Is(err, fs.ErrPermission) {
			none = fmt.Errorf("the files of the instance's process %d are hidden from this one (it needs CAP_SYS_PTRACE to see those of another user): %w", pid, err)
		}
	}
	return 0, none
}

func (g *guests) holds(pid int, socket string) (bool, error) {
	path := g.proc + "/" + strconv.Itoa(pid) + "/fd"
	dir, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	for _, name := range names {
		if target, err := os.Readlink(path + "/" + name); err == nil && target == socket {
			return true, nil
		}
	}
	return false, err
}
