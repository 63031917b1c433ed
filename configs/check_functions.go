package configs

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"greengate/functions"
)

func (k *checker) functions() {
	names := map[string]string{}
	for i := range k.c.Functions {
		f := &k.c.Functions[i]
		p := path{"functions", i}
		k.name(p, f.Name, names)
		if len(f.Command) == 0 || f.Command[0] == "" {
			k.check(p.to("command"), "names no program", "write `command: [PROGRAM, ARGUMENT, ...]`")
		}
		k.oneOf(p.to("encoding"), f.Encoding, functions.EncodingJSON, functions.EncodingBinary)
		k.functionLife(p, f)
		k.functionTriggers(p, f)
		k.functionEnvironment(p, f)
		k.functionPaths(p, f)
	}
}

// functionLife checks what bounds a function and its calls.
func (k *checker) functionLife(p path, f *functions.Config) {
	k.within(p.to("timeout"), f.Timeout, time.Millisecond, 24*time.Hour)
	k.within(p.to("idle"), f.Idle, time.Second, 366*24*time.Hour)
	k.atLeast(p.to("memory"), f.Memory, 1<<20)
	k.count(p.to("concurrency"), f.Concurrency, 1, 1000)
	k.count(p.to("retries"), f.Retries, 0, 1000)
	k.count(p.to("processes"), f.Processes, 1, 32768)
	k.count(append(p.to("queue"), "max"), f.Queue.Max, 1, 1_000_000)
	k.atLeast(append(p.to("queue"), "max_size"), f.Queue.MaxSize, 1<<10)
	k.oneOf(append(p.to("queue"), "when_full"), f.Queue.WhenFull, functions.DropOldest, functions.DropNewest)
	var silent functions.Config // what Print writes of a silent file is no fault
	silent.SetDefaults()
	for key, given := range map[string]bool{"concurrency": f.Concurrency != silent.Concurrency, "idle": f.Idle != silent.Idle} {
		if f.Pinned && given {
			k.check(p.to(key), "is for functions that are not pinned", "a pinned one has one instance, which stays: take the key or `pinned` out")
		}
	}
}

// functionTriggers checks what calls a function besides messages, and where its
// answers go.
func (k *checker) functionTriggers(p path, f *functions.Config) {
	if k.has(p.to("reply_to")...) {
		k.topic(p.to("reply_to"), f.ReplyTo)
	}
	if k.has(p.to("every")...) {
		k.within(p.to("every"), f.Every, time.Second, 366*24*time.Hour)
	}
	if f.Cron != "" || k.has(p.to("cron")...) {
		if _, err := functions.ParseCron(f.Cron); err != nil {
			k.check(p.to("cron"), fmt.Sprintf("%q is no schedule: %v", clip(f.Cron), err),
				`write minute, hour, day of month, month and day of week: "30 6 * * 1-5" is half past six from Monday to Friday`)
		}
	}
	if f.Cron != "" && f.Every != 0 {
		k.check(p.to("cron"), "stands beside every", "a function has one schedule: take one of the two out")
	}
}

// givenVariables are what the gateway itself tells functions.
var givenVariables = []string{
	"AWS_LAMBDA_RUNTIME_API", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_IOT_DATA_PLANE",
	"AWS_CONTAINER_AUTHORIZATION_TOKEN", "GG_DAEMON_PORT", "ENCODING_TYPE", "MY_FUNCTION_ARN", "ROUTER_FUNCTION_ARN", "SHADOW_FUNCTION_ARN",
	"SECRETS_MANAGER_FUNCTION_ARN", "TMPDIR",
}

func (k *checker) functionEnvironment(p path, f *functions.Config) {
	for _, key := range slices.Sorted(maps.Keys(f.Environment)) {
		at := append(p.to("environment"), key)
		switch {
		case key == "" || strings.ContainsAny(key, "=\x00") || strings.Contains(f.Environment[key], "\x00"):
			k.check(at, "is no environment variable", "a name holds no = and no NUL")
		case slices.Contains(givenVariables, key):
			k.warn(at, "is set by the gateway, and what stands here counts for nothing", "take it out")
		}
	}
}

// functionPaths checks the paths of a function: that they leave the keys of the group
// alone, which no function may read, and that they exist.
func (k *checker) functionPaths(p path, f *functions.Config) {
	if f.User != "" || k.has(p.to("user")...) {
		if !functions.ValidUser(f.User) {
			k.check(p.to("user"), fmt.Sprintf("%q is no user", clip(f.User)), "write NAME, UID or UID:GID")
		} else if _, err := user.Lookup(f.User); errors.As(err, new(user.UnknownUserError)) && strings.Trim(f.User, "0123456789:") != "" {
			k.warn(p.to("user"), fmt.Sprintf("this machine has no user %s", clip(f.User)), "the function does not start without it")
		}
	}
	if k.c.File == "" {
		return // nothing tells what relative paths are relative to
	}
	resolved := k.c.resolved
	if dir := functionDir(f); k.apart(p.to("dir"), dir) {
		if info, err := os.Stat(resolved(dir)); err != nil || !info.IsDir() {
			k.warn(p.to("dir"), fmt.Sprintf("there is no folder %s", clip(dir)), "make it, and put the program there")
		} else if len(f.Command) > 0 && !k.runnable(f) {
			k.warn(append(p.to("command"), 0), fmt.Sprintf("there is no program %s to run", clip(f.Command[0])),
				"a path with a / is relative to dir; a bare name is looked for in PATH; chmod +x makes a file one")
		}
	}
	for key, list := range map[string][]string{"read": f.Read, "write": f.Write, "devices": f.Devices} {
		for i, name := range list {
			at := append(p.to(key), i)
			switch {
			case name == "":
				k.check(at, "is empty", "name a file or folder")
			case key == "devices" && !strings.HasPrefix(filepath.Clean(resolved(name)), "/dev/"):
				k.check(at, fmt.Sprintf("%q is no device", clip(name)), "devices stand below /dev; files go under read or write")
			case k.apart(at, name):
				if _, err := os.Stat(resolved(name)); err != nil {
					k.warn(at, fmt.Sprintf("there is no %s", clip(name)), "the function cannot open it")
				}
			}
		}
	}
}

// apart tells whether a path that a function may open has nothing to do with the
// folders that hold the keys and the state of the group.
func (k *checker) apart(p path, name string) bool {
	for _, own := range []struct{ key, dir string }{{"pki.dir", k.c.PKI.Dir}, {"data", k.c.Data}} {
		if own.dir == "" {
			continue
		}
		mine, theirs := real(k.c.resolved(own.dir)), real(k.c.resolved(name))
		if inside(mine, theirs) || inside(theirs, mine) {
			k.check(p, fmt.Sprintf("%s and %s (%s) are not apart: the function could read the keys or the state of the group", clip(name), clip(own.dir), own.key),
				"give the function a folder of its own, such as functions/NAME")
			return false
		}
	}
	return true
}

// inside tells whether path is dir or lies in it.
func inside(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// real follows the links of a path as far as it exists.
func real(path string) string {
	for rest := ""; ; {
		if p, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Join(p, rest)
		}
		if path == filepath.Dir(path) {
			return filepath.Join(path, rest)
		}
		rest, path = filepath.Join(filepath.Base(path), rest), filepath.Dir(path)
	}
}

// runnable tells whether the program of a function is there. A path with a slash is
// relative to its folder.
func (k *checker) runnable(f *functions.Config) bool {
	program := f.Command[0]
	folders := []string{k.c.resolved(functionDir(f))}
	switch {
	case filepath.IsAbs(program):
		folders = []string{"/"}
	case !strings.Contains(program, "/"):
		folders = filepath.SplitList(cmp.Or(f.Environment["PATH"], functionPath))
	}
	return slices.ContainsFunc(folders, func(dir string) bool {
		info, err := os.Stat(filepath.Join(dir, program))
		return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
	})
}

// functionPath is where the program of a function is looked for, as functions has it.
const functionPath = "/usr/local/bin:/usr/bin:/bin"

// functionDir is the folder of a function, as the file names it: without the key it
// is the one of its name below functions/.
func functionDir(f *functions.Config) string {
	if f.Dir == "" {
		return filepath.Join("functions", f.Name)
	}
	return f.Dir
}

// count checks a whole number.
func (k *checker) count(p path, n, low, high int) {
	if n < low || n > high {
		k.check(p, fmt.Sprintf("%d is out of range", n), fmt.Sprintf("write %d to %d", low, high))
	}
}
