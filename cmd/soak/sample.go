package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sample is how the gateway was at one moment.
type sample struct {
	At         time.Duration // since the first
	RSS, Anon  int64         // bytes
	Heap       int64         // bytes that the Go runtime has in use
	Goroutines int64
	Files      int64 // descriptors that are open
	Threads    int64
	DataFiles  int64 // in the data folder, and their bytes
	DataBytes  int64
	Written    int64            // bytes to the disk since the start, by the kernel's count
	Stores     map[string]store // of them what the commits of each database wrote
	Accepted   int64            // by the ledger, as Waiting
	Waiting    int64
	Spool      int64         // messages
	CPU        time.Duration // that it has used
}

// store is what a database has done since the start.
type store struct{ Written, Commits int64 }

// column is one figure of a sample.
type column struct {
	name string
	of   func(*sample) int64
}

var columns = []column{
	{"seconds", func(s *sample) int64 { return int64(s.At / time.Second) }},
	{"rss", func(s *sample) int64 { return s.RSS }},
	{"rss_anon", func(s *sample) int64 { return s.Anon }},
	{"heap_in_use", func(s *sample) int64 { return s.Heap }},
	{"goroutines", func(s *sample) int64 { return s.Goroutines }},
	{"descriptors", func(s *sample) int64 { return s.Files }},
	{"threads", func(s *sample) int64 { return s.Threads }},
	{"data_files", func(s *sample) int64 { return s.DataFiles }},
	{"data_bytes", func(s *sample) int64 { return s.DataBytes }},
	{"written", func(s *sample) int64 { return s.Written }},
	{"accepted", func(s *sample) int64 { return s.Accepted }},
	{"waiting", func(s *sample) int64 { return s.Waiting }},
	{"spool", func(s *sample) int64 { return s.Spool }},
	{"cpu_ms", func(s *sample) int64 { return s.CPU.Milliseconds() }},
}

// watch takes samples until life ends, writes each to a file, and prints one a
// minute.
func (s *soak) watch() {
	file, err := os.Create(filepath.Join(s.o.Out, "samples.csv"))
	if err != nil {
		s.fault("make the file of samples: %v", err)
		return
	}
	defer file.Close()
	var names []string
	for _, c := range columns {
		names = append(names, c.name)
	}
	fmt.Fprintln(file, strings.Join(names, ","))
	tick := time.NewTicker(s.o.Sample)
	defer tick.Stop()
	began, printed := time.Now(), -time.Minute
	for {
		if x, err := s.take(began); err != nil {
			if s.life.Err() == nil {
				s.fault("take a sample: %v", err)
			}
		} else {
			var figures []string
			for _, c := range columns {
				figures = append(figures, strconv.FormatInt(c.of(x), 10))
			}
			fmt.Fprintln(file, strings.Join(figures, ","))
			if m := x.At.Truncate(time.Minute); m > printed {
				printed = m
				fmt.Fprintln(s.o.Print, x)
			}
		}
		select {
		case <-tick.C:
		case <-s.traffic.Done(): // what comes now is the end, and not like the rest
			return
		}
	}
}

func (s *sample) String() string {
	return fmt.Sprintf("%5.0fs rss %.1f MiB, anonymous %.1f MiB, heap %.1f MiB, %d goroutines, %d descriptors, %d threads, %d files with %.1f MiB, %.1f MiB written, %d accepted, %d waiting, %d in the spool",
		s.At.Seconds(), mib(s.RSS), mib(s.Anon), mib(s.Heap), s.Goroutines, s.Files, s.Threads, s.DataFiles, mib(s.DataBytes), mib(s.Written), s.Accepted, s.Waiting, s.Spool)
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// take takes a sample and keeps it.
func (s *soak) take(began time.Time) (*sample, error) {
	ctx, cancel := context.WithTimeout(s.life, patience)
	defer cancel()
	x := &sample{At: time.Since(began), Stores: map[string]store{}}
	st, err := s.site.control.Status(ctx)
	if err != nil {
		return nil, err
	}
	x.Spool = st.Spool.Messages
	x.Accepted, x.Waiting = int64(st.Ledger.Accepted), int64(st.Ledger.Waiting)
	if err := x.process(s.site.pid()); err != nil {
		return nil, err
	}
	if err := x.metrics(ctx, "http://"+s.site.admin+"/metrics"); err != nil {
		return nil, err
	}
	if err := x.folder(s.site.data()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.samples = append(s.samples, *x)
	return x, nil
}

// process reads what everybody may know of a process.
func (s *sample) process(pid int) error {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return fmt.Errorf("read the memory of the gateway: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		name, rest, _ := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			continue
		}
		n, _ := strconv.ParseInt(fields[0], 10, 64) // what is no number is not asked for below
		switch name {
		case "VmRSS":
			s.RSS = n << 10
		case "RssAnon":
			s.Anon = n << 10
		case "Threads":
			s.Threads = n
		}
	}
	return nil
}

// metrics reads what only the gateway itself knows: a process that has functions
// closes its folder in /proc to others.
func (s *sample) metrics(ctx context.Context, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("ask for the metrics: %w", err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		n, _ := strconv.ParseFloat(value, 64)
		if family, label, ok := strings.Cut(name, `{store="`); ok {
			s.storeFigure(family, strings.TrimSuffix(label, `"}`), int64(n))
		}
		switch name {
		case "greengate_disk_written_bytes_total":
			s.Written = int64(n)
		case "go_goroutines":
			s.Goroutines = int64(n)
		case "process_open_fds":
			s.Files = int64(n)
		case "go_memstats_heap_inuse_bytes":
			s.Heap = int64(n)
		case "process_cpu_seconds_total":
			s.CPU = time.Duration(n * float64(time.Second))
		}
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return lines.Err()
}

func (s *sample) storeFigure(family, name string, n int64) {
	x := s.Stores[name]
	switch family {
	case "greengate_store_written_bytes_total":
		x.Written = n
	case "greengate_store_commits_total":
		x.Commits = n
	default:
		return
	}
	s.Stores[name] = x
}

// folder counts the files of the data folder. Some come and go meanwhile.
func (s *sample) folder(dir string) error {
	return filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		if info, err := e.Info(); err == nil {
			s.DataFiles++
			s.DataBytes += info.Size()
		}
		return nil
	})
}

// quarter returns the middle of a figure over the samples of the nth quarter, from
// 1: a run begins with caches and pools that fill, so that the first says nothing.
func quarter(samples []sample, nth int, of func(*sample) int64) int64 {
	from, to := len(samples)*(nth-1)/4, len(samples)*nth/4
	var values []int64
	for i := from; i < to; i++ {
		values = append(values, of(&samples[i]))
	}
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)/2]
}
