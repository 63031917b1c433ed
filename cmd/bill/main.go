// Command bill writes the bill of materials of a Go program: what it was built from, as
// the program itself says.
//
//	bill -sbom PROGRAM [PART]...      a CycloneDX 1.5 document of its modules
//	bill -licences PROGRAM [PART]...  the licences of those modules, for whoever gets the program
//
// Parts are programs that belong to it: their modules count as its own.
//
// It is a tool of the packages (systemd/package), imports nothing of ours, and runs in
// one goroutine. Its output depends on the program, the module cache and
// $SOURCE_DATE_EPOCH only, so that twice the same build gives the same bytes.
package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	sbom := flag.Bool("sbom", false, "write a CycloneDX document")
	licences := flag.Bool("licences", false, "write the licences of the modules")
	version := flag.String("version", "", "the `version` of the program")
	flag.Parse()
	if err := run(flag.Args(), *sbom, *licences, *version); err != nil {
		fmt.Fprintf(os.Stderr, "bill: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string, sbom, licences bool, version string) error {
	if len(args) == 0 || sbom == licences {
		return errors.New("usage: bill -sbom|-licences [-version V] PROGRAM [PART]")
	}
	var infos []*debug.BuildInfo
	for _, program := range args {
		info, err := buildinfo.ReadFile(program)
		if err != nil {
			return fmt.Errorf("read what %s was built from: %w", program, err)
		}
		infos = append(infos, info)
	}
	modules, err := readModules(infos)
	if err != nil {
		return err
	}
	if licences {
		return writeLicences(modules)
	}
	date, err := sourceDate()
	if err != nil {
		return err
	}
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(document(infos[0], modules, version, date))
}

// module is one of those that are linked into the program.
type module struct {
	path, version, sum string
	dir                string // in the module cache
}

// readModules returns the modules of the programs, replacements resolved, by path.
func readModules(infos []*debug.BuildInfo) ([]module, error) {
	var deps []*debug.Module
	for _, info := range infos {
		deps = append(deps, info.Deps...)
	}
	var modules []module
	for _, d := range deps {
		if d.Replace != nil {
			d = d.Replace
		}
		if slices.ContainsFunc(modules, func(m module) bool { return m.path == d.Path && m.version == d.Version }) {
			continue
		}
		m := module{path: d.Path, version: d.Version, sum: d.Sum}
		list := exec.Command("go", "mod", "download", "-json", d.Path+"@"+d.Version)
		out, err := list.Output()
		if err != nil {
			return nil, fmt.Errorf("find the source of %s: %w: %s", d.Path, err, out)
		}
		var found struct{ Dir string }
		if err := json.Unmarshal(out, &found); err != nil {
			return nil, fmt.Errorf("find the source of %s: %w", d.Path, err)
		}
		m.dir = found.Dir
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return modules, nil
}

// sourceDate is the date of the document: $SOURCE_DATE_EPOCH, or none.
func sourceDate() (string, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return "", nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return "", fmt.Errorf("read SOURCE_DATE_EPOCH: %w", err)
	}
	return time.Unix(seconds, 0).UTC().Format(time.RFC3339), nil
}

// sqliteVersion is that of the C library inside go-sqlite3, which has a life, and holes,
// of its own.
var sqliteVersion = regexp.MustCompile(`#define SQLITE_VERSION\s+"([^"]+)"`)

func sqliteIn(m module) (version string) {
	text, err := os.ReadFile(filepath.Join(m.dir, "sqlite3-binding.h"))
	if err != nil {
		return ""
	}
	if found := sqliteVersion.FindSubmatch(text); found != nil {
		return string(found[1])
	}
	return ""
}

// licenceFile tells the file of a module by its name.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice)([.-].*)?$`)

// writeLicences fails when a module has none: nobody may pass that on.
func writeLicences(modules []module) error {
	var b bytes.Buffer
	b.WriteString("greengate holds these libraries, under these licences.\n" +
		"SQLite, inside go-sqlite3, is in the public domain. Programs that are linked statically\n" +
		"also hold parts of the GNU C Library (LGPL-2.1-or-later), whose source is Debian's glibc.\n" +
		"The Go standard library has the licence of golang.org/x.\n")
	for _, m := range modules {
		entries, err := os.ReadDir(m.dir)
		if err != nil {
			return fmt.Errorf("read the licence of %s: %w", m.path, err)
		}
		found := false
		for _, e := range entries {
			if e.IsDir() || !licenceFile.MatchString(e.Name()) {
				continue
			}
			text, err := os.ReadFile(filepath.Join(m.dir, e.Name()))
			if err != nil {
				return fmt.Errorf("read the licence of %s: %w", m.path, err)
			}
			found = true
			fmt.Fprintf(&b, "\n%s\n%s %s: %s\n\n%s\n", strings.Repeat("=", 80), m.path, m.version, e.Name(), bytes.TrimSpace(text))
		}
		if !found {
			return fmt.Errorf("%s %s has no licence", m.path, m.version)
		}
	}
	_, err := os.Stdout.Write(b.Bytes())
	return err
}
