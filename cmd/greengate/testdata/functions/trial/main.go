// Command trial is the function of the end-to-end tests: its first argument says how it
// behaves, well or badly.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

func main() {
	behaviour, args := os.Args[1], os.Args[2:]
	switch behaviour {
	case "echo": // answers with its event, whatever that is
		lambda.Start(echo{})
	case "proof": // answers with the topic and its event, but only once its file is gone
		lambda.Start(proof{args[0]})
	case "topic": // answers with the topic of its event
		lambda.Start(func(ctx context.Context, event json.RawMessage) (any, error) {
			lc, _ := lambdacontext.FromContext(ctx)
			return map[string]any{"topic": lc.ClientContext.Custom["subject"], "event": event}, nil
		})
	case "note": // writes what it is called with to a file, and takes its time over it
		lambda.Start(func(_ context.Context, event json.RawMessage) error { return note(args[0], event) })
	case "fail":
		lambda.Start(func() error { return errors.New("as always") })
	case "fork":
		forkOn()
	case "child":
		time.Sleep(time.Minute)
	case "eat":
		lambda.Start(func() error {
			for kept := [][]byte{}; ; {
				block := make([]byte, 1<<20)
				for i := 0; i < len(block); i += 4096 {
					block[i] = 1
				}
				kept = append(kept, block)
			}
		})
	case "hang":
		lambda.Start(func() error { select {} })
	case "exit":
		os.Exit(3)
	case "flood":
		go func() {
			for {
				fmt.Println(strings.Repeat("nothing but noise ", 50))
			}
		}()
		lambda.Start(func() error { return nil })
	case "thief": // answers with what it got at, which should be nothing
		lambda.Start(func() ([]string, error) { return steal(args), nil })
	}
}

type echo struct{}

func (echo) Invoke(_ context.Context, event []byte) ([]byte, error) { return event, nil }

type proof struct{ file string }

func (p proof) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	for held := true; held; {
		if _, err := os.Stat(p.file); err != nil {
			held = false
		} else {
			time.Sleep(2 * time.Millisecond)
		}
	}
	lc, _ := lambdacontext.FromContext(ctx)
	return append([]byte(lc.ClientContext.Custom["subject"]+"\n"), event...), nil
}

// note appends the start of a call to a file, works for a while, and appends its end.
func note(file string, event json.RawMessage) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	fmt.Fprintf(f, "begin %s\n", event)
	time.Sleep(50 * time.Millisecond)
	_, err = fmt.Fprintf(f, "end %s\n", event)
	return err
}

// forkOn starts processes until nobody lets it any more. It is tame besides: its children
// start none, and there are at most so many, should nobody stop it.
func forkOn() {
	for range 300 {
		if exec.Command(os.Args[0], "child").Start() != nil {
			time.Sleep(time.Millisecond)
		}
	}
	time.Sleep(time.Minute)
}

// steal reads the files, speaks to the sockets, looks at other processes, and leaves
// something where it should not.
func steal(paths []string) (got []string) {
	for _, path := range paths {
		if conn, err := net.Dial("unix", path); err == nil {
			conn.Close()
			got = append(got, "spoke to "+path)
		}
		if _, err := os.ReadFile(path); err == nil {
			got = append(got, "read "+path)
		}
		if entries, err := os.ReadDir(path); err == nil {
			got = append(got, fmt.Sprint("listed ", path, ": ", entries))
		}
		if f, err := os.Create(filepath.Join(path, "mark")); err == nil {
			f.Close()
			got = append(got, "wrote to "+path)
		}
	}
	// Its parent is the gateway, or what started it.
	for _, file := range []string{"environ", "mem", "cmdline", "root/etc/shadow"} {
		path := fmt.Sprintf("/proc/%d/%s", os.Getppid(), file)
		if f, err := os.Open(path); err == nil && os.Getppid() > 0 {
			if n, _ := f.Read(make([]byte, 1)); n > 0 && file != "cmdline" {
				got = append(got, "read "+path)
			}
			f.Close()
		}
	}
	if err := syscall.Kill(-1, 0); err == nil { // 0 asks only whether it may
		got = append(got, "could end all others")
	}
	if err := syscall.Mount("none", "/tmp", "tmpfs", 0, ""); err == nil {
		got = append(got, "mounted")
	}
	return got
}
