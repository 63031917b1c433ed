package main

import (
	"strings"
	"testing"
)

// Whatever form a value has, and whatever else is wrong with the file, nothing of it is left,
// and what is left stands in its line.
func TestEnvironmentIsCutOutOfTheGroupFile(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"a: 1\nfunctions:\n  - name: f\n    environment:\n      # it was 4711\n      PIN: \"4711\" # 4711\n\n      KEY: |\n        4711\n        4711\n    command: [./x]\nlog: {level: info}\n",
			"a: [removed]\nfunctions:\n  - name: f\n    environment: [removed]\n\n\n\n\n\n\n    command: [./x]\nlog: {level: info}\n"},
		{"functions:\n- environment: {PIN: 4711, Q: \"quo\\\"4711\"}\n  name: f\n- name: g\n", "functions:\n- environment: [removed]\n  name: f\n- name: g\n"},
		{"functions: [{name: f, environment: {P: 4711,\n  Q: 4711}, dir: d}, {name: g}]\n", "functions: [{name: f, environment: [removed], \ndir: d}, {name: g}]\n"},
		{"functions: [{name: f, environment: {P: 4711}, dir: d}]", "functions: [{name: f, environment: [removed], dir: d}]"},
		{"functions:\n  - name: f\n    environment: [P=4711]\n  -\n    name: g\n", "functions:\n  - name: f\n    environment: [removed]\n\n    name: g\n"},
		{"functions:\n  - name: f\n    environment: &e !!map\n      P: 4711\n  - name: g\n    environment: *e\n", "functions:\n  - name: f\n    environment: [removed]\n\n  - name: g\n    environment: [removed]\n"},
		{"functions:\n  - {name: f, ? environment : {P: 4711}}\n", "functions:\n  - {name: f, ? environment: [removed]\n"},
		{"version: 1\ngroop: home\nfunctions:\n  - enviroment:\n      P: '4711'\n", "version: 1\ngroop: [removed]\nfunctions:\n  - enviroment: [removed]\n\n"},
		{"functions:\r\n  - name: \"\u00e4\u00f6\"\r\n    \"environment\": >-\r\n      4711\r\n    dir: d\r\n", "functions:\n  - name: \"\u00e4\u00f6\"\n    environment: [removed]\n\n    dir: d\n"},
		{"log: {level: info}\nPIN=4711: 4711 \n", "log: {level: info}\nPIN=4711: [removed]\n"},
		{"functions:\n  - name: f\n    <<: {environment: {P: 4711}}\n---\nenvironment: 4711\n", "functions:\n  - name: f\n    <<: [removed]\n\nenvironment: [removed]\n"},
	} {
		got, words, err := cutSecrets(c.text)
		if err != nil || got != c.want {
			t.Errorf("%s\nbecomes %s (%v)\nwant    %s", c.text, got, err, c.want)
		}
		if !strings.Contains(strings.Join(words, " "), "4711") && strings.Contains(c.text, "4711") && !strings.Contains(c.text, "groop") {
			t.Errorf("%s\nthe words are %q", c.text, words)
		}
	}
	for _, text := range []string{"a: {b\nenvironment: 4711", "\xff\xfea", "a: 1\u2028environment: 4711\n", "? ? ?\n\t- 4711"} {
		if got, _, err := cutSecrets(text); err == nil || got != "" {
			t.Errorf("%q becomes %q, %v", text, got, err)
		}
	}
}
