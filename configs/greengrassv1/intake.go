package greengrassv1

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"greengate/configs"
)

// Input says what a file was found to be.
type Input struct {
	File string `json:"file"`
	What string `json:"what"` // empty: nothing that the import knows
}

// intake is what both imports find out about their files.
type intake struct {
	pems   []*File
	known  []Input
	faults configs.Faults
}

var pemLine = regexp.MustCompile(`(?m)^-----BEGIN `)

// read gives every document to take, which says what it is; empty: it does not know it.
// hint says which ones it knows.
func (in *intake) read(files []File, hint string, take func(doc *node) string) {
	for i := range files {
		f := &files[i]
		if f.Unread != "" {
			in.note(f.Name, "not read: "+f.Unread)
			continue
		}
		if !looksLikeJSON(f.Data) && pemLine.Match(f.Data) {
			in.pems = append(in.pems, f)
			continue
		}
		docs, err := parseFile(f)
		var fault configs.Fault
		if errors.As(err, &fault) {
			if f.Named || !f.Guessed && suspicious(f.Data) {
				in.faults = append(in.faults, fault)
			} else {
				in.note(f.Name, "")
			}
			continue
		}
		var seen []string
		for _, doc := range docs {
			if what := take(doc); what != "" {
				seen = append(seen, what)
			}
		}
		if len(seen) == 0 && f.Named {
			in.faults = append(in.faults, configs.Fault{File: f.Name, Line: 1, Column: 1, Problem: "this is nothing that the import knows", Hint: hint})
		}
		in.note(f.Name, strings.Join(counted(seen), ", "))
	}
}

func (in *intake) note(file, what string) { in.known = append(in.known, Input{file, what}) }

// nothing is ErrNothing with what was passed over.
func (in *intake) nothing() error {
	var left []string
	for _, k := range in.known {
		if k.What == "" {
			left = append(left, k.File)
		} else if what, ok := strings.CutPrefix(k.What, "not read: "); ok {
			left = append(left, fmt.Sprintf("%s (%s)", k.File, what))
		}
	}
	if len(left) == 0 {
		return ErrNothing
	}
	if n := len(left); n > 5 {
		left = append(left[:5], fmt.Sprintf("%d more", n-5))
	}
	return fmt.Errorf("%w (left alone: %s)", ErrNothing, strings.Join(left, ", "))
}

// suspicious tells whether a file that is neither JSON nor YAML was meant to be a
// definition. Folders hold much else, the code of functions among it.
func suspicious(data []byte) bool {
	return slices.ContainsFunc([]string{"arn:aws", "AWS::Greengrass", "coreThing", "aws.greengrass"}, func(word string) bool {
		return bytes.Contains(data, []byte(word))
	})
}

// noteFiles says what became of the PEM files.
func (in *intake) noteFiles(copies []Copy) {
	for _, f := range in.pems {
		what := "certificate or key, not needed"
		for _, c := range copies {
			if c.From == f.Name {
				what = "goes to " + c.Name
			}
		}
		in.note(f.Name, what)
	}
}

// counted joins equal words: "subscription definition (4 times)".
func counted(words []string) (out []string) {
	for i, w := range words {
		if slices.Index(words, w) < i {
			continue
		}
		n := 0
		for _, o := range words {
			if o == w {
				n++
			}
		}
		if n > 1 {
			w = fmt.Sprintf("%s (%d times)", w, n)
		}
		out = append(out, w)
	}
	return out
}
