package subscriptions

import (
	"math/bits"
	"slices"
	"strings"

	"greengate/core/message"
)

// set is a set of small numbers.
type set []uint64

func (s *set) add(n int) {
	for len(*s) <= n/64 {
		*s = append(*s, 0)
	}
	(*s)[n/64] |= 1 << (n % 64)
}

func (s set) has(n int) bool { return n/64 < len(s) && s[n/64]>>(n%64)&1 != 0 }

func (s set) len() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

func (s set) each(visit func(n int)) {
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			visit(i*64 + bits.TrailingZeros64(w))
		}
	}
}

// and returns what is in both.
func (s set) and(o set) set {
	r := make(set, min(len(s), len(o)))
	for i := range r {
		r[i] = s[i] & o[i]
	}
	return r
}

// with returns what is in one of them.
func (s set) with(o set) set {
	if len(s) < len(o) {
		s, o = o, s
	}
	r := slices.Clone(s)
	for i, w := range o {
		r[i] |= w
	}
	return r
}

func (s set) without(o set) set {
	r := slices.Clone(s)
	for i := range min(len(s), len(o)) {
		r[i] &^= o[i]
	}
	return r
}

// within tells whether o has all of s.
func (s set) within(o set) bool {
	for i, w := range s {
		if i < len(o) {
			w &^= o[i]
		}
		if w != 0 {
			return false
		}
	}
	return true
}

// key is equal for equal sets.
func (s set) key() string {
	var b strings.Builder
	for _, w := range s[:s.words()] {
		for range 8 {
			b.WriteByte(byte(w))
			w >>= 8
		}
	}
	return b.String()
}

func (s set) words() int {
	n := len(s)
	for n > 0 && s[n-1] == 0 {
		n--
	}
	return n
}

// endSet numbers endpoints, the devices of the site first, and finds the
// shortest words for sets of them.
type endSet struct {
	number  map[message.Endpoint]int
	all     []message.Endpoint
	devices set
	labels  []string // sorted
	wearers map[string]set
}

func newEndSet(site Site) *endSet {
	e := &endSet{number: map[message.Endpoint]int{}, wearers: map[string]set{}}
	for _, d := range site.Devices {
		n := e.of(message.DeviceEndpoint(d.Thing))
		e.devices.add(n)
		for _, l := range d.Labels {
			w := e.wearers[l]
			if w == nil {
				e.labels = append(e.labels, l)
			}
			w.add(n)
			e.wearers[l] = w
		}
	}
	slices.Sort(e.labels)
	return e
}

func (e *endSet) of(end message.Endpoint) int {
	n, ok := e.number[end]
	if !ok {
		n = len(e.all)
		e.number[end] = n
		e.all = append(e.all, end)
	}
	return n
}

// words names exactly the endpoints of s: device:* for all devices, labels all
// of whose wearers are in s, and the rest one by one.
func (e *endSet) words(s set) []string {
	var words []string
	rest := slices.Clone(s)
	if e.devices.len() > 1 && e.devices.within(s) {
		words = append(words, "device:*")
		rest = rest.without(e.devices)
	}
	for {
		label, most := "", 1
		for _, l := range e.labels {
			if w := e.wearers[l]; w.within(s) {
				if n := rest.and(w).len(); n > most {
					label, most = l, n
				}
			}
		}
		if label == "" {
			break
		}
		words = append(words, "label:"+label)
		rest = rest.without(e.wearers[label])
	}
	rest.each(func(n int) {
		if e.all[n].Kind == 0 {
			words = append(words, unknownReceiver)
		} else {
			words = append(words, e.all[n].String())
		}
	})
	return words
}
