package sandbox

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
)

// resident is a process as /proc tells it.
type resident struct {
	parent, group int
	threads       int
	zombie        bool
}

// census reads who is there. One that ends meanwhile is left out.
func census() map[int]resident {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	all := make(map[int]resident, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if r, ok := lookAt(pid); ok {
				all[pid] = r
			}
		}
	}
	return all
}

// lookAt reads /proc/PID/stat: `pid (name) state ppid pgrp session ... threads`.
func lookAt(pid int) (resident, bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return resident{}, false
	}
	// A name may hold spaces and brackets; the last bracket ends it.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 18 {
		return resident{}, false
	}
	number := func(i int) int { n, _ := strconv.Atoi(string(fields[i])); return n }
	state := fields[0][0]
	return resident{parent: number(1), group: number(2), threads: number(17), zombie: state == 'Z' || state == 'X'}, true
}

// footprint is the memory of a process that is not a file's: what no other
// process could use if this one ended. Bytes.
func footprint(pid int) int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	return 1024 * (statusNumber(text, "RssAnon:") + statusNumber(text, "RssShmem:") + statusNumber(text, "VmSwap:"))
}

// statusNumber reads one number of a /proc/PID/status.
func statusNumber(text []byte, key string) int64 {
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, key); found {
			n, _ := strconv.ParseInt(strings.Fields(rest + " 0")[0], 10, 64)
			return n
		}
	}
	return 0
}

// family are a process with its descendants, and those of its group, which none
// can leave where a group is all that holds them together.
func family(all map[int]resident, head int) (pids []int) {
	children := map[int][]int{}
	for pid, r := range all {
		children[r.parent] = append(children[r.parent], pid)
	}
	seen := map[int]bool{}
	var add func(pid int)
	add = func(pid int) {
		if seen[pid] {
			return
		}
		seen[pid] = true
		for _, child := range children[pid] {
			add(child)
		}
	}
	add(head)
	for pid, r := range all {
		if r.group == head {
			add(pid)
		}
	}
	for pid := range seen {
		if r, there := all[pid]; there && !r.zombie {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}
