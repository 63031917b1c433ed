package main

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// limitMemory has the collector keep below what the service manager allows: at
// nine tenths of the limit it works harder, rather than let the kernel kill the
// gateway at ten. A person's $GOMEMLIMIT stands. It returns the limit in bytes,
// 0 when there is none.
func limitMemory(root string) int64 {
	if os.Getenv("GOMEMLIMIT") != "" {
		return 0
	}
	limit := cgroupLimit(root)
	if limit == 0 {
		return 0
	}
	limit -= limit / 10
	debug.SetMemoryLimit(limit)
	return limit
}

// memoryLimit is what this process may have, by limitMemory or by $GOMEMLIMIT, in bytes;
// 0: no limit.
func memoryLimit() int64 {
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		return limit
	}
	return 0
}

// cgroupLimit is the least memory.max and memory.high of the cgroup of this
// process and those above it (cgroup v2); 0: none. Raspberry Pi OS switches
// the memory controller off: there is none then.
func cgroupLimit(root string) int64 {
	text, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return 0
	}
	least := int64(math.MaxInt64)
	for line := range strings.Lines(string(text)) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue // of cgroup v1
		}
		for dir := filepath.Join("/", path); ; dir = filepath.Dir(dir) {
			for _, name := range []string{"memory.max", "memory.high"} {
				text, err := os.ReadFile(filepath.Join(root, "sys/fs/cgroup", dir, name))
				if n, bad := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && bad == nil && n > 0 {
					least = min(least, n)
				}
			}
			if dir == "/" {
				break
			}
		}
	}
	if least == math.MaxInt64 {
		return 0
	}
	return least
}
