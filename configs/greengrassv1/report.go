package greengrassv1

import (
	"fmt"
	"io"
	"strings"
)

// Report is what became of everything in the inputs.
type Report struct {
	// From is greengrass-v1 or greengrass-v2.
	From  string `json:"from"`
	Group string `json:"group"`
	Core  string `json:"core"`
	// Inputs are the files, each with what it was found to be.
	Inputs []Input `json:"inputs"`
	Counts Counts  `json:"counts"`
	// Taken means the same as before; Translated says it in another way; Missing has no
	// counterpart, and says the nearest thing to do.
	Taken      []Note `json:"taken"`
	Translated []Note `json:"translated"`
	Missing    []Note `json:"missing"`
	// Todo is what a person has to do before the site is whole, in that order.
	Todo []string `json:"todo"`
}

// Counts are the figures of an import.
type Counts struct {
	Devices int `json:"devices"`
	// Rows are those of the input: each is in Written, Repeated or LeftOut. FileRows
	// are the rows of the group file that say what Written said.
	Rows      int `json:"rows"`
	Written   int `json:"written"`
	Repeated  int `json:"repeated"`
	LeftOut   int `json:"left_out"`
	FileRows  int `json:"file_rows"`
	Labels    int `json:"labels"`
	Functions int `json:"functions"`
}

// Note is one thing of the input and what became of it.
type Note struct {
	What  string `json:"what"`
	How   string `json:"how"`
	Where string `json:"where,omitempty"` // FILE:LINE and the path of the key
}

func (r *Report) took(n *node, what, how string, args ...any) {
	r.Taken = append(r.Taken, note(n, what, how, args))
}

func (r *Report) translated(n *node, what, how string, args ...any) {
	r.Translated = append(r.Translated, note(n, what, how, args))
}

func (r *Report) lacks(n *node, what, how string, args ...any) {
	r.Missing = append(r.Missing, note(n, what, how, args))
}

func (r *Report) todo(what string, args ...any) {
	r.Todo = append(r.Todo, fmt.Sprintf(what, args...))
}

func note(n *node, what, how string, args []any) Note {
	return Note{oneLine(what), oneLine(fmt.Sprintf(how, args...)), n.place()}
}

// oneLine writes what may come from a file in one line.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(c rune) bool { return c < ' ' || c == ' ' || c == 0x7F || c == 0x85 || c == 0x2028 || c == 0x2029 }), " ")
}

// Text writes the report for a person.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	c := r.Counts
	fmt.Fprintf(&b, "group %s, core %s: %s", r.Group, r.Core, count(c.Devices, "device"))
	if r.From == "greengrass-v2" {
		fmt.Fprintf(&b, ", %s", count(c.FileRows, "row"))
	} else {
		fmt.Fprintf(&b, ", %s, %s", count(c.Functions, "function"), count(c.Rows, "subscription"))
	}
	if c.Rows > 0 && r.From == "greengrass-v1" {
		fmt.Fprintf(&b, " (%d taken over, %d repeated, %d left out) in %s", c.Written, c.Repeated, c.LeftOut, count(c.FileRows, "row"))
	}
	b.WriteString("\n\nread\n")
	var unknown []string
	for _, in := range r.Inputs {
		if in.What == "" {
			unknown = append(unknown, in.File)
			continue
		}
		fmt.Fprintf(&b, "  %s: %s\n", in.File, in.What)
	}
	if n := len(unknown); n > 0 {
		if n > 5 {
			unknown = append(unknown[:5], fmt.Sprintf("%d more", n-5))
		}
		fmt.Fprintf(&b, "  left alone, nothing that the import knows: %s\n", strings.Join(unknown, ", "))
	}
	notes := func(title string, list []Note) {
		if len(list) == 0 {
			return
		}
		fmt.Fprintf(&b, "\n%s\n", title)
		for _, n := range list {
			fmt.Fprintf(&b, "  %s: %s", n.What, n.How)
			if n.Where != "" {
				fmt.Fprintf(&b, " [%s]", n.Where)
			}
			b.WriteByte('\n')
		}
	}
	notes("taken over as it was", r.Taken)
	notes("translated", r.Translated)
	notes("no counterpart", r.Missing)
	if len(r.Todo) > 0 {
		b.WriteString("\nleft to do\n")
		for i, t := range r.Todo {
			fmt.Fprintf(&b, "  %d. %s\n", i+1, t)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
