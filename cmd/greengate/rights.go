package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"

	"gopkg.in/yaml.v3"

	"greengate/configs"
	"greengate/core/pki"
	"greengate/functions"
)

// rights are all that the configuration in force and the record of certificates allow, each
// as a line that a person understands. A secret is in none of them.
func rights(now inForce, admitted []pki.Admitted) ([]string, error) {
	list := tokenRights(tokenFile(now.config))
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	for row := range now.table.Len() {
		if now.table.Line(row) > 0 { // the others are those of own_shadows, which is a key
			add("row %s", now.table.Text(row))
		}
	}
	for _, d := range now.config.Devices {
		add("device %s", deviceText(d))
	}
	for _, c := range admitted {
		add("certificate sha256:%s of %s", c.Fingerprint, c.Thing)
	}
	for _, f := range now.config.Functions {
		text, err := flow(withoutSecrets(f))
		if err != nil {
			return nil, fmt.Errorf("write function %s: %w", f.Name, err)
		}
		add("function %s", text)
	}
	rest := *now.config // without the lists, of which each entry is a right of its own
	rest.Devices, rest.Functions = nil, nil
	if rest.Cloud != nil {
		cloud := *rest.Cloud
		if u, err := url.Parse(cloud.Proxy); err == nil {
			cloud.Proxy = u.Redacted()
		}
		rest.Cloud = &cloud
	}
	keys, err := keysOf(&rest)
	if err != nil {
		return nil, err
	}
	for key, v := range keys {
		text, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", key, err)
		}
		add("key %s: %s", key, text)
	}
	return list, nil
}

// deviceText is a device on one line. YAML's own writer takes 50 KB for each, and there may
// be thousands.
func deviceText(d configs.Device) string {
	text := fmt.Sprintf("{thing: %s, shadow: %s, direction: %s", d.Thing, d.Shadow, d.Direction)
	if len(d.Labels) > 0 {
		text += fmt.Sprintf(", labels: [%s]", strings.Join(d.Labels, ", "))
	}
	if d.OwnShadows != nil {
		text += fmt.Sprintf(", own_shadows: %t", *d.OwnShadows)
	}
	if d.Certificate != "" {
		text += ", certificate: " + d.Certificate
	}
	return text + "}"
}

// flow writes an entry of the group file on one line, without the keys that say nothing.
func flow(entry any) (string, error) {
	var n yaml.Node
	if err := n.Encode(entry); err != nil {
		return "", err
	}
	var keys []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		if v := n.Content[i+1]; len(v.Content) > 0 || v.Kind == yaml.ScalarNode && v.Value != "" && v.Tag != "!!null" {
			keys = append(keys, n.Content[i], v)
		}
	}
	n.Content, n.Style = keys, yaml.FlowStyle
	text, err := yaml.Marshal(&n)
	return strings.Join(strings.Fields(string(text)), " "), err
}

// withoutSecrets is a function with the names of its environment, and without the values.
func withoutSecrets(f functions.Config) functions.Config {
	names := make(map[string]string, len(f.Environment))
	for name := range f.Environment {
		names[name] = "..."
	}
	f.Environment = names
	return f
}

// tokenRights is the token for the status page, as a right; empty when there is none.
func tokenRights(file string) []string {
	hash, err := os.ReadFile(file)
	if err != nil {
		return nil // none, or one that the page cannot read either
	}
	return []string{fmt.Sprintf("admin token %.12s...", strings.TrimSpace(string(hash)))}
}
