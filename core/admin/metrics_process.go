package admin

import (
	"bytes"
	"os"
	"runtime"
	measured "runtime/metrics"
	"strconv"
	"syscall"
	"time"
)

// The figures of the process bear the names that Prometheus's client libraries give
// them, so that dashboards of others fit.
var (
	processCPU   = &Metric{Name: "process_cpu_seconds_total", Counter: true, Help: "Total user and system CPU time spent in seconds."}
	processRSS   = &Metric{Name: "process_resident_memory_bytes", Help: "Resident memory size in bytes."}
	processFiles = &Metric{Name: "process_open_fds", Help: "Number of open file descriptors."}
	processMost  = &Metric{Name: "process_max_fds", Help: "Maximum number of open file descriptors."}
	processStart = &Metric{Name: "process_start_time_seconds", Help: "Start time of the process since unix epoch in seconds."}
	goRoutines   = &Metric{Name: "go_goroutines", Help: "Number of goroutines that currently exist."}
	goHeap       = &Metric{Name: "go_memstats_heap_alloc_bytes", Help: "Number of heap bytes allocated and currently in use."}
	goCycles     = &Metric{Name: "go_gc_cycles_total", Counter: true, Help: "Garbage collections since the start."}
)

var begun = time.Now()

// processFigures leaves out what the kernel does not tell.
func processFigures(emit Emit) {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) == nil {
		emit(processCPU, seconds(used.Utime)+seconds(used.Stime))
	}
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		if words := bytes.Fields(text); len(words) > 1 {
			pages, _ := strconv.ParseInt(string(words[1]), 10, 64)
			emit(processRSS, float64(pages)*float64(os.Getpagesize()))
		}
	}
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		emit(processFiles, float64(len(files)))
	}
	var most syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &most) == nil {
		emit(processMost, float64(most.Cur))
	}
	emit(processStart, float64(begun.UnixMilli())/1000)
	emit(goRoutines, float64(runtime.NumGoroutine()))
	samples := []measured.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
	measured.Read(samples)
	for i, m := range []*Metric{goHeap, goCycles} {
		if samples[i].Value.Kind() == measured.KindUint64 {
			emit(m, float64(samples[i].Value.Uint64()))
		}
	}
}

func seconds(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
