package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"greengate/configs"
)

// A command finds the daemon where `run` makes its socket, however the file writes `data`.
func TestSocketIsFoundHoweverDataIsWritten(t *testing.T) {
	head := "version: 1\ngroup: home\ncore: c_Core\n"
	for name, text := range map[string]string{
		"plain":                head + "data: fs\n",
		"none":                 head,
		"absolute":             head + "data: /tmp/fs\n",
		"number":               head + "data: 012\n",
		"JSON":                 `{"version": 1, "group": "home", "core": "c_Core", "data": "fs"}`,
		"value below":          head + "data:\n  fs\n",
		"key in quotes":        head + `"data": fs` + "\n",
		"blank before colon":   head + "data : fs\n",
		"byte order mark":      "\ufeffdata: fs\n" + head,
		"alias":                "version: 1\ngroup: &name fs\ncore: c_Core\ndata: *name\n",
		"folded":               head + "data: >-\n  fs\n",
		"CR alone":             strings.ReplaceAll(head+"data: fs\n", "\n", "\r"),
		"CRLF":                 strings.ReplaceAll(head+"data: fs\n", "\n", "\r\n"),
		"behind dashes":        "--- {version: 1, group: home, core: c_Core, data: fs}\n",
		"comment":              head + "data: fs # not here\n#data: z\n",
		"inside of a text":     head + "data: fs\ncloud: {endpoint: a.example.com, certificate: c, key: k, ca: \"a\ndata: z\"}\n",
		"rows that are lifted": head + "devices:\n  - {thing: a}\n\"data\": fs\n",
	} {
		file := filepath.Join(t.TempDir(), groupFile)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := configs.Load(file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if socket, err := socketOf(file); err != nil || socket != c.Socket() {
			t.Errorf("%s: found %s, %v; want %s", name, socket, err, c.Socket())
		}
	}
}

// It is just when the file has faults that a person asks the daemon how it is.
func TestSocketOfAFileWithFaults(t *testing.T) {
	for name, text := range map[string]string{
		"an unknown key":   "data : fs\nbrokr: {}\n",
		"rows with faults": "data : fs\ndevices:\n  - {thing: a, lables: [b]}\n",
		"no YAML":          "data: fs\ndevices: [\n",
		"no text":          "data: fs\ngroup: \x00\n",
	} {
		file := filepath.Join(t.TempDir(), groupFile)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		want := (&configs.Config{Data: filepath.Join(filepath.Dir(file), "fs")}).Socket()
		if socket, err := socketOf(file); err != nil || socket != want {
			t.Errorf("%s: found %s, %v; want %s", name, socket, err, want)
		}
	}
	for _, data := range []string{"[]", "{}", "~", `""`} {
		file := filepath.Join(t.TempDir(), groupFile)
		if err := os.WriteFile(file, []byte("data: "+data+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if socket, err := socketOf(file); err != nil || !strings.HasSuffix(socket, "/data/greengate.sock") {
			t.Errorf("data: %s: found %s, %v", data, socket, err)
		}
	}
}
