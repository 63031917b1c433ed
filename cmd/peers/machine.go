package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// describe writes when, on what machine and with what versions it was measured.
func describe(w io.Writer, b *bench) error {
	var kernel unix.Utsname
	if err := unix.Uname(&kernel); err != nil {
		return fmt.Errorf("ask for the kernel's version: %w", err)
	}
	version, err := exec.Command(b.programs.greengate, "version").Output()
	if err != nil {
		return fmt.Errorf("ask greengate for its version: %w", err)
	}
	var versions []string
	for _, k := range b.kinds {
		switch k {
		case greengate:
			versions = append(versions, firstLine(version))
		case mosquitto:
			// It tells its version with its usage, and fails.
			usage, _ := exec.Command(b.programs.mosquitto, "-h").Output()
			versions = append(versions, firstLine(usage))
		case mochi:
			versions = append(versions, "mochi "+mochiVersion()+" ("+runtime.Version()+")")
		}
	}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s, %d runs. %s, %d cores, %s, Linux %s; load average at the end %s. %s.\n\n",
		time.Now().UTC().Format("2006-01-02 15:04 UTC"), b.runs, valueIn("/proc/cpuinfo", "model name", ":"), runtime.NumCPU(),
		valueIn("/etc/os-release", "PRETTY_NAME", "="), unix.ByteSliceToString(kernel.Release[:]),
		strings.Join(strings.Fields(string(load))[:3], " "), strings.Join(versions, "; "))
	return err
}

// findMosquitto is the path of the broker, which Debian keeps out of a user's PATH.
func findMosquitto() (string, error) {
	for _, name := range []string{"mosquitto", "/usr/sbin/mosquitto"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("mosquitto is not installed (type: cmd/demo/setup.sh peers)")
}

func mochiVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if strings.HasPrefix(m.Path, "github.com/mochi-mqtt/server") {
				return m.Version
			}
		}
	}
	return "of an unknown version"
}

// valueIn is the value of the first line of a file that begins with key; "" when
// there is none.
func valueIn(file, key, separator string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if k, v, ok := strings.Cut(lines.Text(), separator); ok && strings.TrimSpace(k) == key {
			return strings.Trim(strings.TrimSpace(v), `"`)
		}
	}
	return ""
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line)
}
