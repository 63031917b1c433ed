package configs

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"

	"gopkg.in/yaml.v3"

	"greengate/core/token"
)

// Load reads and checks a group file. The error is Faults when the file could
// be read, and has every fault of it.
func Load(file string) (*Config, error) {
	c, err := Examine(file)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Examine is Load for who wants to tell more faults of a file than Load knows: beside
// Faults it returns what it could read, which is not to be run; nil: nothing.
func Examine(file string) (*Config, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read the group file: %w", err)
	}
	defer f.Close()
	var data bytes.Buffer
	if info, err := f.Stat(); err == nil && info.Size() <= MaxSize {
		data.Grow(int(info.Size()) + bytes.MinRead)
	}
	// One byte more than a file may have is enough to refuse it.
	if _, err := data.ReadFrom(io.LimitReader(f, MaxSize+1)); err != nil {
		return nil, fmt.Errorf("read the group file: %w", err)
	}
	return examine(file, data.Bytes())
}

// Parse is Load for a file that has been read. Relative paths in it are
// relative to the folder of the name, and stay as they are when the name is
// empty.
func Parse(name string, data []byte) (*Config, error) {
	c, err := examine(name, data)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// DataOf returns the data folder that a file names, whatever faults it has; "" is that it names none.
// ok is false when it is no YAML.
func DataOf(file []byte) (data string, ok bool) {
	r := newReport("")
	if !r.parseLifted(file) {
		r = newReport("")
		if r.root = topOf(file); r.root == nil {
			return "", false
		}
	}
	if n, found := r.locate(path{"data"}); found {
		newDecoder(r).value(n, reflect.ValueOf(&data).Elem(), false)
	}
	return data, true
}

// topOf returns the mapping that a file is; nil when it is none. Unlike parse it does not look for
// the place of what is wrong, which takes 20 times as long.
func topOf(data []byte) *yaml.Node {
	if len(data) > MaxSize {
		return nil
	}
	docs, err := parseYAML(data)
	if err != nil || len(docs) == 0 || len(docs[0].Content) == 0 || docs[0].Content[0].Kind != yaml.MappingNode {
		return nil
	}
	return docs[0].Content[0]
}

func examine(name string, data []byte) (*Config, error) {
	r := newReport(name)
	if r.parseLifted(data) {
		if c, err := r.config(name); err == nil {
			return c, nil
		}
	}
	_, c, err := parseWhole(name, data) // which tells the faults
	return c, err
}

// parse is Parse that also returns the tree of the file.
func parse(name string, data []byte) (*report, *Config, error) {
	r, c, err := parseWhole(name, data)
	if err != nil {
		return nil, nil, err
	}
	return r, c, nil
}

func parseWhole(name string, data []byte) (*report, *Config, error) {
	r := newReport(name)
	r.parse(data)
	if r.root == nil {
		return nil, nil, r.err()
	}
	c, err := r.config(name)
	return r, c, err
}

// config decodes and checks the tree. Beside Faults it returns what could be read.
func (r *report) config(name string) (*Config, error) {
	c := Default()
	d := newDecoder(r)
	d.value(r.root, reflect.ValueOf(&c).Elem(), false)
	if d.aliased >= maxAliased { // what was read is not what the file says
		return nil, r.err()
	}
	c.adminPage = r.has("admin", "listen") && c.Admin.Listen != ""
	c.ownLine = r.lineOf("own_shadows")
	if name != "" {
		abs, err := filepath.Abs(name)
		if err != nil {
			return nil, fmt.Errorf("read the group file: %w", err)
		}
		c.File, c.given = abs, name
	}
	(&checker{report: r, c: &c}).all()
	r.warnings.sort()
	c.Warnings = r.warnings
	return &c, r.err()
}

// resolve makes the paths of the file absolute.
func (c *Config) resolve() {
	resolve := func(paths ...*string) {
		for _, p := range paths {
			*p = c.resolved(*p)
		}
	}
	resolve(&c.Data, &c.PKI.Dir)
	for i := range c.Functions {
		f := &c.Functions[i]
		f.Dir = functionDir(f)
		resolve(&f.Dir)
		for _, list := range [][]string{f.Read, f.Write, f.Devices} {
			for j := range list {
				resolve(&list[j])
			}
		}
	}
	if c.Cloud != nil {
		resolve(&c.Cloud.Certificate, &c.Cloud.CA, &c.Cloud.Spool.Encrypt)
		if !token.IsURI(c.Cloud.Key) {
			resolve(&c.Cloud.Key)
		}
		for i := range c.Cloud.Spool.Decrypt {
			resolve(&c.Cloud.Spool.Decrypt[i])
		}
	}
}

// resolved is a path of the file made absolute. It stays as it is when it is empty, or
// the file has no name.
func (c *Config) resolved(p string) string {
	if p == "" || c.File == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(filepath.Dir(c.File), p)
}

// PageAsked reports whether the file itself names the address of the status page: the
// default is nobody's wish.
func (c *Config) PageAsked() bool { return c.adminPage }
