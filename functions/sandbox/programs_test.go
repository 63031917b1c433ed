package sandbox

import (
	"embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// programs are within this one, which may run as another user in another folder.
//
//go:embed testdata
var programs embed.FS

// Decent programs of each language do their work in there as they do outside.
func TestPrograms(t *testing.T) {
	onEach(t, func(t *testing.T, s *Sandbox) {
		site := newSite(t)
		t.Run("Go", func(t *testing.T) { worksWell(t, s, site.actor(t, "work")) })
		for program, file := range map[string]string{"node": "work.js", "python3": "work.py"} {
			t.Run(program, func(t *testing.T) {
				path, err := exec.LookPath(program)
				if err != nil {
					t.Skip(err)
				}
				code, err := programs.ReadFile("testdata/" + file)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(site.function, file), code, 0o644); err != nil {
					t.Fatal(err)
				}
				spec := site.spec(path, file)
				spec.Read = []string{home(t, path)}
				worksWell(t, s, spec)
			})
		}
		t.Run("shell", func(t *testing.T) {
			if said, exit := run(t, s, site.spec("/bin/sh", "-c", "echo x > $TMPDIR/y && cat $TMPDIR/y | tr x z && ls -l /etc/hosts /dev/null && date")); exit.Code != 0 || !strings.HasPrefix(said, "z\n") {
				t.Errorf("%s, %v", said, exit)
			}
		})
	})
}

// home is the folder in which a program that is not the system's has its things.
func home(t *testing.T, path string) string {
	t.Helper()
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(filepath.Dir(real))
}

func worksWell(t *testing.T, s *Sandbox, spec Spec) {
	t.Helper()
	begin := time.Now()
	p, output := start(t, s, spec)
	stuck := time.AfterFunc(time.Minute, p.Kill)
	defer stuck.Stop()
	if said, exit := output(), p.Wait(); exit.Code != 0 || exit.Signal != 0 || !strings.HasSuffix(said, "all went well\n") {
		t.Errorf("%s, %v", said, exit)
	}
	t.Logf("%v", time.Since(begin).Round(time.Millisecond))
}
