package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"greengate/configs"
)

// removed stands where a secret was.
const removed = "[removed]"

// scrubber takes secrets out of text: those of this site by their own words, and what
// looks like one by its form.
//
// What stands in the group file is cut out of it by its place as well; see cutSecrets.
type scrubber struct{ words *strings.Replacer }

// forms of secrets: PEM blocks, whole or torn; the user part of an address; AWS access
// keys; the value of a key that is named for one.
var forms = []struct {
	form *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]+-----.*?(-----END [A-Z0-9 ]+-----|\z)`), removed},
	{regexp.MustCompile(`(://)[^/\s:@"']+:[^/\s@"']+@`), "${1}" + removed + "@"},
	{regexp.MustCompile(`\b(AKIA|ASIA)[A-Z0-9]{16}\b`), removed},
	{regexp.MustCompile(`(pin-value=)[^;&"'\s]+`), "${1}" + removed},
	{regexp.MustCompile(`(?i)((?:password|passwd|passphrase|secret|token|api_?key|access_?key)(?:_[a-z_]+)?["']?[ \t]*[:=](?:\n?[ \t]+)?)("[^"\n]*"|'[^'\n]*'|[^\s,}"']+)`), "${1}" + removed},
}

// leastSecret is the length of a word that is looked for: shorter ones would take half
// of the text with them.
const leastSecret = 6

// newScrubber collects the secrets of a site: each line of each private key, and the
// words that were cut out of the group file. c is nil when that has a fault.
func newScrubber(c *configs.Config, words []string) *scrubber {
	seen := map[string]bool{}
	if c != nil {
		for _, file := range keyFiles(c) {
			text, err := os.ReadFile(file)
			if err != nil {
				continue // what we cannot read we cannot give away
			}
			for line := range strings.Lines(string(text)) {
				if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") {
					seen[line] = true
				}
			}
		}
	}
	for _, word := range words {
		seen[word] = true
		quoted, _ := json.Marshal(word)
		seen[strings.Trim(string(quoted), `"`)] = true
		for line := range strings.Lines(word) {
			seen[strings.TrimSpace(line)] = true
		}
	}
	seen[os.Getenv("GREENGATE_PASSPHRASE")] = true
	var pairs []string
	for word := range seen {
		if len(word) >= leastSecret {
			pairs = append(pairs, word, removed)
		}
	}
	return &scrubber{strings.NewReplacer(pairs...)}
}

// keyFiles are the files with private keys, and with the PIN of one.
func keyFiles(c *configs.Config) (files []string) {
	_ = filepath.WalkDir(c.PKI.Dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && strings.HasSuffix(path, ".key") {
			files = append(files, path)
		}
		return nil
	})
	if file := secretFile(c); file != "" {
		files = append(files, file)
	}
	return files
}

func (s *scrubber) clean(text string) string {
	text = s.words.Replace(text)
	for _, f := range forms {
		text = f.form.ReplaceAllString(text, f.with)
	}
	return text
}
