package main

import (
	"runtime/debug"
	"strings"
)

// The parts of CycloneDX 1.5 (https://cyclonedx.org/docs/1.5/json/) that say something
// of a program.
type bom struct {
	Format       string       `json:"bomFormat"`
	Spec         string       `json:"specVersion"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Timestamp  string     `json:"timestamp,omitempty"`
	Component  component  `json:"component"`
	Properties []property `json:"properties"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	PURL       string     `json:"purl,omitempty"`
	CPE        string     `json:"cpe,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn"`
}

// document describes the program: its modules, Go itself, and SQLite, for which holes
// are told by its CPE.
func document(info *debug.BuildInfo, modules []module, version, date string) bom {
	goVersion := strings.TrimPrefix(info.GoVersion, "go")
	program := component{Type: "application", Ref: "greengate", Name: "greengate", Version: version}
	parts := []component{{
		Type: "library", Ref: "golang:std", Name: "std", Version: goVersion,
		PURL: "pkg:golang/std@" + goVersion, CPE: "cpe:2.3:a:golang:go:" + goVersion + ":*:*:*:*:*:*:*",
	}}
	for _, m := range modules {
		purl := "pkg:golang/" + m.path + "@" + m.version
		parts = append(parts, component{
			Type: "library", Ref: purl, Name: m.path, Version: m.version, PURL: purl,
			// Go's own sum of the module's tree (go.sum), which is no hash of a file.
			Properties: []property{{"go:sum", m.sum}},
		})
		if v := sqliteIn(m); v != "" {
			parts = append(parts, component{
				Type: "library", Ref: "sqlite", Name: "sqlite", Version: v,
				PURL: "pkg:generic/sqlite@" + v, CPE: "cpe:2.3:a:sqlite:sqlite:" + v + ":*:*:*:*:*:*:*",
			})
		}
	}
	b := bom{Format: "CycloneDX", Spec: "1.5", Version: 1, Metadata: metadata{Timestamp: date, Component: program}, Components: parts}
	for _, s := range info.Settings {
		switch s.Key {
		case "GOARCH", "GOARM", "GOOS", "-buildmode", "-tags":
			b.Metadata.Properties = append(b.Metadata.Properties, property{"go:build:" + s.Key, s.Value})
		}
	}
	needs := dependency{Ref: program.Ref}
	for _, p := range parts {
		needs.DependsOn = append(needs.DependsOn, p.Ref)
	}
	b.Dependencies = []dependency{needs}
	return b
}
