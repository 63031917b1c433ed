package greengrassv1

import (
	"fmt"
	"slices"
	"strings"

	"greengate/core/message"
)

// longList is from how many devices on a set is a label and no list.
const longList = 4

// words names the ends of a set, which is sorted: a label for many devices, and others
// one by one. It is never device:*: the next device that is added would be one of
// them, and nobody has said that it may.
func (f *folder) words(set []int) (words []string) {
	n := len(f.devicesOf(set))
	if n >= longList {
		words = append(words, "label:"+f.label(set[:n]))
	} else {
		n = 0
	}
	for _, e := range set[n:] {
		words = append(words, f.ends[e])
	}
	return words
}

// label returns the label that exactly these devices wear.
func (f *folder) label(set []int) string {
	key := fmt.Sprint(set)
	if l, ok := f.labels[key]; ok {
		return l
	}
	base := f.common(set)
	name := base
	for n := 2; f.taken[name]; n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	f.taken[name], f.labels[key] = true, name
	for _, e := range set {
		d := &f.devices[e] // the ends of devices have the numbers of the devices
		d.labels = append(slices.Clone(d.labels), name)
	}
	return name
}

// name gives the sets of many devices their labels, the largest first: it gets the
// plain word.
func (f *folder) name(blocks []block) {
	var sets [][]int
	for _, b := range blocks {
		if len(b.members) == 1 {
			continue
		}
		for _, side := range [][]int{b.from, b.to} {
			if d := f.devicesOf(side); len(d) >= longList {
				sets = append(sets, d)
			}
		}
	}
	slices.SortStableFunc(sets, func(a, b []int) int { return len(b) - len(a) })
	for _, set := range sets {
		f.label(set)
	}
}

// devicesOf are the devices of a sorted set: they come first.
func (f *folder) devicesOf(set []int) []int {
	n := 0
	for n < len(set) && f.thing[set[n]] != "" {
		n++
	}
	return set[:n]
}

// common is the beginning that the names of the devices share, as far as it is a word.
func (f *folder) common(set []int) string {
	prefix := f.thing[set[0]]
	for _, e := range set[1:] {
		for !strings.HasPrefix(f.thing[e], prefix) {
			prefix = prefix[:len(prefix)-1]
		}
	}
	if trimmed := strings.TrimRight(prefix, "_:-"); trimmed != prefix {
		prefix = trimmed // line-1-press of line-1-: the number is a word
	} else {
		prefix = strings.TrimRight(prefix, "0123456789_:-")
	}
	if len(prefix) < 2 || len(prefix) > message.MaxThing-8 || message.CheckThing(prefix) != nil {
		if len(set) == len(f.devices) {
			return "all"
		}
		return "group"
	}
	return prefix
}
