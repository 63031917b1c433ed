package configs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The files of testdata begin with what is expected of them: a bad one with a
// line `# want: LINE:COL: ...` for each of its faults in their order, a good
// one with a line `# warn: ...` for each warning.
func expectations(data []byte, word string) []string {
	var want []string
	for line := range strings.Lines(string(data)) {
		text, found := strings.CutPrefix(line, "# "+word+": ")
		if !found {
			break
		}
		want = append(want, strings.TrimRight(text, "\n"))
	}
	return want
}

func testFiles(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(files) < 5 {
		t.Fatalf("%s: %d files, %v", pattern, len(files), err)
	}
	return files
}

// told returns faults as people read them, without the name of the file.
func told(faults []Fault) []string {
	var texts []string
	for _, f := range faults {
		f.File = ""
		texts = append(texts, f.Error())
	}
	return texts
}

func compare(t *testing.T, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("got  %s\nwant %s", g, w)
		}
	}
}

func TestGoodFiles(t *testing.T) {
	for _, file := range testFiles(t, "*.good.yml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c, err := Load(file)
			if err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, told(c.Warnings), expectations(data, "warn"))
		})
	}
}

func TestBadFiles(t *testing.T) {
	for _, file := range testFiles(t, "*.bad.yml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c, err := Load(file)
			faults, ok := err.(Faults)
			if !ok || c != nil {
				t.Fatalf("got %v, %v", c, err)
			}
			for _, f := range faults {
				if f.File != file || f.Line < 1 || f.Column < 1 {
					t.Errorf("no place: %+v", f)
				}
			}
			if !slices.IsSortedFunc(faults, func(a, b Fault) int { return (a.Line-b.Line)*10000 + a.Column - b.Column }) {
				t.Error("the faults are not in the order of the file")
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, told(faults), expectations(data, "want"))
		})
	}
}
