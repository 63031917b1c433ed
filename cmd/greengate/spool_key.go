package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"greengate/configs"
	"greengate/sync/telemetry"
)

// spoolKey is a file with a key of the spool, and where the group file names it.
type spoolKey struct{ path, file string }

// spoolKeys are the keys of the spool that the group file names.
func spoolKeys(c *configs.Config) (keys []spoolKey) {
	if c.Cloud == nil {
		return nil
	}
	if file := c.Cloud.Spool.Encrypt; file != "" {
		keys = append(keys, spoolKey{"cloud.spool.encrypt", file})
	}
	for i, file := range c.Cloud.Spool.Decrypt {
		keys = append(keys, spoolKey{fmt.Sprintf("cloud.spool.decrypt[%d]", i), file})
	}
	return keys
}

// loose is a secret that is not one, and what a person does about it.
type loose struct{ problem, next string }

// looseSpoolKeys tells of keys of the spool that anybody on this machine can read.
func looseSpoolKeys(c *configs.Config) (list []loose) {
	for _, k := range spoolKeys(c) {
		if l, is := looseSpoolKey(k); is {
			list = append(list, l)
		}
	}
	return list
}

func looseSpoolKey(k spoolKey) (loose, bool) {
	info, err := os.Stat(k.file)
	if err != nil || info.Mode().Perm()&0o007 == 0 {
		return loose{}, false // the spool tells of one that is not there
	}
	return loose{
		fmt.Sprintf("everybody on this machine can read the spool's key %s (mode %04o)", k.file, info.Mode().Perm()),
		fmt.Sprintf("chmod 600 %s; on a FAT stick mount it with umask=077 and uid=greengate", k.file),
	}, true
}

// checkSpoolKeys makes what is wrong with the keys of the spool warnings of c. None is a fault:
// `run` serves the site without them, and looks for a better file every few seconds.
func checkSpoolKeys(c *configs.Config) {
	for _, k := range spoolKeys(c) {
		_, err := telemetry.ReadKey(k.file)
		if problem, hint := keyWarning(c, k, err); problem != "" {
			c.Warnings = append(c.Warnings, warningAt(c, k.path, problem, hint))
		}
	}
}

// warningAt is a warning of the value at a path of c.
func warningAt(c *configs.Config, path, problem, hint string) configs.Fault {
	f := c.FaultAt(path, problem, hint)
	f.Warning = true
	return f
}

// keyWarning says what is unwise about a key of the spool that was read, or why it was not
// read; empty: all is well.
func keyWarning(c *configs.Config, k spoolKey, err error) (problem, hint string) {
	meanwhile := "while that is so, what is encrypted with it waits"
	if k.file == c.Cloud.Spool.Encrypt {
		meanwhile = "while that is so, messages to the cloud are refused"
	}
	var bad *telemetry.BadKey
	switch {
	case errors.As(err, &bad):
		return bad.File + " " + bad.Problem + "; " + meanwhile, bad.Hint()
	case errors.Is(err, fs.ErrNotExist):
		return k.file + " is not there: " + meanwhile, ""
	case err != nil:
		return "the key was not checked: " + err.Error(), ""
	}
	if l, is := looseSpoolKey(k); is {
		return l.problem, l.next
	}
	if sameDisk(k.file, c.Data) {
		return k.file + " is on the same disk as the data folder: who has the disk has both", "put it on a stick, or give it to systemd as a credential"
	}
	return "", ""
}

// sameDisk reports whether two files are in one file system; false when that is not known.
func sameDisk(a, b string) bool {
	var devices [2]uint64
	for i, file := range []string{a, b} {
		info, err := os.Stat(file)
		if err != nil {
			return false
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return false
		}
		devices[i] = uint64(st.Dev)
	}
	return devices[0] == devices[1]
}
