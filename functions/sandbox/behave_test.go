package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// behaviours are what a function may do, for good or ill.
var behaviours = map[string]func(args []string){
	"say hello":  func([]string) { fmt.Println("hello") },
	"fail":       func([]string) { os.Exit(7) },
	"crash":      func([]string) { _ = unix.Kill(os.Getpid(), unix.SIGABRT); wait() },
	"never end":  func([]string) { fmt.Println("running"); wait() },
	"eat memory": eatMemory,
	"eat memory in children": func(args []string) {
		for range 4 {
			_, _ = actInChild("eat memory")
		}
		wait()
	},
	"eat memory that it shares": eatShared,
	"eat memory in a file":      eatFile,
	"fork":                      fork,
	"leave a child":             leave("never end"),
	"leave a hidden child":      leave("hide"),
	"hide": func([]string) { // a session of its own, no parent, no output
		_, _ = unix.Setsid()
		fmt.Println("hidden")
		wait()
	},
	"flood": func([]string) {
		line := bytes.Repeat([]byte("all work and no play makes jack a dull boy\n"), 1000)
		for {
			if _, err := os.Stdout.Write(line); err != nil {
				return
			}
		}
	},
	"show descriptors": func([]string) {
		for fd := range 100 {
			if target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil {
				fmt.Println(fd, target)
			}
		}
	},
	"show environment": func([]string) { fmt.Println(strings.Join(os.Environ(), "\n")) },
	"work":             work,
}

// wait waits for the end. (The runtime takes an empty select for a deadlock, and ends.)
func wait() { time.Sleep(time.Hour) }

// actInChild starts this program again.
func actInChild(name string, args ...string) (*exec.Cmd, error) {
	cmd := exec.Command("/proc/self/exe", append([]string{"act", name}, args...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd, cmd.Start()
}

func leave(what string) func([]string) {
	return func([]string) {
		child, err := actInChild("leave and end", what)
		if err == nil {
			err = child.Wait()
		}
		fmt.Println("left", err)
		wait()
	}
}

func init() {
	behaviours["leave and end"] = func(args []string) {
		_, err := actInChild(args[0])
		fmt.Println("started", err)
	}
	// A gateway with one function, which has a child. It tells their numbers.
	behaviours["be a gateway"] = func(args []string) {
		kernel := kernels[number(args[0])]
		s := build(Options{}, kernel.means)
		spec := Spec{Name: "car", Dir: args[1], Scratch: args[1], Read: []string{args[2]}, Stdout: os.Stdout, Stderr: os.Stderr,
			Command: []string{args[2], "act", "start a child"}, Env: []string{"TMPDIR=" + args[1]}, Memory: 256 << 20}
		p, err := s.Start(context.Background(), spec)
		if err != nil {
			fmt.Println(err)
			return
		}
		for len(p.tree()) < 2 {
			time.Sleep(time.Millisecond)
		}
		fmt.Println("tree", p.Pid(), p.tree())
		wait()
	}
	behaviours["start a child"] = func([]string) { _, _ = actInChild("never end"); wait() }
	// A shell's sh -c ':(){ :|:& };:'.
	behaviours["fork again"] = fork
}

func fork([]string) {
	_, _ = unix.Setsid() // away from its group, if it may
	for {
		if _, err := actInChild("fork again"); err != nil {
			time.Sleep(time.Millisecond)
		}
	}
}

func eatMemory([]string) {
	for all := [][]byte{}; ; {
		all = append(all, make([]byte, 1<<20))
		for i := range all[len(all)-1] {
			all[len(all)-1][i] = byte(i)
		}
	}
}

func eatShared([]string) {
	for {
		block, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
		if err != nil {
			fmt.Println(err)
			wait()
		}
		for i := range block {
			block[i] = byte(i)
		}
	}
}

// eatFile takes memory that is nobody's: a file that has no name.
func eatFile([]string) {
	fd, err := unix.MemfdCreate("eater", 0)
	for block := make([]byte, 1<<20); err == nil; {
		_, err = unix.Write(fd, block)
	}
	fmt.Println("refused:", err)
}

// work is what a decent program does; it says what went wrong.
func work(args []string) {
	check := func(what string, err error) {
		if err != nil {
			fmt.Println(what+":", err)
			os.Exit(1)
		}
	}
	name := os.Getenv("TMPDIR") + "/file"
	check("write", os.WriteFile(name, []byte("x"), 0o600))
	check("make a folder", os.MkdirAll(os.Getenv("TMPDIR")+"/folder", 0o700))
	check("move", os.Rename(name, os.Getenv("TMPDIR")+"/folder/file"))
	text, err := exec.Command("cat", os.Getenv("TMPDIR")+"/folder/file").Output()
	check("run a program", err)
	if string(text) != "x" {
		check("run a program", fmt.Errorf("it said %q", text))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check("listen", err)
	client, err := net.Dial("tcp", listener.Addr().String())
	check("connect", err)
	check("hang up", client.Close())
	_, err = net.LookupHost("greengate.invalid")
	if err == nil {
		check("look up a name", fmt.Errorf("found what is not there"))
	}
	_, err = net.Interfaces()
	check("list interfaces", err)
	child := exec.Command("sleep", "60")
	check("start a child", child.Start())
	check("end a child", child.Process.Signal(syscall.SIGTERM))
	_ = child.Wait()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	check("make a pair of sockets", err)
	_, err = unix.Write(pair[0], []byte("x"))
	check("use a pair of sockets", err)
	fmt.Println("all went well")
}
