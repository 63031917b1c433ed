package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"greengate/configs"
	"greengate/core/admin/client"
	"greengate/core/pki"
	"greengate/subscriptions"
	"greengate/sync/cloud"
)

// state is a group file with its table, as a plan compares them. The rows of a
// configuration that is in force stand in its table only.
type state struct {
	config *configs.Config
	table  *subscriptions.Table
}

func newState(c *configs.Config) (state, error) {
	table, err := subscriptions.Compile(c.Subscriptions, c.Site())
	if err != nil {
		return state{}, fmt.Errorf("compile subscriptions: %w", err)
	}
	return state{c, table}, nil
}

// compare says what would change if next took the place of now.
func compare(now, next state) (*client.Plan, error) {
	p := &client.Plan{Devices: compareDevices(now.config, next.config), Rows: compareRows(now.table, next.table)}
	before, err := keysOf(now.config)
	if err != nil {
		return nil, err
	}
	after, err := keysOf(next.config)
	if err != nil {
		return nil, err
	}
	p.Pins = compareNames(takePins(before), takePins(after))
	p.Functions = compareFunctions(takeFunctions(before), takeFunctions(after))
	if err := onlyWritten(before, after); err != nil {
		return nil, err
	}
	p.Keys = compareKeys(before, after)
	p.Notes = append(nextStart(now.config, next.config), cloudNotes(now.config, next.config)...)
	for _, w := range next.config.Warnings {
		p.Notes = append(p.Notes, w.Error())
	}
	return p, nil
}

func compareDevices(now, next *configs.Config) client.PlanNames {
	list := func(c *configs.Config) map[string]string {
		m := map[string]string{}
		for _, d := range c.Devices {
			d.Line, d.Column = 0, 0
			text, _ := json.Marshal(d) // plain values have a JSON form
			m[d.Thing] = string(text)
		}
		return m
	}
	return compareNames(list(now), list(next))
}

// compareNames compares two lists of entries, each by its name.
func compareNames(now, next map[string]string) (n client.PlanNames) {
	for name, text := range next {
		old, there := now[name]
		switch {
		case !there:
			n.Added = append(n.Added, name)
		case old != text:
			n.Changed = append(n.Changed, name)
		}
	}
	for name := range now {
		if _, stays := next[name]; !stays {
			n.Removed = append(n.Removed, name)
		}
	}
	for _, list := range [][]string{n.Added, n.Removed, n.Changed} {
		slices.Sort(list)
	}
	return n
}

// compareRows finds the rows that only one of the tables has. A row that stands
// twice counts twice; where it stands does not matter.
func compareRows(now, next *subscriptions.Table) (r client.PlanRows) {
	count := map[string]int{}
	for row := range now.Len() {
		count[now.Key(row)]++
	}
	for row := range next.Len() {
		if next.Line(row) == 0 {
			continue // that of own_shadows, which is a key
		}
		if key := next.Key(row); count[key] > 0 {
			count[key]--
			r.Kept++
			continue
		}
		r.Added = append(r.Added, client.PlanRow{Line: next.Line(row), Text: next.Text(row)})
	}
	for row := range now.Len() {
		if key := now.Key(row); count[key] > 0 && now.Line(row) > 0 {
			count[key]--
			r.Removed = append(r.Removed, client.PlanRow{Line: now.Line(row), Text: now.Text(row)})
		}
	}
	return r
}

// keysOf returns every key of the effective configuration with its value, but
// those of devices and rows. A list is one value.
func keysOf(c *configs.Config) (map[string]any, error) {
	var text bytes.Buffer
	if err := c.Print(&text); err != nil {
		return nil, err
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text.Bytes(), &tree); err != nil {
		return nil, fmt.Errorf("read the effective configuration: %w", err)
	}
	delete(tree, "devices")
	delete(tree, "subscriptions")
	keys := map[string]any{}
	flatten(keys, "", tree)
	return keys, nil
}

func flatten(keys map[string]any, prefix string, tree map[string]any) {
	for key, v := range tree {
		if sub, ok := v.(map[string]any); ok {
			flatten(keys, prefix+key+".", sub)
			continue
		}
		keys[prefix+key] = v
	}
}

// takePins moves the lists of pins out of keys: each entry by its name.
func takePins(keys map[string]any) map[string]string {
	pins := map[string]string{}
	for key, v := range keys {
		list, isList := v.([]any)
		kind, isPin := strings.CutPrefix(key, "gpio.")
		if !isPin || !isList {
			continue
		}
		delete(keys, key)
		for _, entry := range list {
			fields, _ := entry.(map[string]any)
			text, _ := json.Marshal(fields) // keys are sorted
			pins[fmt.Sprint(fields["name"])] = kind + " " + string(text)
		}
	}
	return pins
}

// onlyWritten takes the defaults out of a cloud section that comes or goes as a whole: what is
// left is what the file says of it.
func onlyWritten(before, after map[string]any) error {
	isCloud := func(key string) bool { return strings.HasPrefix(key, "cloud.") }
	has := func(keys map[string]any) bool {
		return slices.ContainsFunc(slices.Collect(maps.Keys(keys)), isCloud)
	}
	if has(before) == has(after) {
		return nil
	}
	section := cloud.DefaultConfig()
	silent, err := keysOf(&configs.Config{Cloud: &section})
	if err != nil {
		return err
	}
	for _, keys := range []map[string]any{before, after} {
		maps.DeleteFunc(keys, func(key string, v any) bool {
			d, is := silent[key]
			return isCloud(key) && is && reflect.DeepEqual(d, v)
		})
	}
	return nil
}

// nextStart tells for what the next start would refuse the new file.
func nextStart(now, next *configs.Config) (notes []string) {
	if now.PKI.Dir == next.PKI.Dir {
		return nil
	}
	if _, err := pki.Open(next.PKI.Dir, pki.Clock{}); err != nil && !errors.Is(err, fs.ErrPermission) {
		notes = append(notes, fmt.Sprintf("the next start would fail: pki.dir: %v", err))
	}
	return notes
}

func compareKeys(now, next map[string]any) (list []client.PlanKey) {
	value := func(v any) json.RawMessage {
		text, _ := json.Marshal(v) // what was YAML has a JSON form
		return text
	}
	for key, to := range next {
		from, there := now[key]
		switch {
		case !there:
			list = append(list, client.PlanKey{Key: key, To: value(to)})
		case !reflect.DeepEqual(from, to):
			list = append(list, client.PlanKey{Key: key, From: value(from), To: value(to)})
		}
	}
	for key, from := range now {
		if _, stays := next[key]; !stays {
			list = append(list, client.PlanKey{Key: key, From: value(from)})
		}
	}
	slices.SortFunc(list, func(a, b client.PlanKey) int { return strings.Compare(a.Key, b.Key) })
	return list
}
