package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"

	"greengate/configs"
	"greengate/functions"
	"greengate/sync/cloud"
)

const backupPhrase = "correct horse"

// saved is a site that is backed up and comes back. Paths in its methods are relative to the
// folder around it, in which the site is `site`.
type saved struct {
	t   *testing.T
	dir string
}

func newSaved(t *testing.T) *saved {
	t.Setenv("GREENGATE_PASSPHRASE", backupPhrase)
	s := &saved{t, filepath.Join(t.TempDir(), "home [1]")} // what patterns have, too
	s.must("init", s.at("site"), "--core", "c_Core", "--key", "p-256")
	s.must("device", "add", "lamp", "--out", s.at("devices"))
	return s
}

func (s *saved) at(path string) string { return filepath.Join(s.dir, path) }

func (s *saved) command(args ...string) (code int, said string) {
	s.t.Helper()
	var out bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &out, scryptWork: 8}
	code = a.main(s.t.Context(), append([]string{"--config", s.at("site/group.yaml")}, args...))
	return code, out.String()
}

func (s *saved) must(args ...string) string {
	s.t.Helper()
	code, said := s.command(args...)
	if code != exitDone {
		s.t.Fatalf("greengate %s: exit code %d\n%s", strings.Join(args, " "), code, said)
	}
	return said
}

// comesBack backs the site up, and restores it to the folder copy.
func (s *saved) comesBack() (said string) {
	s.t.Helper()
	said = s.must("backup", s.at("b"))
	s.must("restore", s.at("b"), "--to", s.at("copy"))
	s.must("check", "--config", s.at("copy/group.yaml"))
	return said
}

func (s *saved) write(path, text string) {
	s.t.Helper()
	s.folder(filepath.Dir(path))
	if err := os.WriteFile(s.at(path), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *saved) folder(path string) {
	s.t.Helper()
	if err := os.MkdirAll(s.at(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

func (s *saved) link(path, text string) {
	s.t.Helper()
	s.folder(filepath.Dir(path))
	if err := os.Symlink(text, s.at(path)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *saved) rename(from, to string) {
	s.t.Helper()
	s.folder(filepath.Dir(to))
	if err := os.Rename(s.at(from), s.at(to)); err != nil {
		s.t.Fatal(err)
	}
}

// edit changes the group file.
func (s *saved) edit(old, text string) {
	s.t.Helper()
	file, err := os.ReadFile(s.at("site/group.yaml"))
	if err != nil || !strings.Contains(string(file), old) {
		s.t.Fatalf("the group file has no %q, %v", old, err)
	}
	s.write("site/group.yaml", strings.Replace(string(file), old, text, 1))
}

// functions adds functions, NAME in DIR each, to the group file.
func (s *saved) functions(dirs ...string) {
	s.t.Helper()
	text := "functions:\n"
	for i, dir := range dirs {
		text += fmt.Sprintf("  - {name: f%d, command: [/bin/true], dir: %q}\n", i, dir)
	}
	s.edit("devices:\n", text+"devices:\n")
}

// says fails the test unless a file that came back has this text, or a link leads there.
func (s *saved) says(path, want string) {
	s.t.Helper()
	got, err := os.ReadFile(s.at(path))
	if err != nil || string(got) != want {
		s.t.Errorf("%s says %q, %v; want %q", path, got, err, want)
	}
}

func (s *saved) sameFile(was, now string) {
	s.t.Helper()
	text, err := os.ReadFile(s.at(was))
	if err != nil {
		s.t.Fatal(err)
	}
	s.says(now, string(text))
	before, _ := os.Stat(s.at(was))
	after, err := os.Stat(s.at(now))
	if err != nil || before.Mode() != after.Mode() {
		s.t.Errorf("%s has mode %v and %s another, %v", was, before.Mode(), now, err)
	}
}

func (s *saved) leads(path, want string) {
	s.t.Helper()
	if got, err := os.Readlink(s.at(path)); err != nil || got != want {
		s.t.Errorf("%s leads to %q, %v; want %q", path, got, err, want)
	}
}

// same compares a folder with the one that it was before: names, modes, contents and links.
func (s *saved) same(was, now string) {
	s.t.Helper()
	want, got := s.tree(was), s.tree(now)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			s.t.Errorf("%s: %q is %q, and was %q", now, name, got[name], want[name])
		}
		delete(got, name)
	}
	for name := range got {
		s.t.Errorf("%s: %q was not there", now, name)
	}
}

func (s *saved) tree(dir string) map[string]string {
	s.t.Helper()
	tree := map[string]string{}
	err := filepath.WalkDir(s.at(dir)+"/", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		var text string
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = string(content)
		case e.Type()&fs.ModeSymlink != 0:
			text, err = os.Readlink(path)
		}
		tree[strings.TrimPrefix(path, s.at(dir))] = info.Mode().String() + " " + text
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return tree
}

// Files that two parts of a site share are saved once, and lead both back.
func TestBackupOfSharedFolders(t *testing.T) {
	s := newSaved(t)
	s.functions("fn", "fn/sub", "fn", s.at("out/sub"), s.at("out"))
	s.edit("devices:\n", "cloud: {endpoint: example.com, certificate: c/both.pem, key: c/both.pem, ca: '"+s.at("site/pki/ca.pem")+"'}\ndevices:\n")
	s.write("site/fn/app.py", "app")
	s.write("site/fn/sub/app.py", "sub")
	s.write("out/sub/x", "x")
	s.write("out/y", "y")
	s.write("site/c/both.pem", "certificate and key")
	s.write("site/pki/ca.pem", "ca")
	s.comesBack()
	for was, now := range map[string]string{"site/fn": "copy/fn", "site/c": "copy/c", "site/pki": "copy/pki", "out": "copy/functions/f4"} {
		s.same(was, now)
	}
	if file, err := os.ReadFile(s.at("copy/group.yaml")); err != nil || strings.Contains(string(file), s.dir) ||
		!strings.Contains(string(file), `dir: "functions/f4/sub"`) || !strings.Contains(string(file), `ca: "pki/ca.pem"`) {
		t.Errorf("the group file leads elsewhere, %v:\n%s", err, file)
	}

	// Where it was, it is the same too.
	was := s.tree("site")
	for name := range was {
		if strings.HasPrefix(name, "/data/") || name == "/group.schema.json" || name == "/" {
			delete(was, name)
		}
	}
	s.rename("site", "away")
	s.rename("out", "away.out")
	s.must("restore", s.at("b"))
	now := s.tree("site")
	delete(now, "/")
	if !maps.Equal(was, now) {
		t.Errorf("came back: %q\nwas: %q", now, was)
	}
	s.same("away.out", "out")
}

// What is in the folder of the CA moves with it, and the group file says so.
func TestKeysInTheFolderOfTheAuthorityMoveWithIt(t *testing.T) {
	s := newSaved(t)
	s.rename("site/pki", "keys")
	s.edit("dir: pki", "dir: ../keys/")
	s.edit("devices:\n", "cloud:\n  endpoint: example.com\n  certificate: ../keys/core.pem\n  key: ../keys/core.key\n  ca: ../keys/ca.pem\n"+
		"  spool: {encrypt: ../keys/spool.key, decrypt: [../keys/old.key]}\ndevices:\n")
	for _, name := range []string{"core.pem", "core.key", "ca.pem"} {
		s.write("keys/"+name, name)
	}
	s.write("keys/spool.key", fmt.Sprintf("%x", sha256.Sum256([]byte("new"))))
	s.write("keys/old.key", fmt.Sprintf("%x", sha256.Sum256([]byte("old"))))
	s.comesBack()
	s.same("keys", "copy/pki")
	file, err := os.ReadFile(s.at("copy/group.yaml"))
	for _, key := range []string{"core.pem", "core.key", "ca.pem", "spool.key", "old.key"} {
		if err != nil || !strings.Contains(string(file), `"pki/`+key+`"`) {
			t.Errorf("the group file does not lead to %s, %v:\n%s", key, err, file)
		}
	}
}

// Only what a package brings is left out: the roots of the system and its programs.
func TestPlacesInFoldersOfTheSystem(t *testing.T) {
	c := &configs.Config{Cloud: &cloud.Config{Certificate: "/etc/ssl/core.pem", Key: "/etc/ssl/private/core.key", CA: "/etc/ssl/certs/ca-certificates.crt"}}
	c.Functions = []functions.Config{{Name: "ours", Dir: "/usr/local/lib/ours"}, {Name: "theirs", Dir: "/usr/lib/theirs"}}
	var names []string
	for _, p := range namedPlaces(c)[3:] {
		names = append(names, p.Name)
	}
	if want := []string{"cloud/certificate.pem", "cloud/private.key", "functions/ours"}; !slices.Equal(names, want) {
		t.Errorf("saved are %v, want %v", names, want)
	}
}

// The databases in a backup are the copies, never the open files, wherever data lies.
func TestBackupOfDataInAnotherFolder(t *testing.T) {
	for where, edit := range map[string][2]string{
		"in pki":            {"data: data", "data: pki/data"},
		"in pki, by a link": {"data: data", "data: data"},
		"around pki":        {"data: data", "data: ."},
		"pki is all":        {"dir: pki", "dir: ."},
	} {
		t.Run(where, func(t *testing.T) {
			s := newSaved(t)
			s.edit(edit[0], edit[1])
			data := "site/data"
			switch where {
			case "in pki":
				s.rename("site/data", "site/pki/data")
				data = "site/pki/data"
			case "in pki, by a link":
				s.rename("site/data", "site/pki/state")
				s.link("site/data", "pki/state")
			case "around pki":
				data = "site"
			case "pki is all":
				for _, name := range []string{"root-ca.pem", "root-ca.key", "server.key", "issued"} {
					s.rename("site/pki/"+name, "site/"+name)
				}
			}
			s.write(data+"/admin-token", "a hash")
			s.write(data+"/shadows.db-wal", "not in a backup")
			said := s.comesBack()
			copied := strings.Replace(data, "site", "copy", 1)
			s.says(copied+"/admin-token", "a hash")
			if _, err := os.Stat(s.at(copied + "/shadows.db-wal")); err == nil {
				t.Errorf("an open database was copied as it was: %s", said)
			}
			if _, err := os.Stat(s.at("copy/pki/state")); err == nil {
				t.Errorf("data was taken for a part of the CA: %s", said)
			}
		})
	}
}

// A function may work in the folder of the site when the rest is elsewhere.
func TestBackupOfAFunctionInTheSitesFolder(t *testing.T) {
	s := newSaved(t)
	s.rename("site/data", "elsewhere/data")
	s.rename("site/pki", "elsewhere/pki")
	s.edit("data: data", "data: ../elsewhere/data")
	s.edit("dir: pki", "dir: ../elsewhere/pki")
	s.functions(".")
	s.write("site/app.py", "app")
	s.must("backup", s.at("site/b"))
	s.rename("site", "away")
	s.rename("elsewhere", "elsewhere.away")
	s.rename("away/b", "b")
	s.must("restore", s.at("b"))
	s.same("away", "site")
	s.same("elsewhere.away/pki", "elsewhere/pki")
}

// Odd names and modes come back, whatever the umask; so do empty folders.
func TestOddFilesComeBack(t *testing.T) {
	s := newSaved(t)
	s.functions("fn", "empty")
	s.folder("site/empty")
	s.folder("site/fn/none")
	s.write("site/fn/two\nlines", "newline")
	s.write("site/fn/caf\xe9", "Latin-1")
	s.write("site/fn/.tmp-cache/x", "not temporary for a function")
	s.write("site/fn/"+strings.Repeat("long", 60), "long")
	s.write("site/fn/shut/file", "in a folder that is read only")
	s.write("site/fn/open", "for the group")
	for path, mode := range map[string]os.FileMode{"shut": 0o555, "open": 0o664, "shut/file": 0o440, ".": 0o770, "..": 0o750} {
		if err := os.Chmod(s.at("site/fn/"+path), mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Chmod(s.at("site/fn/shut"), 0o755); _ = os.Chmod(s.at("copy/fn/shut"), 0o755) })
	if err := syscall.Mkfifo(s.at("site/fn/pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := syscall.Umask(0o077)
	t.Cleanup(func() { syscall.Umask(old) })
	if said := s.comesBack(); !strings.Contains(said, "site/fn/pipe is not in the backup: it is no file, folder or link") {
		t.Errorf("nothing was said of the pipe: %s", said)
	}
	if err := os.Remove(s.at("site/fn/pipe")); err != nil {
		t.Fatal(err)
	}
	s.same("site/fn", "copy/fn")
	s.same("site/empty", "copy/empty")
	s.sameFile("site/group.yaml", "copy/group.yaml")
	if info, err := os.Stat(s.at("copy")); err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("the folder of the site: %v, %v", info, err)
	}
}

// Two places that have one name in a new folder do not fall together.
func TestPlacesFromOutsideDoNotFallTogether(t *testing.T) {
	s := newSaved(t)
	s.functions("functions/f1", s.at("out"))
	s.write("site/functions/f1/app.py", "the first")
	s.write("out/app.py", "the second")
	s.comesBack()
	s.says("copy/functions/f1/app.py", "the first")
	s.says("copy/functions/f1-moved/app.py", "the second")
}

// Owners are found by name, and only who has none by number.
func TestOwnersOfABackup(t *testing.T) {
	for owner, want := range map[string]string{
		"root:root": "0 0 true", "65532:65533": "65532 65533 true", "root:65533": "0 65533 true", "root:nobody-here": "0 0 true",
		"nobody-here:root": "0 0 false", "": "0 0 false",
	} {
		if uid, gid, ok := idsOf(owner); fmt.Sprint(uid, gid, ok) != want {
			t.Errorf("%q is %d %d %t, want %s", owner, uid, gid, ok, want)
		}
	}
}

// A backup that a function's folder receives is not in itself.
func TestBackupIsNotInItself(t *testing.T) {
	s := newSaved(t)
	s.functions("fn")
	s.write("site/fn/app.py", "app")
	s.must("backup", s.at("site/fn/b"))
	s.must("restore", s.at("site/fn/b"), "--to", s.at("copy"))
	if _, err := os.Stat(s.at("copy/fn/b")); err == nil {
		t.Error("a part of the backup came back")
	}
}

// A site without its CA is worth nothing to its devices, and so is a backup of it.
func TestNoBackupWithoutTheAuthority(t *testing.T) {
	s := newSaved(t)
	s.rename("site/pki/root-ca.key", "root-ca.key")
	refused := func(how string) {
		t.Helper()
		if code, said := s.command("backup", s.at("b")); code != exitInput || !strings.Contains(said, "there is no pki/root-ca.key") {
			t.Errorf("%s: exit code %d, %s", how, code, said)
		}
		if _, err := os.Stat(s.at("b")); err == nil {
			t.Errorf("%s: there is a backup", how)
		}
	}
	refused("no key")
	s.link("site/pki/root-ca.key", "lost.key")
	refused("a link to no key")
}

// format1 writes a backup as greengate did before it knew of links and of shared places.
func (s *saved) format1(places []place, entries ...[2]string) {
	s.t.Helper()
	recipient, err := age.NewScryptRecipient(backupPhrase)
	if err != nil {
		s.t.Fatal(err)
	}
	recipient.SetWorkFactor(8)
	var file bytes.Buffer
	secret, err := age.Encrypt(&file, recipient)
	if err != nil {
		s.t.Fatal(err)
	}
	packed := gzip.NewWriter(secret)
	archive := tar.NewWriter(packed)
	text, err := json.Marshal(manifest{Format: 1, Places: places})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range append([][2]string{{manifestName, string(text)}}, entries...) {
		h := &tar.Header{Name: e[0], Mode: 0o600, Size: int64(len(e[1])), Format: tar.FormatPAX}
		if err := archive.WriteHeader(h); err != nil {
			s.t.Fatal(err)
		}
		if _, err := archive.Write([]byte(e[1])); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, c := range []interface{ Close() error }{archive, packed, secret} {
		if err := c.Close(); err != nil {
			s.t.Fatal(err)
		}
	}
	s.write("b", file.String())
}

// Backups from before come back although they have some files twice, and copies of open
// databases.
func TestRestoreOfFormat1(t *testing.T) {
	s := newSaved(t)
	group, err := os.ReadFile(s.at("site/group.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	places := []place{
		{Name: "group.yaml", Path: "/s/group.yaml"}, {Name: "pki", Path: "/s/pki", Dir: true, Mode: 0o755},
		{Name: "data", Path: "/s/pki/data", Dir: true, Mode: 0o755}, {Name: "functions/a", Path: "/s/fn", Dir: true, Mode: 0o755},
		{Name: "functions/b", Path: "/s/fn/sub", Dir: true, Mode: 0o755}, {Name: "functions/c", Path: "/s/fn", Dir: true, Mode: 0o755},
	}
	entries := [][2]string{
		{"group.yaml", strings.Replace(string(group), "data: data", "data: pki/data", 1)}, {"pki/root-ca.pem", "cert"}, {"pki/root-ca.key", "key"},
		{"pki/data/admin-token", "half"}, {"data/admin-token", "whole"},
		{"functions/a/app.py", "app"}, {"functions/a/sub/x", "sub"}, {"functions/b/x", "sub"}, {"functions/c/app.py", "app"}, {"functions/c/sub/x", "sub"},
	}
	s.format1(places, entries...)
	s.must("restore", s.at("b"), "--to", s.at("copy"))
	s.says("copy/pki/data/admin-token", "whole")
	s.says("copy/fn/app.py", "app")
	s.says("copy/fn/sub/x", "sub")

	// One whose pki was a link has no CA, and says so.
	s.format1(places, entries[0], entries[4])
	if code, said := s.command("restore", s.at("b"), "--to", s.at("other")); code != exitInput || !strings.Contains(said, "has no pki/root-ca.pem") {
		t.Errorf("exit code %d, %s", code, said)
	}

	// Two files for one path are an error, and nothing stays behind.
	s.format1(places, append(entries, [2]string{"functions/a/app.py", "another"})...)
	if code, said := s.command("restore", s.at("b"), "--to", s.at("other")); code != exitFailed || !strings.Contains(said, "app.py: file exists") {
		t.Errorf("exit code %d, %s", code, said)
	}
	if _, err := os.Stat(s.at("other")); err == nil {
		t.Error("something stayed behind")
	}
}
