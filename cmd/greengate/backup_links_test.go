package main

import (
	"os"
	"strings"
	"testing"
)

// A site of which each part is a link to somewhere else is saved like any other.
func TestBackupOfASiteOfLinks(t *testing.T) {
	s := newSaved(t)
	s.functions("fn")
	s.rename("site/pki", "card/keys")
	s.link("site/pki", "../card/keys")
	s.rename("card/keys/issued", "card/record")
	s.link("card/keys/issued", s.at("card/record"))
	s.rename("site/data", "card/data")
	s.link("site/data", s.at("card/data"))
	s.write("card/data/admin-token", "a hash")
	s.write("site/release-1/app.py", "print(1)")
	s.link("site/fn", "release-1")
	s.rename("site/group.yaml", "card/home.yaml")
	s.link("site/group.yaml", "../card/home.yaml")
	s.rename("card/keys/server.key", "card/data/server.key")
	s.link("card/keys/server.key", "../data/server.key")
	s.comesBack()

	s.sameFile("card/data/server.key", "copy/pki/server.key")
	for _, path := range []string{"copy/pki/server.key", "card/keys/server.key"} {
		if err := os.Remove(s.at(path)); err != nil {
			t.Fatal(err)
		}
	}
	s.same("card/record", "copy/pki/issued")
	if err := os.RemoveAll(s.at("copy/pki/issued")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(s.at("card/keys/issued")); err != nil {
		t.Fatal(err)
	}
	s.same("card/keys", "copy/pki")
	s.same("site/release-1", "copy/fn")
	s.says("copy/data/admin-token", "a hash")
	s.sameFile("card/home.yaml", "copy/group.yaml")
}

// A part of the site behind a link takes nothing of what else is behind it.
func TestBackupOfAPartBehindALink(t *testing.T) {
	s := newSaved(t)
	s.functions("fn", "fn/shared/b")
	s.write("site/fn/a.py", "a")
	s.write("out/common.py", "common")
	s.write("out/b/x.py", "x")
	s.link("site/fn/shared", s.at("out"))
	s.comesBack()
	s.same("out", "copy/fn/shared")
	s.says("copy/fn/a.py", "a")
}

// A link in a folder comes back as a link when what it leads to comes back too, and else as
// what it leads to.
func TestLinksInAFolderComeBack(t *testing.T) {
	s := newSaved(t)
	s.functions("fn", s.at("lib")) // the second moves to another place
	s.write("site/fn/releases/2/app.py", "print(2)")
	s.link("site/fn/current", "releases/2")
	s.link("site/fn/app.py", "current/../2/app.py") // .. of where current leads
	s.link("site/fn/next", "releases/3")            // not there yet
	s.link("site/fn/loop", "loop")
	s.write("lib/common.py", "common")
	s.rename("site/pki/root-ca.key", "site/pki/safe/ca.key")
	s.link("site/pki/root-ca.key", "safe/ca.key")
	s.link("site/fn/python", "/usr/bin") // of the system
	s.link("site/fn/up", s.at("."))      // all of the site
	s.link("site/fn/gone", "/nowhere/x")
	said := s.comesBack()
	for _, name := range []string{"python", "up", "gone"} {
		if !strings.Contains(said, "/fn/"+name+" stays a link to /") {
			t.Errorf("nothing was said of %s: %s", name, said)
		}
	}
	if strings.Contains(said, "next") || strings.Contains(said, "loop") {
		t.Errorf("something was said of links that come back whole: %s", said)
	}
	s.same("site/pki", "copy/pki")
	got := s.tree("copy/fn")
	if got["/app.py"] = s.tree("site/fn")["/app.py"]; len(got) != len(s.tree("site/fn")) {
		t.Errorf("came back: %q", got)
	}
	s.says("copy/fn/app.py", "print(2)")
	for path, to := range map[string]string{
		"current": "releases/2", "next": "releases/3", "loop": "loop", "python": "/usr/bin", "up": s.at("."), "gone": "/nowhere/x",
	} {
		s.leads("copy/fn/"+path, to)
	}
}

func TestLinksOutOfAFolderBringItIn(t *testing.T) {
	s := newSaved(t)
	s.functions("fn", s.at("lib"))
	s.write("site/fn/app.js", "app")
	s.write("shared/index.js", "shared")
	s.write("shared/deep/a.js", "deep")
	s.link("shared/self", ".")
	s.link("shared/deep/back", "../index.js")
	s.link("site/fn/node_modules", "../../shared")
	s.link("site/fn/again", s.at("shared/deep")) // the second way to the same
	s.write("lib/common.js", "common")
	s.link("site/fn/common.js", "../../lib/common.js") // of another function
	s.link("site/fn/keys", "../pki")                   // never copied
	s.comesBack()

	s.same("shared", "copy/fn/node_modules")
	s.says("copy/fn/again/a.js", "deep")
	s.leads("copy/fn/common.js", "../functions/f1/common.js")
	s.says("copy/fn/common.js", "common")
	s.leads("copy/fn/keys", "../pki")
}

// A path that restore cannot change in the group file would lead to the old site.
func TestRestoreTellsOfAPathThatItCannotChange(t *testing.T) {
	s := newSaved(t)
	s.write("site/fn/app.py", "app")
	s.edit("devices:\n", "functions:\n  - {name: a, command: [/bin/true], environment: {HOME: &home '"+s.at("site/fn")+"'}, dir: *home}\ndevices:\n")
	s.must("backup", s.at("b"))
	code, said := s.command("restore", s.at("b"), "--to", s.at("copy"))
	if code != exitFailed || !strings.Contains(said, "functions.0.dir leads to "+s.at("site/fn")+", and not to "+s.at("copy/fn")) {
		t.Errorf("exit code %d, %s", code, said)
	}
}
