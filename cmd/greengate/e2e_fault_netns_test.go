package main_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

// Networks that a test makes for itself: namespaces of the kernel (network_namespaces(7)),
// with interfaces that come and go.

// network is one of them. A process that sleeps keeps it.
type network struct {
	t    *testing.T
	pid  int
	path string
}

// newNetwork makes a network with nothing but loopback, until the test ends.
func newNetwork(t *testing.T) *network {
	t.Helper()
	keeper := exec.Command("unshare", "--net", "sleep", "infinity")
	keeper.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := keeper.Start(); err != nil {
		t.Skipf("make a network: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- keeper.Wait() }()
	t.Cleanup(func() { _ = keeper.Process.Kill() })
	n := &network{t: t, pid: keeper.Process.Pid, path: fmt.Sprintf("/proc/%d/ns/net", keeper.Process.Pid)}
	here, _ := os.Readlink("/proc/self/ns/net")
	eventually(t, "the network is there", func() bool {
		select {
		case err := <-ended:
			t.Skipf("make a network: %v (root can)", err)
		default:
		}
		its, err := os.Readlink(n.path)
		return err == nil && its != here
	})
	if out, err := n.command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Skipf("set up a network: %v %s (package iproute2)", err, out)
	}
	return n
}

// command is a command that runs in the network.
func (n *network) command(name string, args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--net=" + n.path, name}, args...)...)
}

// ip changes the network by ip(8).
func (n *network) ip(args ...string) {
	n.t.Helper()
	if out, err := n.command("ip", args...).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %v: %v\n%s", args, err, out)
	}
}

// do runs f in the network: what it opens stays there. The thread comes back afterwards:
// were it ended, the kernel would kill the processes that were started by it (Pdeathsig).
func (n *network) do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			done <- err
			return
		}
		defer unix.Close(home)
		if err = enter(n.path); err == nil {
			err = f()
		}
		if unix.Setns(home, unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// enter takes the thread into a network.
func enter(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Setns(fd, unix.CLONE_NEWNET)
}

func (n *network) dial(dial func() (net.Conn, error)) (conn net.Conn, err error) {
	err = n.do(func() (err error) {
		conn, err = dial()
		return err
	})
	return conn, err
}

// listen opens a port in the network.
func (n *network) listen(address string) (l net.Listener) {
	n.t.Helper()
	err := n.do(func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return l
}

// startIn runs the gateway in a network, which finds these files in place of those of
// /etc: hosts, resolv.conf.
func (s *site) startIn(n *network, etc map[string]string) *gateway {
	s.t.Helper()
	script := "true"
	for name, text := range etc {
		file := filepath.Join(s.dir, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			s.t.Fatal(err)
		}
		script += fmt.Sprintf(" && mount --bind '%s' /etc/%s", file, name)
	}
	run := s.prepare("run")
	inside := n.command("unshare", append([]string{"--mount", "sh", "-c", script + ` && exec "$0" "$@"`}, run.Args...)...)
	inside.Env = run.Env
	return s.startBy(inside)
}

// announced are the addresses that an interface of the network hears of by multicast DNS.
type announced struct {
	mu    sync.Mutex
	addrs []netip.Addr // guarded by mu
}

// hears listens to what is announced on an interface.
func (n *network) hears(name string) *announced {
	n.t.Helper()
	var conn *net.UDPConn
	err := n.do(func() error {
		ifi, err := net.InterfaceByName(name)
		if err == nil {
			conn, err = net.ListenMulticastUDP("udp4", ifi, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353})
		}
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = conn.Close() })
	a := new(announced)
	go func() {
		packet := make([]byte, 9000)
		for {
			size, err := conn.Read(packet)
			if err != nil {
				return
			}
			a.take(packet[:size])
		}
	}()
	return a
}

// take notes the addresses in a packet that are not taken back (RFC 6762, 10.1).
func (a *announced) take(packet []byte) {
	var m dnsmessage.Message
	if m.Unpack(packet) != nil || !m.Response {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range append(m.Answers, m.Additionals...) {
		if body, ok := r.Body.(*dnsmessage.AResource); ok && r.Header.TTL > 0 {
			a.addrs = append(a.addrs, netip.AddrFrom4(body.A))
		}
	}
}

func (a *announced) has(addr string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Contains(a.addrs, netip.MustParseAddr(addr))
}
