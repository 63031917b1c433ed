package broker

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"greengate/core/message"
)

// FuzzTree holds the tree, of subscriptions and of retained messages, against a list that
// is gone through with message.Match. Each line of the input puts something in, or takes
// out what it has put in when it begins with a minus.
func FuzzTree(f *testing.F) {
	f.Add("a/+\na/#\n#\n+/b\n-a/+", "a/b\na\n$a/b\n-a", "+/b")
	f.Add("$a/#\n/+\n//#\n-//#\n-x", "/\n//\n$a", "#")
	f.Fuzz(func(t *testing.T, filters, topics, one string) {
		if len(filters)+len(topics) > 1<<12 {
			t.Skip("long lists cost time and show nothing more")
		}
		subs, _ := grown(t, filters, message.CheckFilter)
		kept, all := grown(t, topics, message.CheckTopic)
		for _, topic := range all {
			var got []string
			subs.match(topic, func(owner, filter string) { got = append(got, owner+filter) })
			same(t, "filters of "+topic, got, subs, func(filter string) bool { return message.Match(filter, topic) })
		}
		if message.CheckFilter(one) == nil {
			var got []string
			kept.matching(one, func(topic string) { got = append(got, "o"+topic) })
			same(t, "topics of "+one, got, kept, func(topic string) bool { return message.Match(one, topic) })
		}
	})
}

// grown is a tree that has for value each path itself, beside the list of what is in it.
func grown(t *testing.T, lines string, check func(string) error) (*listed, []string) {
	l := &listed{in: map[string]bool{}}
	for line := range strings.Lines(lines) {
		path, out := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "-")
		if check(path) != nil {
			continue
		}
		existed := false
		if out {
			existed = l.remove(path, "o")
		} else {
			existed = l.put(path, "o", path)
		}
		if existed != l.in[path] {
			t.Errorf("%q was there: %t", line, existed)
		}
		if l.in[path] = !out; out {
			delete(l.in, path)
		}
		if _, ok := l.get(path, "o"); ok == out || l.count != len(l.in) {
			t.Errorf("after %q, it is there: %t, as one of %d", line, ok, l.count)
		}
	}
	if len(l.in) == 0 && len(l.root.children) > 0 {
		t.Errorf("an empty tree has branches: %v", l.root)
	}
	if want := l.root.weight(); l.bytes != want {
		t.Errorf("the tree counts %d bytes, want %d", l.bytes, want)
	}
	return l, slices.Collect(maps.Keys(l.in))
}

// weight counts the bytes of a tree anew.
func (n *node[V]) weight() (bytes int) {
	if len(n.values) > 0 {
		bytes = endCost
	}
	for level, child := range n.children {
		bytes += levelCost + len(level) + child.weight()
	}
	return bytes
}

type listed struct {
	tree[string]
	in map[string]bool
}

func same(t *testing.T, what string, got []string, l *listed, want func(string) bool) {
	var all []string
	for path := range l.in {
		if want(path) {
			all = append(all, "o"+path)
		}
	}
	slices.Sort(all)
	if slices.Sort(got); !slices.Equal(got, all) {
		t.Errorf("the %s are %q, want %q", what, got, all)
	}
}
