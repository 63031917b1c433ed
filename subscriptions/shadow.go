package subscriptions

import "strings"

// ops is a set of what may be done with a shadow. A row that is no shadow row
// has all bits, so that it stands whatever is done.
type ops uint8

const (
	opGet ops = 1 << iota
	opUpdate
	opDelete
	opWatch

	allOps ops = opGet | opUpdate | opDelete | opWatch
	anyOp  ops = 0xff
)

// opWords are the words of `may`, in the order of their bits.
var opWords = []string{"get", "update", "delete", "watch"}

// parseOps returns the ops of a row's `may`; nil is all of them. Unknown words
// are none.
func parseOps(may []string) ops {
	if may == nil {
		return allOps
	}
	var o ops
	for _, word := range may {
		o |= opOf(word)
	}
	return o
}

func opOf(word string) ops {
	for i, w := range opWords {
		if w == word {
			return 1 << i
		}
	}
	return 0
}

func (o ops) words() []string {
	var words []string
	for i, w := range opWords {
		if o&(1<<i) != 0 {
			words = append(words, w)
		}
	}
	return words
}

// shadowTopic is what a shadow topic says.
type shadowTopic struct {
	thing string
	op    ops  // one of them
	reply bool // the shadow service publishes it
}

const shadowPrefix = "$aws/things/"

// parseShadowTopic reads $aws/things/THING/shadow/... and .../shadow/name/N/...:
// the requests get, update and delete, their accepted and rejected, and
// update/delta and update/documents, which are for those who watch.
func parseShadowTopic(topic string) (s shadowTopic, ok bool) {
	rest, ok := strings.CutPrefix(topic, shadowPrefix)
	if !ok {
		return s, false
	}
	var found bool
	if s.thing, rest, found = strings.Cut(rest, "/shadow/"); !found || strings.Contains(s.thing, "/") {
		return s, false
	}
	if named, found := strings.CutPrefix(rest, "name/"); found {
		if _, rest, found = strings.Cut(named, "/"); !found {
			return s, false
		}
	}
	word, answer, reply := strings.Cut(rest, "/")
	s.op, s.reply = opOf(word)&^opWatch, reply
	switch {
	case s.op == 0:
		return s, false
	case !reply, answer == "accepted", answer == "rejected":
		return s, true
	case s.op == opUpdate && (answer == "delta" || answer == "documents"):
		s.op = opWatch
		return s, true
	}
	return s, false
}

// shadowFilters returns the topic filters that a shadow row of that thing
// stands for: the requests, or what comes back.
func shadowFilters(thing string, may ops, reply bool) []string {
	var tails []string
	for _, word := range (may &^ opWatch).words() {
		if reply {
			tails = append(tails, word+"/accepted", word+"/rejected")
		} else {
			tails = append(tails, word)
		}
	}
	if reply && may&opWatch != 0 {
		tails = append(tails, "update/delta", "update/documents")
	}
	filters := make([]string, 0, 2*len(tails))
	for _, tail := range tails {
		filters = append(filters, shadowPrefix+thing+"/shadow/"+tail, shadowPrefix+thing+"/shadow/name/+/"+tail)
	}
	return filters
}
