package main_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNoSecretInTheLog runs what has secrets in it, with every message of the log, and
// looks for them in the log, in the status and in what the audit log keeps.
func TestNoSecretInTheLog(t *testing.T) {
	t.Parallel()
	s := newSite(t, "lamp", "panel")
	inFile := []string{"the-password-of-a-function", "the-password-of-a-proxy"}
	secrets := slices.Clone(inFile)
	if err := os.MkdirAll(filepath.Join(s.dir, "functions", "f"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.set([]any{map[string]any{
		"name": "f", "command": []string{"/bin/sh", "-c", "exit 3"}, "pinned": true,
		"environment": map[string]string{"PASSWORD": secrets[0]},
	}}, "functions")
	s.set(map[string]any{
		"endpoint": "127.0.0.1", "port": 1, "certificate": "devices/lamp/lamp.cert.pem", "key": "devices/lamp/lamp.private.key", "ca": "pki/root-ca.pem",
		"proxy": "http://joe:" + secrets[1] + "@127.0.0.1:1",
	}, "cloud")
	s.set("debug", "log", "level")
	s.rows(row{From: "lamp", Topic: "light/#", To: "panel"}, row{From: "lamp", Topic: "light/#", To: "cloud"})
	g := s.start()
	secrets = append(secrets, strings.TrimSpace(s.greengate("admin", "token")))
	s.add("late")
	panel := s.connect("panel")
	panel.subscribe("light/#")
	s.connect("lamp").publish("light/on", "1")
	panel.hears("light/on", "1")
	s.greengate("shadow", "update", "lamp", `{"state":{"desired":{"on":true}}}`)
	g.reload()
	said := s.greengate("status", "--json") + s.greengate("audit") + s.greengate("check", "--print")
	g.stop()
	said += g.log.String()

	keys := 0
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".key") {
			return err
		}
		keys++
		for line := range strings.Lines(read(t, path)) {
			if line = strings.TrimSpace(line); len(line) > 20 && !strings.HasPrefix(line, "-----") {
				secrets = append(secrets, line)
			}
		}
		return nil
	})
	if err != nil || keys < 5 { // of the CA, the server and three devices
		t.Fatalf("%d keys, %v", keys, err)
	}
	if !strings.Contains(said, "PASSWORD") || !strings.Contains(said, "level=DEBUG") {
		t.Error("the test looks at less than it should")
	}
	for _, secret := range secrets {
		// check --print shows the file, which has them in it.
		if n := strings.Count(said, secret); n > 1 || n == 1 && !slices.Contains(inFile, secret) {
			t.Errorf("%.12s... was told %d times", secret, n)
		}
	}
}
