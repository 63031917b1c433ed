package install_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// later is the line of the unit that this computer's systemd may be too old for; it
// says so, and skips it.
var later = regexp.MustCompile(`greengate\.service:\d+: Failed to parse service type, ignoring: notify-reload$`)

// systemd finds nothing wrong with the unit of the package.
func TestUnitVerify(t *testing.T) {
	need(t, "systemd-analyze")
	root := installed(t)
	for _, unit := range []string{"sysinit.target", "basic.target", "shutdown.target", "multi-user.target"} {
		if err := os.WriteFile(filepath.Join(root, "usr/lib/systemd/system", unit), []byte("[Unit]\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text := output(t, "systemd-analyze", "verify", "--man=no", "--root="+root, "greengate.service")
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !later.MatchString(line) {
			t.Errorf("systemd-analyze verify: %s", line)
		}
	}
	if unit := read(t, filepath.Join(root, "usr/lib/systemd/system/greengate.service")); !strings.Contains(unit, "\nType=notify-reload\n") {
		t.Error("the unit is not of Type=notify-reload")
	}
}

// The sandbox of the unit leaves an exposure of 2.0 at most (of 10).
func TestUnitSecurity(t *testing.T) {
	need(t, "systemd-analyze")
	cmd := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", "../../systemd/greengate.service")
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, text)
	}
	overall := regexp.MustCompile(`Overall exposure level.*`).Find(text)
	t.Logf("%s", overall)
}

// installed returns a folder into which dpkg has installed the package, scripts and all.
// They run outside of it, since no program is in there.
func installed(t *testing.T) string {
	t.Helper()
	need(t, "dpkg", "deb-systemd-helper", "systemd-sysusers")
	if os.Getuid() != 0 {
		t.Skip("dpkg gives files to root: only root may do that")
	}
	root := newRoot(t)
	dpkg(t, root, "-i", packageOf(t, "amd64", ""))
	return root
}

// newRoot returns a folder that dpkg can install into.
func newRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"etc", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log", "run", "usr/bin"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"var/lib/dpkg/status", "etc/passwd", "etc/group"} {
		if err := os.WriteFile(filepath.Join(root, file), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// dpkg runs it on the folder, without the packages that ours needs.
func dpkg(t *testing.T, root string, args ...string) string {
	t.Helper()
	return output(t, "dpkg", dpkgArgs(root, args...)...)
}

func dpkgArgs(root string, args ...string) []string {
	return append([]string{"--root=" + root, "--log=" + filepath.Join(root, "var/log/dpkg.log"),
		"--force-script-chrootless", "--force-depends"}, args...)
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

// An installation into a folder: the service is enabled, its user and groups are there,
// its state has a place; removed, the site stays; purged, nothing is left.
func TestInstall(t *testing.T) {
	root := installed(t)
	for _, path := range []string{
		"etc/systemd/system/multi-user.target.wants/greengate.service", "etc/default/greengate", "var/lib/greengate",
	} {
		if !exists(filepath.Join(root, path)) {
			t.Errorf("%s is not there", path)
		}
	}
	for file, want := range map[string]string{
		"etc/passwd": `(?m)^greengate:[^:]*:\d+:\d+:.*:/var/lib/greengate:.*nologin$`,
		"etc/group":  `(?s)gpio:.*i2c:.*spi:|spi:.*i2c:.*gpio:`,
	} {
		if text := read(t, filepath.Join(root, file)); !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("%s has not %s:\n%s", file, want, text)
		}
	}

	site := filepath.Join(root, "etc/greengate/group.yaml")
	if err := os.WriteFile(site, []byte("mine"), 0o640); err != nil {
		t.Fatal(err)
	}
	dpkg(t, root, "--remove", "greengate")
	if exists(filepath.Join(root, "usr/bin/greengate")) {
		t.Error("the program is there after remove")
	}
	if !exists(site) {
		t.Error("remove took the site")
	}
	dpkg(t, root, "--purge", "greengate")
	for _, path := range []string{"etc/greengate", "var/lib/greengate", "etc/default/greengate",
		"etc/systemd/system/multi-user.target.wants/greengate.service", "usr/lib/systemd/system/greengate.service.d"} {
		if exists(filepath.Join(root, path)) {
			t.Errorf("purge left %s", path)
		}
	}
}

// The script that refuses a downgrade knows the schema of each database that there is.
func TestDowngradeKnowsEachDatabase(t *testing.T) {
	dir := t.TempDir()
	output(t, "dpkg-deb", "-e", packageOf(t, "amd64", ""), dir)
	known := regexp.MustCompile(`\w+\.db:(\d+)`).FindAllStringSubmatch(read(t, filepath.Join(dir, "preinst")), -1)
	schemas := map[string]int{} // by folder of migrations
	files, err := exec.Command("git", "-c", "safe.directory=*", "-C", "../..", "ls-files", "-co", "--exclude-standard", "*/migrations/*.sql").Output()
	if err != nil {
		t.Skipf("this is no clone: %v", err)
	}
	for file := range strings.Lines(string(files)) {
		if !strings.Contains(file, "testdata") {
			schemas[filepath.Dir(file)]++
		}
	}
	var have, want []string
	for _, match := range known {
		have = append(have, match[1])
	}
	for _, n := range schemas {
		want = append(want, strconv.Itoa(n))
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) || len(want) == 0 {
		t.Errorf("preinst knows the schemas %v, and there are %v: see share in package.sh", known, schemas)
	}
}

// A version does not go over data that it could not read; and it does over its own.
func TestDowngrade(t *testing.T) {
	root := installed(t)
	file := packageOf(t, "amd64", "")
	program := filepath.Join(unpacked(t, file), "usr/bin/greengate")
	db := filepath.Join(root, "var/lib/greengate/spool.db")
	for _, c := range []struct {
		schema  byte
		refused bool
	}{{1, false}, {99, true}} {
		head := make([]byte, 100)
		copy(head, "SQLite format 3\x00")
		head[63] = c.schema // the end of user_version, at 60
		if err := os.WriteFile(db, head, 0o600); err != nil {
			t.Fatal(err)
		}
		text, err := exec.Command("dpkg", dpkgArgs(root, "-i", file)...).CombinedOutput()
		refused := err != nil
		if refused != c.refused {
			t.Errorf("schema %d: dpkg says %v\n%s", c.schema, err, text)
		}
		if c.refused && !strings.Contains(string(text), "spool.db was written by a newer version (schema 99") {
			t.Errorf("schema %d: no reason in\n%s", c.schema, text)
		}
	}
	if status := output(t, "dpkg-query", "--admindir="+filepath.Join(root, "var/lib/dpkg"), "-f", "${db:Status-Status}", "-W", "greengate"); status != "installed" {
		t.Errorf("after the refusal the package is %s", status)
	}
	if !exists(program) {
		t.Error("no program")
	}
}
