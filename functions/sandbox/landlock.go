package sandbox

import (
	"errors"
	"os"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// The versions of Landlock's interface that bring something for functions.
const (
	landlockRefer = 2 // Linux 5.19: files may move between folders
	landlockScope = 6 // Linux 6.12: signals stay among the function's own processes
)

// landlockVersion is the version of the kernel's Landlock, 0 when it has none.
func landlockVersion() int {
	version, err := ll.LandlockGetABIVersion()
	if err != nil || version < 0 {
		return 0
	}
	return version
}

// restrictFiles closes all files to this process but those of the grants. In a
// view of its own there is nothing else, and this is the second lock.
func restrictFiles(o *order, grants []grant, program string) error {
	open := grants
	rules := []landlock.Rule{}
	if o.Namespace {
		rules = append(rules, landlock.RODirs("/"))
		if o.Scratch != "" {
			open = append(open, grant{"/tmp", "/tmp", write})
		}
	} else {
		open = openings(grants)
		if program != "" && judge(grants, program) != hide {
			rules = append(rules, landlock.ROFiles(program))
		}
	}
	for _, g := range open {
		if g.kind == hide || o.Namespace && g.kind == read {
			continue
		}
		rules = append(rules, landlockRule(g, o.Landlock).IgnoreIfMissing())
	}
	// The network is not handled: functions may use it.
	config := landlock.Config{HandledAccessFS: landlock.V11.HandledAccessFS}
	if o.Landlock >= landlockScope {
		config.Scoped = landlock.V11.Scoped
	}
	// The library would restrict all threads, and asks /proc for them, where a
	// process of a namespace may have another number. This thread is enough.
	ruleset, flags, err := config.BestEffort().NewRulesetFD(rules...)
	if err != nil {
		return err
	}
	if ruleset < 0 {
		return errors.New("the kernel's Landlock is gone")
	}
	defer unix.Close(ruleset)
	return ll.LandlockRestrictSelf(ruleset, flags)
}

func landlockRule(g grant, version int) landlock.FSRule {
	info, err := os.Stat(g.real)
	folder := err == nil && info.IsDir()
	switch {
	case g.kind == read && folder:
		return landlock.RODirs(g.real)
	case g.kind == read:
		return landlock.ROFiles(g.real)
	case !folder && g.kind == device:
		return landlock.RWFiles(g.real).WithIoctlDev()
	case !folder:
		return landlock.RWFiles(g.real)
	}
	rule := landlock.RWDirs(g.real)
	if g.kind == device {
		rule = rule.WithIoctlDev()
	}
	if version >= landlockRefer {
		rule = rule.WithRefer()
	}
	return rule
}
