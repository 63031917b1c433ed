package configs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a function names is looked for where it will be looked for when it runs, and
// nothing that holds the keys of the group is opened to it, under whichever name.
func TestPathsOfFunctions(t *testing.T) {
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{"pki", "functions/f", "functions/g"} {
		must(os.MkdirAll(filepath.Join(dir, folder), 0o755))
	}
	must(os.WriteFile(filepath.Join(dir, "functions/f/bootstrap"), nil, 0o755))
	must(os.WriteFile(filepath.Join(dir, "functions/g/bootstrap"), nil, 0o644))
	must(os.Symlink("pki", filepath.Join(dir, "harmless")))
	must(os.Symlink(".", filepath.Join(dir, "here")))
	for _, c := range []struct{ function, fault, warning string }{
		{"{name: f, command: [./bootstrap]}", "", ""},
		{"{name: f, command: [sh, -c, true], dir: functions/g}", "", ""},
		{"{name: f, command: [./bootstrap], dir: functions/g}", "", "there is no program ./bootstrap to run"},
		{"{name: f, command: [no-such-program]}", "", "there is no program no-such-program to run"},
		{"{name: h, command: [sh]}", "", "there is no folder functions/h"},
		{"{name: f, command: [sh], read: [functions/g, gone]}", "", "there is no gone"},
		{"{name: f, command: [sh], dir: .}", ". and pki (pki.dir) are not apart", ""},
		{"{name: f, command: [sh], read: [harmless]}", "harmless and pki (pki.dir) are not apart", ""},
		{"{name: f, command: [sh], write: [here/data/sub]}", "here/data/sub and data (data) are not apart", ""},
		{"{name: f, command: [sh], devices: [/dev/../etc]}", `"/dev/../etc" is no device`, ""},
		{"{name: f, command: [sh], user: root}", "", ""},
		{"{name: f, command: [sh], user: '4000000'}", "", ""},
		{"{name: f, command: [sh], user: '0:4000000'}", "", ""},
		{"{name: f, command: [sh], user: nobody-is-called-so}", "", "this machine has no user nobody-is-called-so"},
		{"{name: f, command: [sh], environment: {AWS_LAMBDA_RUNTIME_API: x}}", "", "is set by the gateway"},
	} {
		file := filepath.Join(dir, "group.yaml")
		must(os.WriteFile(file, []byte(head+"functions: ["+c.function+"]\n"), 0o644))
		got, err := Load(file)
		switch {
		case c.fault == "" && err != nil:
			t.Errorf("%s: %v", c.function, err)
		case c.fault != "":
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%s: %v, want %s", c.function, err, c.fault)
			}
		case c.warning == "" && len(got.Warnings) > 0, c.warning != "" && (len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0].Error(), c.warning)):
			t.Errorf("%s: warnings %v, want %q", c.function, got.Warnings, c.warning)
		}
	}
}
