package greengrassv1

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"greengate/configs"
)

// Options are what a person says besides the files.
type Options struct {
	// Group and Core are for inputs that name none; empty: as the inputs have it.
	Group, Core string
	// Values are those of parameters of CloudFormation templates, and of what a stack
	// has made, by name: Param, Resource, Resource.Arn.
	Values map[string]string
	// Ask asks a person for such a value; nil: a missing one is an error. Secret says
	// that it must not be shown.
	Ask func(name, description string, secret bool) (string, error)
	// Fold writes rows that say one thing many times as one, when that is provably the
	// same table.
	Fold bool
	// Read reads the certificate files that config.json names; nil: they are looked for
	// among the inputs only.
	Read func(path string) ([]byte, error)
	// Data is the folder of the state; empty: data beside the group file.
	Data string
	// Name is where the group file will be; empty: not known. What functions may open
	// must lie apart from that folder.
	Name string
}

// Result is a site to be made.
type Result struct {
	Group, Core string
	File        []byte // the group file, which configs accepts
	Config      *configs.Config
	Copies      []Copy
	Folders     []string // for the code of functions
	Report      *Report

	host string // of discovery at AWS, for the devices; empty: not known
}

// ErrNothing: the inputs hold nothing of a group.
var ErrNothing = errors.New("the inputs hold no core, no device, no function and no subscription of a group")

// Import makes a site of the definitions of a Greengrass V1 group. The error is
// configs.Faults when the inputs are wrong, and has every fault of them.
func Import(files []File, o Options) (*Result, error) {
	d, g, err := read(files, &o)
	if err != nil {
		return nil, err
	}
	report := &Report{From: "greengrass-v1", Inputs: d.known}
	c := g.config
	if g.core == "" && c != nil {
		g.core = c.thing
	}
	core := cmp.Or(o.Core, g.core)
	if core == "" {
		return nil, errors.New("the inputs do not name the core (add the core definition or config.json, or write --core THING)")
	}
	g.core = core
	t := newTranslator(g, &site{group: cmp.Or(o.Group, g.id, g.name, "greengrass"), core: core, report: report})
	report.Group, report.Core = t.s.group, core
	for _, what := range d.absent {
		report.lacks(nil, what, "the group names it, and no input holds it: add that file, or nothing of it is here")
	}
	named := func(v groupVersion) bool { return slices.Contains(v.called(), o.Group) }
	if g.id == "" && (o.Group == "" || slices.ContainsFunc(d.groups, named)) {
		report.todo("say the id of the group, which discovery answers and the inputs do not say: --group ID at the import, or `group` in the file, where %q stands in its place", t.s.group)
	}
	t.translate()
	copies := t.core(&finder{pems: d.pems, read: o.Read})
	d.noteFiles(copies)
	report.Inputs = d.known
	r, err := finish(t.s, copies, &o)
	if err != nil {
		return nil, err
	}
	if region := d.values["AWS::Region"]; region != "" {
		r.host = "greengrass-ats.iot." + region + ".amazonaws.com"
	}
	return r, nil
}

// read reads the inputs, and asks for what a template lacks until nothing is missing.
func read(files []File, o *Options) (*documents, *group, error) {
	values := maps.Clone(o.Values)
	if values == nil {
		values = map[string]string{}
	}
	for {
		d := recognise(files, values)
		c := d.choose(o.Group)
		r := reader{needed: d.needed, missing: slices.Sorted(maps.Keys(d.needed))}
		g := r.read(d, c)
		if len(d.faults) == 0 {
			if err := d.useless(o.Values); err != nil {
				return nil, nil, err
			}
		}
		// A fault of a text that lacks something would be told too early.
		if len(r.missing) > 0 && o.Ask != nil && len(d.faults) == 0 {
			if err := askAll(d, &r, o, values); err != nil {
				return nil, nil, err
			}
			continue
		}
		for _, name := range r.missing {
			r.fault(r.needed[name], fmt.Sprintf("--set '%s=VALUE'", name), "%s has no value", name)
		}
		if faults := append(d.faults, r.faults...); len(faults) > 0 {
			return nil, nil, unique(faults)
		}
		if g.coreAt == nil && g.config == nil && len(g.devices)+len(g.rows)+len(g.functions) == 0 {
			return nil, nil, d.nothing()
		}
		d.absent = c.absent
		for _, what := range c.others {
			d.note(what, "another version or group, left alone")
		}
		return d, g, nil
	}
}

// useless tells of values that no template has a use for: their names are wrong.
func (d *documents) useless(values map[string]string) error {
	var parameters []string
	for _, t := range d.templates {
		if p := t.get("Parameters"); p != nil {
			parameters = append(parameters, p.keys...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		made, _, _ := strings.Cut(name, ".")
		resource := func(t *node) bool { return t.find("Resources", made) != nil }
		if !d.asked[name] && !strings.HasPrefix(name, "AWS::") && !slices.Contains(parameters, name) && !slices.ContainsFunc(d.templates, resource) {
			return fmt.Errorf("--set: no template has the parameter or resource %q (parameters are %s)", clip(name), cmp.Or(strings.Join(parameters, ", "), "none"))
		}
	}
	return nil
}

func askAll(d *documents, r *reader, o *Options, values map[string]string) error {
	for _, name := range r.missing {
		if _, given := values[name]; given {
			return fmt.Errorf("%s was given, and is still missing", name)
		}
		description, secret := "needed by "+r.needed[name].place(), false
		for _, t := range d.templates {
			if p := t.find("Parameters", name); p != nil {
				description = cmp.Or(p.scalar("Description"), description)
				secret = p.scalar("NoEcho") == "true"
			}
		}
		v, err := o.Ask(name, description, secret)
		if err != nil {
			return err
		}
		values[name] = v
	}
	return nil
}

// unique leaves out faults that stand there twice, and orders them as the files have
// them.
func unique(faults configs.Faults) configs.Faults {
	var out configs.Faults
	for _, f := range faults {
		if !slices.Contains(out, f) && len(out) < maxFaults {
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b configs.Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return out
}

// maxFaults bounds what is told of inputs that are wrong everywhere.
const maxFaults = 200

// madeFile stands for the name of a file that is not written, since it is wrong.
const madeFile = "the group file that would be made"

// finish folds the rows if that is wished, writes the file and has configs judge it.
func finish(s *site, copies []Copy, o *Options) (*Result, error) {
	if o.Fold {
		if err := s.fold(); err != nil {
			return nil, err
		}
	}
	r := &Result{Group: s.group, Core: s.core, Copies: copies, Report: s.report}
	for _, f := range s.functions {
		r.Folders = append(r.Folders, f.dir)
	}
	for i := range s.rows {
		if s.rows[i].left == "" {
			s.report.Counts.FileRows++
		}
	}
	s.data = cmp.Or(o.Data, "data")
	for {
		r.File = s.file()
		var err error
		if r.Config, err = configs.Parse(o.Name, r.File); err == nil {
			for _, w := range r.Config.Warnings {
				if m := openPath.FindStringSubmatch(w.Path); m != nil && w.Value != "" {
					s.report.todo("make %s, which the function %s opens and without which it does not start (or take it out of its `%s`)", w.Value, r.Config.Functions[digits(m[1])].Name, m[2])
				}
			}
			s.report.settle()
			return r, nil
		}
		var faults configs.Faults
		if !errors.As(err, &faults) {
			return nil, err
		}
		if s.dropPaths(faults) {
			continue
		}
		for i := range faults {
			if n := s.origins[faults[i].Path]; n != nil {
				faults[i] = n.fault(faults[i].Hint, "%s", faults[i].Problem)
				continue
			}
			faults[i].File = madeFile
		}
		return nil, faults
	}
}

// openPath is the place of a path that a function may open.
var openPath = regexp.MustCompile(`^functions\[(\d+)\]\.(read|write|devices)\[(\d+)\]$`)

// dropPaths takes out the paths of functions that configs refuses, as those that hold
// the site itself, and tells whether there were any.
func (s *site) dropPaths(faults configs.Faults) (dropped bool) {
	for _, f := range slices.Backward(faults) { // later ones first, so that the numbers hold
		m := openPath.FindStringSubmatch(f.Path)
		if m == nil {
			continue
		}
		i, k := digits(m[1]), digits(m[3])
		fn := &s.functions[i]
		list := map[string]*[]string{"read": &fn.read, "write": &fn.write, "devices": &fn.devices}[m[2]]
		s.report.lacks(nil, fmt.Sprintf("%s of %s: %s", m[2], fn.name, (*list)[k]), "%s; left out", f.Problem)
		*list = slices.Delete(*list, k, k+1)
		dropped = true
	}
	return dropped
}

// digits reads a number that a pattern has found to be one.
func digits(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// settle makes every list of the report one, for JSON.
func (r *Report) settle() {
	for _, list := range []*[]Note{&r.Taken, &r.Translated, &r.Missing} {
		if *list == nil {
			*list = []Note{}
		}
	}
	if r.Todo == nil {
		r.Todo = []string{}
	}
	if r.Inputs == nil {
		r.Inputs = []Input{}
	}
}
