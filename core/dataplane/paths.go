package dataplane

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// operation is one of the API, by AWS's name for it.
type operation struct {
	name  string
	cost  int // how many requests it counts for, in the bound of a client
	serve func(*call, context.Context) error
}

// nowhere is the operation of what is none.
var nowhere = &operation{name: "none", cost: 1}

// resource is one path of the API; what it does, by method.
type resource struct {
	path []string // its segments; "*" stands for one that names something, and "**" for such ones to the end
	does map[string]*operation
}

// listCost is what one page of the retained messages counts for: all of them
// are judged for it.
const listCost = 10

var resources = []resource{
	{[]string{"topics", "**"}, map[string]*operation{
		http.MethodPost: {"Publish", 1, (*call).publish},
	}},
	{[]string{"things", "*", "shadow"}, map[string]*operation{
		http.MethodGet:    {"GetThingShadow", 1, (*call).getShadow},
		http.MethodPost:   {"UpdateThingShadow", 1, (*call).updateShadow},
		http.MethodDelete: {"DeleteThingShadow", 1, (*call).deleteShadow},
	}},
	{[]string{"api", "things", "shadow", "ListNamedShadowsForThing", "*"}, map[string]*operation{
		http.MethodGet: {"ListNamedShadowsForThing", 1, (*call).listShadows},
	}},
	{[]string{"retainedMessage"}, map[string]*operation{
		http.MethodGet: {"ListRetainedMessages", listCost, (*call).listRetained},
	}},
	{[]string{"retainedMessage", "**"}, map[string]*operation{
		http.MethodGet: {"GetRetainedMessage", 1, (*call).getRetained},
	}},
	{[]string{"openapi.json"}, map[string]*operation{
		http.MethodGet: {"OpenAPI", 1, (*call).describe},
	}},
}

// find returns the operation that a method and a path, escaped as it came, ask
// for, and what the path names. The path is never cleaned: the gate is to judge
// the very topic that was sent.
func find(method, path string) (*operation, string, error) {
	raw := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i := range resources {
		named, ok := resources[i].match(raw)
		if !ok {
			continue
		}
		arg, err := decode(named)
		if err != nil {
			return nowhere, "", err
		}
		op := resources[i].does[method]
		if op == nil {
			return nowhere, "", wrongMethod(slices.Sorted(maps.Keys(resources[i].does)))
		}
		return op, arg, nil
	}
	return nowhere, "", &Error{Status: http.StatusNotFound, Type: typeNotFound, Message: "there is nothing at this path", reason: reasonPath}
}

// match tells whether these segments are the resource, and which of them name
// something.
func (s *resource) match(raw []string) (named []string, ok bool) {
	for i, want := range s.path {
		switch {
		case i >= len(raw):
			return nil, false
		case want == "**":
			return raw[i:], true
		case want == "*":
			named = raw[i : i+1]
		case want != raw[i]:
			return nil, false
		}
	}
	return named, len(raw) == len(s.path)
}

// decode joins segments to a name. Those that a proxy or a client would take
// for steps are refused; a topic with an empty level, or with one of dots, is
// sent with its slashes escaped, as all SDKs do.
func decode(segments []string) (string, error) {
	levels := make([]string, len(segments))
	for i, s := range segments {
		level, err := url.PathUnescape(s)
		if err != nil || level == "" || level == "." || level == ".." {
			return "", invalid("the path has an empty segment, or one of dots; write the slashes of a topic as %%2F")
		}
		levels[i] = level
	}
	return strings.Join(levels, "/"), nil
}
