package main

import (
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"greengate/configs"
)

// moveGroupFile returns the group file with the paths that lead out of the folder of
// the old site changed to those of the new one. Its comments stay.
func (r *restoring) moveGroupFile(content io.Reader) (string, error) {
	read, err := io.ReadAll(content)
	if err != nil {
		return "", err
	}
	text := string(read)
	home := filepath.Dir(r.was[0].Path)
	for i, p := range r.places {
		rel, err := filepath.Rel(home, r.was[i].Path)
		if p.Key == "" || err == nil && filepath.IsLocal(rel) && !writtenAbsolute(text, p.Key) {
			continue
		}
		to, err := filepath.Rel(r.to, p.Path)
		if err != nil {
			return "", err
		}
		if text, err = setKey(text, p.Key, to); err != nil {
			return "", err
		}
	}
	c, err := configs.Parse(r.config(), []byte(text))
	if err != nil {
		return "", fmt.Errorf("move the group file: %w", err)
	}
	for _, now := range namedPlaces(c) {
		for _, p := range r.places {
			if p.Key != "" && p.Key == now.Key && p.Path != filepath.Clean(now.Path) {
				return "", fmt.Errorf("move the group file: %s leads to %s, and not to %s (restore without --to, and write the path of that key plainly)", p.Key, now.Path, p.Path)
			}
		}
	}
	return text, nil
}

// writtenAbsolute reports whether the file has an absolute path for a key.
func writtenAbsolute(text, key string) bool {
	n := nodeOf(text, key)
	return n != nil && filepath.IsAbs(n.Value)
}

// nodeOf finds the value of a key such as cloud.ca or functions.0.dir; nil: it is
// not in the file.
func nodeOf(text, key string) *yaml.Node {
	var root yaml.Node
	if yaml.Unmarshal([]byte(text), &root) != nil || len(root.Content) == 0 {
		return nil
	}
	n := root.Content[0]
	for _, step := range strings.Split(key, ".") {
		var next *yaml.Node
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == step {
					next = n.Content[i+1]
				}
			}
		case yaml.SequenceNode:
			if at, err := strconv.Atoi(step); err == nil && at < len(n.Content) {
				next = n.Content[at]
			}
		}
		if next == nil {
			return nil
		}
		n = next
	}
	return n
}

// setKey changes the text of one plain value. A key that the file leaves out has a
// default in the folder of the site, and needs no change.
func setKey(text, key, value string) (string, error) {
	n := nodeOf(text, key)
	if n == nil {
		return text, nil
	}
	lines := strings.SplitAfter(text, "\n")
	line := lines[n.Line-1]
	at := len(string([]rune(line)[:n.Column-1]))
	var old string
	for _, form := range []string{n.Value, `"` + n.Value + `"`, "'" + n.Value + "'"} {
		if strings.HasPrefix(line[at:], form) {
			old = form
		}
	}
	if old == "" {
		return "", fmt.Errorf("move the group file: line %d: the value of %s is not written plainly (write it in one line)", n.Line, key)
	}
	lines[n.Line-1] = line[:at] + strconv.Quote(value) + line[at+len(old):]
	return strings.Join(lines, ""), nil
}

// giveTo gives a file to user:group when we are root. Who is not known on this machine
// leaves it to root.
func giveTo(path, owner string) error {
	uid, gid, ok := idsOf(owner)
	if os.Geteuid() != 0 || !ok {
		return nil
	}
	return os.Lchown(path, uid, gid)
}

// idsOf finds the numbers of user:group. Who had no name, as in a container, is a number.
func idsOf(owner string) (uid, gid int, ok bool) {
	name, group, _ := strings.Cut(owner, ":")
	if u, err := user.Lookup(name); err == nil {
		name = u.Uid
		if _, err := strconv.Atoi(group); err != nil {
			gid, _ = strconv.Atoi(u.Gid)
		}
	}
	if g, err := user.LookupGroup(group); err == nil {
		group = g.Gid
	}
	uid, err := strconv.Atoi(name)
	if id, err := strconv.Atoi(group); err == nil {
		gid = id
	}
	return uid, gid, err == nil
}
