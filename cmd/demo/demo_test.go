package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The demo as a person meets it: the built programs, started and stopped as
// from a terminal.

const patience = 30 * time.Second

// programs builds the programs once, beside the test binary: the go command
// removes that folder when the tests are over.
var programs = sync.OnceValues(func() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(filepath.Dir(self), "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", err
	}
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", bin+"/", ".", "../greengate", "../iotsim").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	function := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(bin, "car-aggregator"), ".")
	function.Dir, function.Env = "../../functions/examples/go", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := function.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the function: %w\n%s", err, out)
	}
	return bin, nil
})

// show is one run of `demo site`.
type show struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	all   []string
	gone  chan struct{}
}

// play starts the demo in a process group of its own, as a shell does.
func play(t *testing.T, site string, broker, discovery int) *show {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	s := &show{t: t, lines: make(chan string, 4096), gone: make(chan struct{})}
	s.cmd = exec.Command(filepath.Join(bin, "demo"), "site", "-broker", at(broker), "-discovery", at(discovery), "-cloud", at(freePort(t)), "-page", at(freePort(t)), site)
	s.cmd.Dir = filepath.Dir(site)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stderr = s.cmd.Stdout
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		scan := bufio.NewScanner(out)
		for scan.Scan() {
			s.lines <- scan.Text()
		}
		close(s.lines)
		_ = s.cmd.Wait()
		close(s.gone)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.gone
		if t.Failed() {
			t.Logf("the demo printed:\n%s", strings.Join(s.all, "\n"))
		}
	})
	return s
}

// until reads lines up to the first that holds all the words, and returns it.
func (s *show) until(words ...string) string {
	s.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case line, more := <-s.lines:
			if !more {
				s.t.Fatalf("the demo ended before a line with %q", words)
			}
			s.all = append(s.all, line)
			found := true
			for _, w := range words {
				found = found && strings.Contains(line, w)
			}
			if found {
				return line
			}
		case <-limit:
			s.t.Fatalf("no line with %q within %v", words, patience)
		}
	}
}

// lit waits until the remote light and the LEDs of the gateway show that lamp,
// in either order.
func (s *show) lit(lamp string) {
	s.t.Helper()
	left := map[string]bool{"light ": true, "leds ": true}
	for len(left) > 0 {
		line := s.until(lamp)
		for name := range left {
			if strings.HasPrefix(line, name) {
				delete(left, name)
			}
		}
	}
}

// pins looks at the pins and sensors of the gateway itself: a BME280 whose values
// change, and two LEDs that are never on together.
func (s *show) pins(site string) {
	s.t.Helper()
	reading := func() string {
		line := s.until("display", "heard sensors/hall", `"temperature":`, `"humidity":`, `"pressure":`, `"simulated":true`)
		values, _, _ := strings.Cut(line, `"units"`)
		return values
	}
	first, changed := reading(), false
	for n := 0; !changed && n < 5; n++ {
		changed = reading() != first
	}
	if !changed {
		s.t.Errorf("the BME280 reads the same all the time: %s", first)
	}
	bin, err := programs()
	if err != nil {
		s.t.Fatal(err)
	}
	// The light goes on meanwhile, and may change in between.
	for range 10 {
		said := ""
		for _, lamp := range []string{"red", "green"} {
			set := exec.Command(filepath.Join(bin, "greengate"), "gpio", "set", lamp, "on", "--config", filepath.Join(site, "group.yaml"))
			out, err := set.CombinedOutput()
			if err != nil && strings.Contains(string(out), "may not be on while") {
				return
			}
			said += string(out)
		}
		s.t.Logf("neither is refused: %s", said)
	}
	s.t.Error("red and green may be on together")
}

// page looks at the live page where the demo says that it is.
func (s *show) page() {
	s.t.Helper()
	_, url, _ := strings.Cut(s.until("demo", "see all of it in a browser"), "refused: ")
	resp, err := http.Get(url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 || !strings.Contains(string(text), "<title>greengate</title>") {
		s.t.Errorf("%s: %d, %v, %.100s", url, resp.StatusCode, err, text)
	}
}

// ends waits for the end of the demo, which must have that exit code and leave
// no process behind.
func (s *show) ends(code int, site string) {
	s.t.Helper()
	limit := time.After(patience)
	for ended := false; !ended; {
		select {
		case line, more := <-s.lines:
			if ended = !more; more {
				s.all = append(s.all, line)
			}
		case <-limit:
			s.t.Fatalf("the demo did not end within %v", patience)
		}
	}
	<-s.gone
	if got := s.cmd.ProcessState.ExitCode(); got != code {
		s.t.Errorf("the demo ended with %v, want exit code %d", s.cmd.ProcessState, code)
	}
	if left := processesOf(s.t, site); len(left) > 0 {
		s.t.Errorf("processes are left behind: %v", left)
	}
}

// processesOf finds the running processes in whose command line the site is.
func processesOf(t *testing.T, site string) (found map[int]string) {
	t.Helper()
	found = map[int]string{}
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(text), site) {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(file, "/proc/%d/cmdline", &pid); err == nil && pid != os.Getpid() {
			found[pid] = strings.ReplaceAll(string(text), "\x00", " ")
		}
	}
	return found
}

// given are the ports that freePort has found: each is used some time later, by one demo.
var given = struct {
	sync.Mutex
	ports map[int]bool
}{ports: map[int]bool{}}

// freePort finds a port of the loopback address that nobody listens at, and the
// next one likewise. It looks below the ports that Linux gives to outgoing
// connections, since one of those could take it before the gateway does.
func freePort(t *testing.T) int {
	t.Helper()
	given.Lock()
	defer given.Unlock()
	for range 1000 {
		// Not where the tests of cmd/greengate, which run at the same time, take theirs.
		if p := 10000 + rand.IntN(9000); !given.ports[p] && !given.ports[p+1] && free(at(p)) && free(at(p+1)) {
			given.ports[p], given.ports[p+1] = true, true
			return p
		}
	}
	t.Fatal("no port is free")
	return 0
}

func at(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func TestDemo(t *testing.T) {
	t.Parallel()
	site := filepath.Join(t.TempDir(), "demo-site")
	s := play(t, site, freePort(t), freePort(t))
	s.until("demo", "making a demo site")
	s.page()
	s.until("intruder", "discovery with a forged certificate", "refused, 401")
	s.until("intruder", "MQTT with a forged certificate", "refused, CONNACK 0x87")
	s.until("intruder", "published 99.9", "refused, PUBACK 0x87")
	s.until("gate ", "delivered", "sensor", temperatureTopic, "display")
	s.until("cloud", "demo_Core "+temperatureTopic)
	s.until("display", "heard "+temperatureTopic)
	s.until("intruder", "listened to #", "heard nothing")
	for _, lamp := range []string{"● red", "● green", "● yellow"} {
		colour := strings.ToUpper(lamp[len("● "):][:1])
		s.until("switch", "desired.property = "+colour+": accepted")
		s.lit(lamp)
	}
	s.until("display", "heard cars/green: {\"green\":") // by a function that counts
	s.pins(site)
	for _, line := range s.all {
		for _, breach := range []string{"IT ANSWERED", "IT IS CONNECTED", "IT WAS TAKEN", "HEARD", temperatureTopic + ": 99.9"} {
			if strings.Contains(line, breach) {
				t.Errorf("the intruder got through: %s", line)
			}
		}
	}

	// Ctrl-C on a terminal: SIGINT to the whole process group.
	if err := syscall.Kill(-s.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	s.ends(0, site)

	// The second time it is there already, and a process that dies ends it all.
	s = play(t, site, freePort(t), freePort(t)) // the site keeps its own
	s.until("display", "heard "+temperatureTopic)
	for _, line := range s.all {
		if strings.Contains(line, "making a demo site") {
			t.Errorf("the site was made a second time: %s", line)
		}
	}
	for pid, command := range processesOf(t, site) {
		if strings.Contains(command, "demo sensor") {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	s.ends(1, site)
	if last := strings.Join(s.all, "\n"); !strings.Contains(last, "sensor ended by itself") {
		t.Error("the demo does not say who ended")
	}
}

func TestDemoThatIsKilledLeavesNobody(t *testing.T) {
	t.Parallel()
	site := filepath.Join(t.TempDir(), "demo-site")
	s := play(t, site, freePort(t), freePort(t))
	s.until("display", "heard "+temperatureTopic)
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	limit := time.After(patience)
	for len(processesOf(t, site)) > 0 {
		select {
		case <-limit:
			t.Fatalf("processes are left behind: %v", processesOf(t, site))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestDemoTakesTheNextFreePort(t *testing.T) {
	t.Parallel()
	site, port := filepath.Join(t.TempDir(), "demo-site"), freePort(t)
	l, err := net.Listen("tcp", at(port))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := play(t, site, port, freePort(t))
	s.until(at(port)+" is in use", at(port+1))
	s.until("display", "connected to "+at(port+1))
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	s.ends(0, site)

	// In a site that is there the port stands in the file, and stays.
	taken, err := net.Listen("tcp", at(port+1))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s = play(t, site, port, freePort(t))
	s.until(at(port+1)+" is in use", "broker.listen")
	s.ends(1, site)
}

// TestDemoHints types the commands that the demo prints.
func TestDemoHints(t *testing.T) {
	t.Parallel()
	site := filepath.Join(t.TempDir(), "demo-site")
	s := play(t, site, freePort(t), freePort(t))
	s.until("demo", "try next")
	// Pulling the plug and plugging in print nothing.
	wants := []string{
		"sensor", "intruder", "gg_", "property", "bme280", "car-aggregator", "counting on from", "bell was pressed", "wall",
		"", "waiting", trafficLight, "", trafficLight, "property", "",
	}
	for _, want := range wants {
		_, command, _ := strings.Cut(s.until("demo", " --"), "|")
		typed := exec.Command("sh", "-c", command)
		typed.Dir = s.cmd.Dir
		out, err := typed.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		typed.Stderr = typed.Stdout
		if err := typed.Start(); err != nil {
			t.Fatal(err)
		}
		// That of the wall goes on until it is ended; the others end by themselves.
		timer := time.AfterFunc(patience, func() { _ = typed.Process.Kill() })
		printed, heard := "", false
		for scan := bufio.NewScanner(out); !heard && scan.Scan(); {
			printed += scan.Text() + "\n"
			heard = strings.HasPrefix(scan.Text(), "heard "+temperatureTopic)
		}
		if heard {
			for pid, command := range processesOf(t, site) {
				if strings.Contains(command, "--thing wall") && !strings.Contains(command, "sh -c") {
					_ = syscall.Kill(pid, syscall.SIGTERM)
				}
			}
		}
		err = typed.Wait()
		timer.Stop()
		if err != nil || !strings.Contains(printed, want) || heard != (want == "wall") {
			t.Errorf("%s\nended with %v and printed\n%s", command, err, printed)
		}
	}
	s.until("display", "heard home/bell", `"event":"long"`)
	s.until("display", "heard cmd/display/note: good morning")
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	s.ends(0, site)
}

// TestDemoInAnOlderSite: without the traffic light, whose devices it lacks, and
// without a cloud.
func TestDemoInAnOlderSite(t *testing.T) {
	t.Parallel()
	site := filepath.Join(t.TempDir(), "demo-site")
	s := play(t, site, freePort(t), freePort(t))
	s.until("demo", "try next")
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	s.ends(0, site)

	file := filepath.Join(site, "group.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	older := regexp.MustCompile(`(?ms)^(?:gpio|cloud):.*?^$|^  - [^\n]*(?:GG_|gpio:|cloud)[^\n]*\n`).ReplaceAll(text, nil)
	if err := os.WriteFile(file, older, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, thing := range []string{theSwitch, trafficLight} {
		if err := os.RemoveAll(filepath.Join(site, "devices", thing)); err != nil {
			t.Fatal(err)
		}
	}
	s = play(t, site, freePort(t), freePort(t))
	s.until("demo", "older demo, without the traffic light", "remove "+site)
	s.until("demo", "older demo, without a cloud", "remove "+site)
	s.until("display", "heard "+temperatureTopic)
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	s.ends(0, site)
}
