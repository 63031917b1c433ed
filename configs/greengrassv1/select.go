package greengrassv1

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// chosen are the versions that make up the group.
type chosen struct {
	id, name string
	bodies   map[string][]*node // the pages by the word of the part
	absent   []string           // parts that the group names and no input holds
	others   []string           // versions that the group does not name
}

// choose finds the definitions of the one group: those that the group version names, or
// all where there is none and each is there in one version.
// The group is the one that is called wanted, if there are several.
func (d *documents) choose(wanted string) *chosen {
	c := &chosen{name: d.name, bodies: map[string][]*node{}}
	g := d.group(wanted)
	if g != nil {
		c.id, c.name = g.id, cmp.Or(g.name, d.name)
	}
	for i := range parts {
		p := &parts[i]
		ref := ""
		if g != nil {
			ref = g.body.scalar(p.ref)
		}
		versions := map[string][]definition{}
		var order []string
		for _, def := range d.definitions {
			if def.part != p {
				continue
			}
			if versions[def.arn] == nil {
				order = append(order, def.arn)
			}
			versions[def.arn] = append(versions[def.arn], def)
		}
		take := d.pick(p, ref, order, versions)
		if take == nil && ref != "" && len(order) == 0 {
			c.absent = append(c.absent, fmt.Sprintf("%s definition %s", p.word, ref))
		}
		for _, arn := range order {
			if len(take) == 0 || take[0].arn != arn {
				for _, def := range versions[arn] {
					c.others = append(c.others, fmt.Sprintf("%s definition in %s", p.word, def.body.place()))
				}
			}
		}
		c.bodies[p.word] = d.pages(p, take)
	}
	return c
}

// group is the one group version, of those that are called wanted if there are such; nil
// when there is none.
func (d *documents) group(wanted string) *groupVersion {
	groups := slices.DeleteFunc(slices.Clone(d.groups), func(g groupVersion) bool { return !slices.Contains(g.called(), wanted) })
	if len(groups) == 0 {
		groups = d.groups
	}
	for i := range groups {
		if i > 0 && !sameRefs(&groups[i], &groups[0]) {
			hint := "give the one that was deployed last"
			if a, b := groups[0].called()[0], groups[i].called()[0]; a != b {
				hint = fmt.Sprintf("--group chooses: '%s' or '%s'", a, b)
			}
			d.faults = append(d.faults, groups[i].body.fault(hint, "another group version; the first is in %s", groups[0].body.place()))
		}
		if groups[0].name == "" {
			groups[0].name = groups[i].name
		}
	}
	if len(groups) == 0 {
		return nil
	}
	return &groups[0]
}

// called are the words that mean a group: its id, or its name, and what a template calls it.
func (g *groupVersion) called() (words []string) {
	for _, w := range []string{g.id, g.name, strings.TrimPrefix(g.body.scalar("GroupId"), "stack:"), g.arn} {
		if w = strings.TrimPrefix(w, "stack:"); w != "" {
			words = append(words, w)
		}
	}
	return append(words, "") // without --group any is meant
}

func sameRefs(a, b *groupVersion) bool {
	return !slices.ContainsFunc(parts, func(p part) bool { return a.body.scalar(p.ref) != b.body.scalar(p.ref) })
}

// pick finds the pages of the version that the group names.
func (d *documents) pick(p *part, ref string, order []string, versions map[string][]definition) []definition {
	names := func(arn string) bool { return slices.Contains(strings.Split(arn, "\n"), ref) }
	var fits []string
	if ref != "" {
		for _, arn := range order {
			if names(arn) {
				fits = append(fits, arn)
			}
		}
		// A version in a resource of its own is later than the first one of the definition.
		if i := slices.IndexFunc(fits, func(arn string) bool { return strings.Contains(arn, "\n") }); i > 0 {
			fits = fits[i : i+1]
		}
	}
	if len(fits) == 0 && slices.Contains(order, "") { // entries without a version's name
		fits = []string{""}
	}
	if len(fits) == 0 && (ref == "" || len(order) == 1 && strings.HasPrefix(ref, "stack:")) {
		fits = order
	}
	if len(fits) > 1 {
		body := versions[fits[1]][0].body
		d.faults = append(d.faults, body.fault("add the answer of get-group-version, or take the other one away",
			"a second version of the %s definition; the first is in %s", p.word, versions[fits[0]][0].body.place()))
	}
	if len(fits) == 0 {
		if ref != "" && len(order) > 0 {
			body := versions[order[0]][0].body
			d.faults = append(d.faults, body.fault("give the one that the group names, or leave the group version out",
				"the group names another version of the %s definition: %s", p.word, ref))
		}
		return nil
	}
	return versions[fits[0]]
}

// pages checks that the last page is there, and leaves out one that is there twice.
func (d *documents) pages(p *part, defs []definition) (bodies []*node) {
	var seen []string
	last := len(defs) == 0
	for _, def := range defs {
		last = last || !def.next
		key := strings.Join(ids(def.body.list(p.list)), "\n")
		if key != "" && slices.Contains(seen, key) {
			continue
		}
		seen = append(seen, key)
		bodies = append(bodies, def.body)
	}
	if !last {
		d.faults = append(d.faults, defs[0].body.up.fault("save the answer for --next-token too",
			"each page of the %s definition has a NextToken: the last one is missing", p.word))
	}
	return bodies
}

func ids(entries []*node) (all []string) {
	for _, e := range entries {
		all = append(all, fmt.Sprint(e.scalar("Id"), " ", e.scalar("ThingArn"), e.scalar("Subject"), e.scalar("Source"), e.scalar("Target")))
	}
	return all
}
