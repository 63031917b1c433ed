package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"greengate/configs"
	"greengate/core/admin/client"
)

// load reads the group file; its faults are wrong input.
func (a *app) load() (*configs.Config, error) {
	c, err := configs.Load(a.config)
	if err != nil {
		return nil, inputError{a.explainMissing(err)}
	}
	return c, nil
}

// explainMissing says how to name the group file if err is that it is missing.
func (a *app) explainMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: no such file (name the group file with --config or $GREENGATE_CONFIG)", a.config)
	}
	return err
}

// daemon returns a client of the daemon that runs with the group file.
func (a *app) daemon() (*client.Client, error) {
	socket, err := socketOf(a.config)
	if err != nil {
		return nil, inputError{a.explainMissing(err)}
	}
	return client.New(socket), nil
}

// socketOf finds the control socket of a group file.
func socketOf(file string) (string, error) {
	data, err := dataOf(file)
	if err != nil {
		return "", err
	}
	c := configs.Config{Data: data}
	return c.Socket(), nil
}

// explainSilence says why nobody may answer where the group file has a data folder that is not
// there.
func (a *app) explainSilence(err error) error {
	if !errors.Is(err, client.ErrNotRunning) {
		return err
	}
	if data, e := dataOf(a.config); e == nil {
		if _, e := os.Stat(data); errors.Is(e, fs.ErrNotExist) {
			return fmt.Errorf("%w; %s is not there: if `data` was changed under a running daemon, put the old value back first", err, data)
		}
	}
	return err
}

// dataOf finds the data folder of a group file. The file may have faults: it is just then
// that a person asks the daemon how it is.
func dataOf(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	data, ok := configs.DataOf(text)
	if !ok {
		data = dataLine(text)
	}
	data = cmp.Or(data, configs.Default().Data)
	if !filepath.IsAbs(data) {
		data = filepath.Join(filepath.Dir(file), data)
	}
	return data, nil
}

// dataLine finds the data folder in a file that is no YAML, as it is most often written.
func dataLine(text []byte) (data string) {
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "data:"); ok {
			_ = yaml.Unmarshal([]byte(value), &data) // no YAML string: the default, as good as any
		}
	}
	return data
}

// filesIn returns the paths in a folder whose names match a pattern, in order; none when there
// is no such folder. The name of the folder itself may hold what patterns have.
func filesIn(dir, pattern string) (files []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if ok, _ := filepath.Match(pattern, e.Name()); ok { // all patterns are sound
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files, err
}
