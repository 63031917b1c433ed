package main_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A gateway whose clock is wrong, while that of its clients is right. The built program
// asks the kernel's vDSO for the time (vdso(7)): before its first instruction these
// functions are replaced in its memory, by ones that make the real system call and add
// what the test wants. Only the wall clock is changed: the monotonic one, by which a
// kernel measures how long something takes, goes on as it does when somebody sets a clock.

// wrongClock is what the clock of a gateway is off.
type wrongClock struct {
	t   *testing.T
	mem *os.File // of the process
	at  int64    // where the seconds are
}

// startAt runs the gateway with the clock off from its first instruction on.
func (s *site) startAt(off time.Duration) (*gateway, *wrongClock) {
	s.t.Helper()
	if runtime.GOARCH != "amd64" {
		s.t.Skip("only for amd64 there are functions to take the place of the vDSO's")
	}
	c := &wrongClock{t: s.t}
	g := s.startBy(s.prepare("run"), func(cmd *exec.Cmd) error { return c.launch(cmd, off) })
	s.t.Cleanup(func() { _ = c.mem.Close() })
	return g, c
}

// launch starts cmd and changes it while it has stopped before its first instruction.
func (c *wrongClock) launch(cmd *exec.Cmd, off time.Duration) error {
	runtime.LockOSThread() // that traces
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr.Ptrace = true
	if err := cmd.Start(); err != nil {
		c.t.Skipf("trace a process: %v", err)
	}
	pid := cmd.Process.Pid
	if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
		return fmt.Errorf("wait for its stop: %w", err)
	}
	if err := c.open(pid); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		c.t.Skipf("change the clock of a process: %v", err)
	}
	c.set(off)
	return syscall.PtraceDetach(pid)
}

// set sets the clock that much ahead, at once.
func (c *wrongClock) set(off time.Duration) {
	c.t.Helper()
	var seconds [8]byte
	binary.LittleEndian.PutUint64(seconds[:], uint64(int64(off/time.Second)))
	if _, err := c.mem.WriteAt(seconds[:], c.at); err != nil {
		c.t.Fatalf("set the clock: %v", err)
	}
}

// secondsAt is how far behind the beginning of __vdso_clock_gettime the seconds lie: behind
// its code, at a multiple of 8 so that they change at once.
const secondsAt = 40

// open replaces the functions of the process that tell the time.
func (c *wrongClock) open(pid int) error {
	start, image, err := c.vdso(pid)
	if err != nil {
		return err
	}
	file, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return err
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return err
	}
	places := map[string]elf.Symbol{}
	for _, s := range symbols {
		places[s.Name] = s
	}
	// The seconds lie in what is left of the first function.
	first := places["__vdso_clock_gettime"]
	seconds := int64(first.Value+7)&^7 + secondsAt
	if seconds+8 > int64(first.Value+first.Size) {
		return fmt.Errorf("the kernel's %s has %d bytes", first.Name, first.Size)
	}
	c.at = start + seconds
	for name, code := range clockCode {
		p := places[name]
		if int(p.Size) < len(code) {
			return fmt.Errorf("the kernel's %s has %d bytes", name, p.Size)
		}
		code = bytes.Clone(code)
		at := bytes.Index(code, placeOfSeconds)
		binary.LittleEndian.PutUint32(code[at:], uint32(seconds-int64(p.Value)-int64(at)-4))
		if _, err := c.mem.WriteAt(code, start+int64(p.Value)); err != nil {
			return err
		}
	}
	return nil
}

// vdso reads the process's copy of it.
func (c *wrongClock) vdso(pid int) (start int64, image []byte, err error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, nil, err
	}
	var end int64
	for line := range strings.Lines(string(maps)) {
		if strings.HasSuffix(strings.TrimSpace(line), "[vdso]") {
			_, err = fmt.Sscanf(line, "%x-%x", &start, &end)
		}
	}
	if err != nil || start == 0 {
		return 0, nil, fmt.Errorf("it has no vDSO: %w", err)
	}
	if c.mem, err = os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0); err != nil {
		return 0, nil, err
	}
	image = make([]byte, end-start)
	_, err = c.mem.ReadAt(image, start)
	return start, image, err
}

// placeOfSeconds stands in the code for where the seconds are, from the next instruction.
var placeOfSeconds = []byte{0xee, 0xee, 0xee, 0xee}

// clockCode is what stands in place of the functions. In each the instruction that has
// placeOfSeconds ends with it.
var clockCode = map[string][]byte{
	"__vdso_clock_gettime": {
		0xb8, 228, 0, 0, 0, // mov eax, clock_gettime
		0x0f, 0x05, // syscall
		0x85, 0xff, // test edi, edi: CLOCK_REALTIME is 0
		0x75, 0x0a, // jne end
		0x48, 0x8b, 0x15, 0xee, 0xee, 0xee, 0xee, // mov rdx, [rip+seconds]
		0x48, 0x01, 0x16, // add [rsi], rdx
		0xc3, // end: ret
	},
	"__vdso_gettimeofday": {
		0xb8, 96, 0, 0, 0, // mov eax, gettimeofday
		0x0f, 0x05, // syscall
		0x48, 0x85, 0xff, // test rdi, rdi
		0x74, 0x0a, // je end
		0x48, 0x8b, 0x15, 0xee, 0xee, 0xee, 0xee, // mov rdx, [rip+seconds]
		0x48, 0x01, 0x17, // add [rdi], rdx
		0xc3, // end: ret
	},
	"__vdso_time": {
		0xb8, 201, 0, 0, 0, // mov eax, time
		0x0f, 0x05, // syscall
		0x48, 0x03, 0x05, 0xee, 0xee, 0xee, 0xee, // add rax, [rip+seconds]
		0x48, 0x85, 0xff, // test rdi, rdi
		0x74, 0x03, // je end
		0x48, 0x89, 0x07, // mov [rdi], rax
		0xc3, // end: ret
	},
}
