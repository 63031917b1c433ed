package greengrassv1

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the expected files anew")

// The whole file and the whole report of groups small enough to be read.
func TestGolden(t *testing.T) {
	set := map[string]string{"PublisherCertificate": strings.Repeat("ab", 32), "SubscriberCertificate": strings.Repeat("cd", 32)}
	for _, c := range []struct {
		name string
		run  func() *Result
	}{
		{"traffic-light", func() *Result { return importFolder(t, "testdata/traffic-light", Options{}) }},
		{"traffic-light-folded", func() *Result { return importFolder(t, "testdata/traffic-light", Options{Fold: true}) }},
		{"hello-world", func() *Result { return importFolder(t, "testdata/hello-world", Options{Values: set}) }},
		{"v2", func() *Result { return importV2(t, []string{"testdata/v2"}, nil, Options{}) }},
	} {
		r := c.run()
		for ext, got := range map[string]string{".yaml": string(r.File), ".md": r.Readme("site/group.yaml")} {
			name := filepath.Join("testdata", "golden", c.name+ext)
			if *update {
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if string(want) != got {
				t.Errorf("%s is another (go test -update writes it):\n%s", name, got)
			}
		}
	}
}
