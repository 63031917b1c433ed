package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// unpack reads an archive: each file by its name.
func unpack(t *testing.T, file string) map[string]string {
	t.Helper()
	packed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return texts
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(h.Name)] = string(text)
	}
}

// Nothing of a key is in a bundle, wherever it may stand.
func TestBundleHasNoSecrets(t *testing.T) {
	const secret = "hunter2hunter2"
	h := newHouse(t, `functions:
  - name: report
    command: [./bootstrap]
    environment: {DATABASE: "`+secret+`", STAGE: shop}
cloud:
  endpoint: example.invalid
  certificate: core.cert.pem
  key: core.private.key
  ca: pki/root-ca.pem
  proxy: http://someone:`+secret+`@proxy.invalid:3128
`)
	key, err := os.ReadFile(filepath.Join(h.dir, "switch.private.key"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(h.file())
	if err != nil {
		t.Fatal(err)
	}
	// A person has pasted a key where it does not belong.
	comment := "# " + strings.ReplaceAll(strings.TrimSpace(string(key)), "\n", "\n# ") + "\n"
	h.write(comment + string(file))
	out := filepath.Join(h.dir, "report.tar.gz")
	code, said, complaint := h.command("", "bundle", out)
	if code != exitDone {
		t.Fatalf("exit code %d, %s%s", code, said, complaint)
	}
	texts := unpack(t, out)
	for _, name := range []string{"group.yaml", "status.json", "doctor.json", "goroutines.txt", "machine.txt", "files.txt", "version.txt", "journal.txt"} {
		if texts[name] == "" {
			t.Errorf("%s is not in the bundle", name)
		}
	}
	if !strings.Contains(texts["group.yaml"], "light/on") || !strings.Contains(texts["group.yaml"], "command: [./bootstrap]") {
		t.Errorf("the group file is not there: %s", texts["group.yaml"])
	}
	secrets := []string{secret, "PRIVATE KEY", "BEGIN CERTIFICATE"}
	for _, pattern := range []string{"*.key", "pki/*.key", "pki/*.pem", "*.pem"} {
		found, err := filepath.Glob(filepath.Join(h.dir, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("there are no %s (%v)", pattern, err)
		}
		for _, f := range found {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "-----") {
					secrets = append(secrets, line)
				}
			}
		}
	}
	for name, text := range texts {
		for _, s := range secrets {
			if strings.Contains(text, s) {
				t.Errorf("%s has %q", name, s)
			}
		}
	}
	if code, _, complaint := h.command("", "bundle", out); code != exitInput || !strings.Contains(complaint, "exists already") {
		t.Errorf("over an old one: exit code %d, %s", code, complaint)
	}
}

// A report is needed just when the group file has a fault: what is secret in it stays here
// all the same.
func TestBundleOfAFileWithFaults(t *testing.T) {
	h := newHouse(t)
	good, err := os.ReadFile(h.file())
	if err != nil {
		t.Fatal(err)
	}
	const environment = `functions:
  - name: report
    command: [./bootstrap]
    environment:
      PIN: "q7Zx"
      QUOTED: "quo\"q7Zx-ted"
      TEXT: |
        q7Zx
        another q7Zx
`
	for fault, c := range map[string]struct{ has, lacks string }{
		"":                 {"command: [./bootstrap]", "cannot be had"},
		"groop: home\n":    {"command: [./bootstrap]", "cannot be had"},
		"data2: {a: [\n":   {"cannot be had: the file is left out", "light/on"},
		"enviroment: q7Zx": {"enviroment: [removed]", "cannot be had"},
	} {
		h.write(string(good) + environment + fault)
		out := filepath.Join(t.TempDir(), "report.tar.gz")
		if code, said, complaint := h.command("", "bundle", out); code != exitDone {
			t.Fatalf("%q: exit code %d, %s%s", fault, code, said, complaint)
		}
		texts := unpack(t, out)
		if file := texts["group.yaml"]; !strings.Contains(file, c.has) || strings.Contains(file, c.lacks) {
			t.Errorf("%q: the group file is %s", fault, file)
		}
		for name, text := range texts {
			if strings.Contains(text, "q7Zx") {
				t.Errorf("%q: %s has a secret: %s", fault, name, text)
			}
		}
	}
}

func TestScrubberKnowsSecretsByTheirForm(t *testing.T) {
	s := newScrubber(nil, nil)
	for text, want := range map[string]string{
		`{"a":"-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n","b":1}`: `{"a":"[removed]\n","b":1}`,
		"torn: -----BEGIN PRIVATE KEY-----\nMIIE":                                            "torn: [removed]",
		"proxy: http://me:pw@host:3128":                                                      "proxy: http://[removed]@host:3128",
		"id AKIAIOSFODNN7EXAMPLE end":                                                        "id [removed] end",
		`AWS_SECRET_ACCESS_KEY: "abc/def"`:                                                   `AWS_SECRET_ACCESS_KEY: [removed]`,
		"db_password=hunter2 next":                                                           "db_password=[removed] next",
		"sensors/secretary: 5, token ring":                                                   "sensors/secretary: 5, token ring",
		"admin-token\n== /srv":                                                               "admin-token\n== /srv",
		"key: property, topic: home/bell":                                                    "key: property, topic: home/bell",
		"https://example.com/a?b=1 and a@b.c:1":                                              "https://example.com/a?b=1 and a@b.c:1",
	} {
		if got := s.clean(text); got != want {
			t.Errorf("%s\nbecomes %s\nwant    %s", text, got, want)
		}
	}
}
