package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// LaunchCommand is the hidden command under which this program is its own launcher.
const LaunchCommand = "function-launch"

// The descriptors of a launcher, beyond the three of the function.
const (
	orderFD  = 3 // the order is read from it
	answerFD = 4 // closed without a word when the function runs; else the reason why not
)

// order is what a launcher is told: the wishes of the Spec, and what this
// machine has to fulfil them.
type order struct {
	Command, Env         []string
	Dir                  string
	Read, Write, Devices []string
	Scratch              string
	Hidden               []string
	OpenFiles, Processes int

	User      *identity // nil: keep ours
	UID, GID  int       // of the gateway
	Namespace bool      // it was started in namespaces of its own
	UserSpace bool      // one of these is a user namespace, whose map it has to write
	Landlock  int
	Seccomp   bool
	Gateway   int // process and group that no signal may reach
	Group     int
	// Together: only its group of processes holds a tree together, so that
	// none must leave it.
	Together bool
	// Uncounted: no control group counts the memory, so that what cannot be
	// seen in /proc must not be had.
	Uncounted bool
	// Rehearse: close in, and end well instead of starting anything.
	Rehearse bool
}

// LaunchMain closes this process in and becomes the function that it is told
// on descriptor 3. It does not return. main calls it first of all when the
// program was started as LaunchCommand.
func LaunchMain() {
	// All of a process but its descriptors belongs to a thread, and the one
	// that executes the function hands on what it has.
	runtime.LockOSThread()
	debug.SetGCPercent(-1) // over before it would pay
	unix.CloseOnExec(orderFD)
	unix.CloseOnExec(answerFD)
	err := launch()
	if err == nil {
		os.Exit(0)
	}
	_, _ = io.WriteString(os.NewFile(answerFD, "answer"), err.Error())
	os.Exit(1)
}

func launch() error {
	in := os.NewFile(orderFD, "order")
	if in == nil {
		return errors.New("read the order: this command is for greengate itself")
	}
	var o order
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	_ = in.Close()
	grants, err := o.grants()
	if err != nil {
		return err
	}
	if o.Namespace {
		if err := enterView(&o, grants); err != nil {
			return fmt.Errorf("close the namespace: %w", err)
		}
	}
	if err := setLimits(&o); err != nil {
		return err
	}
	if err := dropRights(&o); err != nil {
		return err
	}
	program, err := o.program()
	if err != nil {
		return err
	}
	if o.Landlock > 0 {
		if err := restrictFiles(&o, grants, program); err != nil {
			return fmt.Errorf("close files by Landlock: %w", err)
		}
	}
	if err := dieWithGateway(); err != nil {
		return err
	}
	// Whatever this process inherited: the function gets the three.
	if err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil && err != unix.ENOSYS {
		return fmt.Errorf("close descriptors: %w", err)
	}
	if o.Seccomp {
		if err := filterCalls(&o); err != nil {
			return fmt.Errorf("filter system calls: %w", err)
		}
	}
	if o.Rehearse {
		return nil
	}
	err = syscall.Exec(program, o.Command, o.Env)
	return fmt.Errorf("start %s: %w", program, err)
}

// program finds the program of the function, as a shell in Dir would, and goes
// to Dir. What it finds is what the function may see.
func (o *order) program() (string, error) {
	if o.Rehearse {
		return "", nil
	}
	if err := os.Chdir(o.Dir); err != nil {
		return "", fmt.Errorf("go to the folder: %w", err)
	}
	name := o.Command[0]
	if strings.ContainsRune(name, '/') {
		path, err := filepath.Abs(name)
		if err == nil {
			_, err = os.Stat(path)
		}
		if err != nil {
			return "", fmt.Errorf("find the program: %w (write its folder under `read`, if it is there)", err)
		}
		return path, nil
	}
	for _, variable := range o.Env {
		if path, found := strings.CutPrefix(variable, "PATH="); found {
			_ = os.Setenv("PATH", path)
		}
	}
	path, err := exec.LookPath(name)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return "", fmt.Errorf("find the program: %w (write its whole path, and its folder under `read`)", err)
	}
	return path, nil
}

// dieWithGateway has the kernel end this process when the gateway ends. The
// gateway may have ended before: nobody would read the answer, then.
func dieWithGateway() error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("tie it to the gateway: %w", err)
	}
	answer := []unix.PollFd{{Fd: answerFD}}
	if n, err := unix.Poll(answer, 0); err == nil && n > 0 && answer[0].Revents&unix.POLLERR != 0 {
		os.Exit(1)
	}
	return nil
}
