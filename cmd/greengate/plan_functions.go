package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"greengate/core/admin/client"
)

// takeFunctions moves the functions out of keys: the keys of each by its name.
func takeFunctions(keys map[string]any) map[string]map[string]any {
	all := map[string]map[string]any{}
	list, _ := keys["functions"].([]any)
	delete(keys, "functions")
	for _, entry := range list {
		fields, _ := entry.(map[string]any)
		one := map[string]any{}
		flatten(one, "", fields)
		all[fmt.Sprint(fields["name"])] = one
	}
	return all
}

func compareFunctions(now, next map[string]map[string]any) (f client.PlanFunctions) {
	for name, to := range next {
		from, there := now[name]
		if !there {
			f.Added = append(f.Added, name)
		} else if keys := compareKeys(from, to); len(keys) > 0 {
			f.Changed = append(f.Changed, client.PlanFunction{Name: name, Keys: hideValues(keys)})
		}
	}
	for name := range now {
		if _, stays := next[name]; !stays {
			f.Removed = append(f.Removed, name)
		}
	}
	slices.Sort(f.Added)
	slices.Sort(f.Removed)
	slices.SortFunc(f.Changed, func(a, b client.PlanFunction) int { return strings.Compare(a.Name, b.Name) })
	return f
}

// hideValues takes the values of the environment out of the keys of a function.
func hideValues(keys []client.PlanKey) []client.PlanKey {
	for i := range keys {
		if !strings.HasPrefix(keys[i].Key, "environment.") {
			continue
		}
		for _, v := range []*json.RawMessage{&keys[i].From, &keys[i].To} {
			if *v != nil {
				*v = json.RawMessage(`"..."`)
			}
		}
	}
	return keys
}
