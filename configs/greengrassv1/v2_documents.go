package greengrassv1

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"greengate/configs"
)

// The components of Greengrass V2 that concern client devices.
const (
	v2Auth     = "aws.greengrass.clientdevices.Auth"
	v2Bridge   = "aws.greengrass.clientdevices.mqtt.Bridge"
	v2Moquette = "aws.greengrass.clientdevices.mqtt.Moquette"
	v2EMQX     = "aws.greengrass.clientdevices.mqtt.EMQX"
	v2Detector = "aws.greengrass.clientdevices.IPDetector"
	v2Shadows  = "aws.greengrass.ShadowManager"
	v2Nucleus  = "aws.greengrass.Nucleus"
	v2Lite     = "aws.greengrass.NucleusLite"
)

// v2Documents are the inputs of an import from Greengrass V2.
type v2Documents struct {
	intake
	// The configuration of components: what a recipe has by default lies beneath what
	// the core has in force, and that beneath what a deployment says.
	recipes, running, deployed map[string][]*node
	components                 []string // in the order of the inputs
	at                         map[string]*node
	things                     []string // associated client devices
	core                       string
	targets                    []*node // of deployments to one core each
	system                     *node   // of config.yaml and effectiveConfig.yaml
}

func recogniseV2(files []File) *v2Documents {
	d := &v2Documents{recipes: map[string][]*node{}, running: map[string][]*node{}, deployed: map[string][]*node{}, at: map[string]*node{}}
	d.read(files, "known are the answers of aws greengrassv2 get-deployment and list-client-devices-associated-with-core-device, recipes, and the core's effectiveConfig.yaml", d.take)
	if d.core == "" && len(d.targets) > 0 {
		d.core = thingOf(d.targets[0].text)
	}
	return d
}

func (d *v2Documents) component(to map[string][]*node, name string, at, config *node) {
	if !slices.Contains(d.components, name) {
		d.components = append(d.components, name)
		d.at[name] = at
	}
	if config != nil {
		to[name] = append(to[name], config)
	}
}

// take notes what a document holds, and says what it is; empty: unknown.
func (d *v2Documents) take(n *node) string {
	each := func(list *node, do func(name string, v *node)) {
		for i, name := range list.keys {
			if list.values[i].kind == object {
				do(name, list.values[i])
			}
		}
	}
	switch {
	case n.kind != object:
		return ""
	case n.get("ComponentName") != nil && n.get("RecipeFormatVersion") != nil:
		d.component(d.recipes, n.scalar("ComponentName"), n, n.find("ComponentConfiguration", "DefaultConfiguration"))
		return "recipe of " + n.scalar("ComponentName")
	case n.get("components") != nil && n.get("components").kind == object:
		if target := n.get("targetArn"); thingOf(n.scalar("targetArn")) != "" {
			d.targets = append(d.targets, target)
		}
		each(n.get("components"), func(name string, v *node) { d.component(d.deployed, name, v, d.merge(v.get("configurationUpdate"))) })
		return "deployment"
	case n.get("services") != nil && n.get("services").kind == object:
		if s := n.get("system"); s != nil {
			d.system = s
			if thing := s.scalar("thingName"); thing != "" {
				d.core = thing
			}
		}
		each(n.get("services"), func(name string, v *node) {
			if name != "main" {
				d.component(d.running, name, v, v.get("configuration"))
			}
		})
		return "configuration of the core"
	case len(n.list("associatedClientDevices")) > 0:
		for _, c := range n.list("associatedClientDevices") {
			if thing := c.scalar("thingName"); thing != "" && !slices.Contains(d.things, thing) {
				d.things = append(d.things, thing)
			}
		}
		return "associated client devices"
	case n.get("coreDeviceThingName") != nil:
		d.core = n.scalar("coreDeviceThingName")
		return "core device"
	}
	for i, name := range n.keys { // as greengrass-cli takes it
		if strings.HasPrefix(name, "aws.greengrass.") && n.values[i].get("MERGE") != nil {
			d.component(d.deployed, name, n.values[i], n.values[i].get("MERGE"))
			return "configuration of " + name
		}
	}
	return ""
}

// merge reads the configuration of a deployment: a text that holds JSON, or the object
// itself.
func (d *v2Documents) merge(update *node) *node {
	m := update.get("merge")
	if r := update.list("reset"); len(r) > 0 && !(len(r) == 1 && r[0].text == "") {
		d.known = append(d.known, Input{update.file, "a reset of single keys, which is not carried out: give effectiveConfig.yaml of the core"})
	}
	if m == nil || m.kind == object {
		return m
	}
	docs, err := parseJSON(m.file, []byte(m.text))
	if err == nil && (len(docs) != 1 || docs[0].kind != object) {
		err = errors.New("it is no object")
	}
	if err != nil {
		var fault configs.Fault
		problem := err.Error()
		if errors.As(err, &fault) {
			problem = fault.Problem
		}
		d.faults = append(d.faults, m.fault("", "%s", problem))
		return nil
	}
	relocate(docs[0], m, 0)
	docs[0].up, docs[0].step = m.up, m.step
	return docs[0]
}

// relocate gives values that stood in a text the line of that text.
func relocate(n, at *node, depth int) {
	n.line = at.line
	for _, v := range n.values {
		relocate(v, at, depth+1)
	}
}

// config is the configuration of a component, or nil.
func (d *v2Documents) config(name string) (c *node) {
	for _, layer := range []map[string][]*node{d.recipes, d.running, d.deployed} {
		for _, n := range layer[name] {
			c = overlay(c, n)
		}
	}
	return c
}

// overlay merges as Greengrass does: objects key by key, everything else is replaced.
func overlay(a, b *node) *node {
	if a == nil || a.kind != object || b.kind != object {
		return b
	}
	r := &node{kind: object, file: b.file, line: b.line, up: b.up, step: b.step}
	for i, k := range a.keys {
		v := a.values[i]
		if o := b.get(k); o != nil {
			v = overlay(v, o)
		}
		r.keys, r.values = append(r.keys, k), append(r.values, v)
	}
	for i, k := range b.keys {
		if !slices.Contains(a.keys, k) {
			r.keys, r.values = append(r.keys, k), append(r.values, b.values[i])
		}
	}
	return r
}

// entries yields the objects under a key in their order.
func (n *node) entries(key string, yield func(name string, v *node)) {
	o := n.get(key)
	if o == nil || o.kind != object {
		return
	}
	for i, name := range o.keys {
		if o.values[i].kind == object {
			yield(name, o.values[i])
		}
	}
}

// describe names a component for people.
func (d *v2Documents) describe(name string) string {
	if v := d.at[name].scalar("componentVersion"); v != "" {
		return fmt.Sprintf("component %s %s", name, v)
	}
	return "component " + name
}
