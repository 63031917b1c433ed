package greengrassv1

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"greengate/core/message"
)

// systemFunctions were parts of the core; in a definition they look like any other.
var systemFunctions = map[string]string{
	"GGCloudSpooler":             "",
	"GGIPDetector":               "discovery answers with the address that the device has just reached: nothing is to be detected",
	"GGDeviceCertificateManager": "the gateway makes its server certificate itself, and renews it without the cloud",
	"GGSecretManager":            "secrets are files here; see the resources below",
	"GGStreamManager":            "rows `to: cloud` wait on disk, with priority, ttl, thinning and batches (docs/cloud.md); its API for functions is not served",
	"GGShadowService":            "the shadow service is built in",
	"GGShadowSyncManager":        "the sync of shadows is built in",
	"GGTES":                      "functions get credentials that count at this gateway only; the role of the group is gone",
	"GGRouter":                   "the table is built in",
	"GGConnManager":              "the broker is built in",
	"GGDeployAgent":              "deployments are `greengate apply`",
}

// The bounds that the group file knows.
const (
	leastMemory = 64 << 20 // of a runtime with its interface client
	mostTimeout = 24 * time.Hour
	leastSpool  = 1 << 20
)

func (t *translator) doFunctions() {
	taken := map[string]bool{}
	for i := range t.g.functions {
		f := &t.g.functions[i]
		if how, system := systemFunctions[f.arn.name]; system {
			if f.arn.name == "GGCloudSpooler" {
				t.spooler(f)
			} else {
				t.s.report.translated(f.at, "system function "+f.arn.name, "%s", how)
			}
			continue
		}
		if _, twice := t.functions[f.arn]; twice {
			t.s.report.lacks(f.at, "function "+f.arn.name, "it stands there twice; the first entry counts")
			continue
		}
		name := f.arn.name
		if taken[name] {
			name += "_" + f.arn.qualifier
		}
		for n := 2; taken[name]; n++ {
			name = f.arn.name + "_" + strconv.Itoa(n)
		}
		if err := message.CheckThing(name); err != nil {
			t.s.report.lacks(f.at, "function "+name, "%v; left out", err)
			continue
		}
		taken[name] = true
		t.functions[f.arn] = name
		t.s.functions = append(t.s.functions, t.function(f, name))
	}
	t.s.report.Counts.Functions = len(t.s.functions)
}

func (t *translator) spooler(f *function) {
	r := t.s.report
	for _, v := range f.variables {
		what := "GGCloudSpooler " + v.name + "=" + v.value
		switch v.name {
		case "GG_CONFIG_MAX_SIZE_BYTES":
			n, err := strconv.ParseInt(strings.TrimSpace(v.value), 10, 64)
			if err != nil || n <= 0 || n > 1<<50 {
				r.lacks(f.at, what, "it is no number of bytes; the spool keeps its default of 256MiB")
				continue
			}
			t.s.spool = max(n, leastSpool)
			how := "cloud.spool.max_size: " + sizeText(t.s.spool)
			if n < leastSpool {
				how += ", the least that there is"
			}
			r.translated(f.at, what, "%s, as it counts on disk; make it larger if outages are long", how)
		case "GG_CONFIG_STORAGE_TYPE":
			if v.value == "FileSystem" {
				r.took(f.at, what, "what waits for the cloud is on disk")
			} else {
				r.translated(f.at, what, "what waits for the cloud is on disk in any case, and outlives a restart")
			}
		case "GG_CONFIG_SUBSCRIPTION_QUALITY":
			r.translated(f.at, what, "what the cloud sends comes at QoS 1 through a session that AWS keeps for an hour, and is acknowledged when it is safe here")
		default:
			r.lacks(f.at, what, "the spool has no such setting (docs/cloud.md tells those that it has)")
		}
	}
	r.translated(f.at, "GGCloudSpooler", "cloud.spool with when_full: drop_oldest, as the spooler did; a message leaves it on the acknowledgement of the cloud only")
}

// function translates the settings of one function.
func (t *translator) function(f *function, name string) siteFunction {
	s := siteFunction{name: name, dir: "functions/" + strings.ReplaceAll(name, ":", "_"), pinned: f.pinned}
	r := t.s.report
	for _, v := range f.variables {
		if v.name == "" || strings.ContainsAny(v.name, "=\x00") {
			r.lacks(f.at, fmt.Sprintf("variable %q of %s", v.name, name), "it is no name of an environment variable; left out")
			continue
		}
		s.environment = append(s.environment, v)
	}
	say := func(format string, args ...any) { s.comments = append(s.comments, fmt.Sprintf(format, args...)) }
	id := strings.TrimSuffix(f.arn.name+":"+f.arn.qualifier, ":")
	say("was %s; its code goes to %s", id, s.dir)
	t.command(f, &s)
	switch strings.ToLower(f.encoding) { // the API takes it in both cases
	case "binary":
		s.encoding = "binary"
	case "", "json":
	default:
		r.lacks(f.at, fmt.Sprintf("EncodingType %s of %s", clip(f.encoding), name), "there are json and binary; its events are JSON")
	}
	if s.timeout = min(f.timeout, mostTimeout); s.timeout != f.timeout {
		r.translated(f.at, "Timeout of "+name, "timeout: %s in place of %s, which is longer than a call may take", timeText(s.timeout), timeText(f.timeout))
	}
	t.memory(f, &s)
	switch {
	case f.uid != "":
		s.user = f.uid
		if f.gid != "" {
			s.user += ":" + f.gid
		}
		r.translated(f.at, "RunAs of "+name, "user: %q; another user than the gateway's own takes a gateway that runs as root", s.user)
	case f.gid != "":
		r.lacks(f.at, "RunAs of "+name, "a group without a user has no counterpart: write user: UID:GID")
	}
	if f.container {
		r.translated(f.at, "GreengrassContainer of "+name, "every function is confined: it sees its folder, and what read, write and devices name")
	} else {
		r.translated(f.at, "NoContainer of "+name, "here every function is confined: name under read, write and devices what else it opens")
		say("ran without a container: name what it opens under read, write and devices")
	}
	if f.sysfs {
		s.read = append(s.read, "/sys")
		r.translated(f.at, "AccessSysfs of "+name, "read: [/sys]")
	}
	t.access(f, &s)
	r.took(f.at, "function "+name, "%s, timeout, environment, encoding", map[bool]string{true: "pinned", false: "on demand"}[f.pinned])
	r.todo("put the code of the function %s into %s (from AWS Lambda, or from the old core: /greengrass/ggc/deployment/lambda), and look at its `command`", name, s.dir)
	return s
}

func (t *translator) memory(f *function, s *siteFunction) {
	switch {
	case f.memory == 0:
	case f.memory<<10 < leastMemory:
		s.memory = leastMemory
		t.s.report.translated(f.at, "MemorySize of "+s.name, "memory: %s in place of %s, since the runtime with its interface client counts here, too", sizeText(leastMemory), sizeText(f.memory<<10))
	default:
		s.memory = f.memory << 10
		t.s.report.took(f.at, "MemorySize of "+s.name, "memory: %s", sizeText(s.memory))
	}
}

// access writes the local resources of the function as paths.
func (t *translator) access(f *function, s *siteFunction) {
	add := func(to *[]string, p string) {
		if !slices.Contains(*to, p) {
			*to = append(*to, p)
		}
	}
	for _, a := range f.access {
		i := slices.IndexFunc(t.g.resources, func(w resource) bool { return w.id == a.resource })
		if i < 0 {
			t.s.report.lacks(f.at, fmt.Sprintf("resource %s of %s", a.resource, s.name), "the resource definition has none of that id")
			continue
		}
		w := t.g.resources[i]
		if (w.kind == "device" || w.kind == "volume") && !path.IsAbs(w.source) {
			t.s.report.lacks(w.at, fmt.Sprintf("resource %s of %s", w.name, s.name), "its path %q is not absolute; left out", w.source)
			continue
		}
		switch {
		case w.kind == "device" && !strings.HasPrefix(path.Clean(w.source), "/dev/"):
			t.s.report.lacks(w.at, fmt.Sprintf("resource %s of %s", w.name, s.name), "%s is no device below /dev; left out", w.source)
		case w.kind == "device":
			add(&s.devices, path.Clean(w.source))
		case w.kind == "volume" && a.write:
			add(&s.write, path.Clean(w.source))
		case w.kind == "volume":
			add(&s.read, path.Clean(w.source))
		case w.kind == "secret":
			s.comments = append(s.comments, "used the secret "+w.name+": put it into a file and name that under read")
		default:
			s.comments = append(s.comments, "used the model "+w.name+": put its files beside the code")
		}
		if w.kind == "volume" && w.dest != "" && path.Clean(w.dest) != path.Clean(w.source) {
			s.comments = append(s.comments, fmt.Sprintf("saw %s as %s: change that path in its code", w.source, w.dest))
			t.s.report.lacks(w.at, fmt.Sprintf("destination %s of %s", w.dest, w.name), "a function sees a folder where it is, at %s: change the path in the code of %s, or make a link", w.source, s.name)
		}
	}
}
