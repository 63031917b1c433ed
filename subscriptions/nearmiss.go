package subscriptions

import (
	"fmt"
	"iter"
)

// way is one direction of a row: who may send to whom on which topics.
type way struct {
	row      int
	from, to end
	topic    string // or the thing of a shadow row
	may      ops    // 0: no shadow row
	reply    bool   // of a shadow row: from the shadow service
}

// ways yields those of the rows of the file.
func (t *Table) ways() iter.Seq[way] {
	return func(yield func(way) bool) {
		for i := range t.rows {
			r := &t.rows[i]
			w := way{row: i, from: r.from, to: r.to, topic: t.texts.word(r.topic), may: r.may}
			back := w
			back.from, back.to, back.reply = r.to, r.from, true
			if r.from == ownEnd || !yield(w) || r.may != 0 && !yield(back) {
				return
			}
		}
	}
}

// misses are the ways that nearly allow a query, all but one of their parts
// fit; each is the first of its sort, topic the closest.
type misses struct {
	op, source, turned, topic *way
	sends                     bool // some row has this source
}

// maxCompared bounds how many topics are compared for the closest.
const maxCompared = 1000

func (t *Table) misses(q Query) misses {
	var m misses
	from, fromOK := t.endOf(q.From)
	to, toOK := t.endOf(q.To)
	shadow, isShadow := parseShadowTopic(q.Topic)
	closest, compared := 0, 0
	for w := range t.ways() {
		sends := fromOK && t.covers(w.from, from)
		receives := !q.HasTo || toOK && t.covers(w.to, to)
		m.sends = m.sends || sends
		var sender, receiver string
		if sends {
			sender = q.From.Name
		}
		if q.HasTo && receives {
			receiver = q.To.Name
		}
		fits := w.fits(q.Topic, sender, receiver)
		switch {
		case w.may != 0 && isShadow && w.topic == shadow.thing && w.reply == shadow.reply && sends && receives:
			first(&m.op, w)
		case fits && receives && !sends:
			first(&m.source, w)
		case q.HasTo && fromOK && toOK && t.covers(w.from, to) && t.covers(w.to, from) && w.fits(q.Topic, "", ""):
			first(&m.turned, w)
		case sends && receives && w.may == 0 && compared < maxCompared:
			compared++
			if d := distance(clip(w.topic), clip(q.Topic)); m.topic == nil || d < closest {
				m.topic, closest = &w, d
			}
		}
	}
	return m
}

func first(kept **way, w way) {
	if *kept == nil {
		*kept = &w
	}
}

// fits tells whether the way is for that topic. Names that are not known may
// be any.
func (w *way) fits(topic, from, to string) bool {
	if w.may == 0 {
		return meet(w.topic, topic, from, to)
	}
	s, ok := parseShadowTopic(topic)
	return ok && s.thing == w.topic && s.reply == w.reply && s.op&w.may != 0
}

// nearMiss says what comes nearest to allowing q, in a sentence.
func (t *Table) nearMiss(q Query) string {
	m := t.misses(q)
	toWhom := ""
	if q.HasTo {
		toWhom = fmt.Sprintf(" to %s", q.To)
	}
	switch {
	case m.op != nil:
		return fmt.Sprintf("%s is for the shadow of %s, but only for %s", t.rowName(m.op.row), m.op.topic, andList(m.op.may.words()))
	case m.source != nil:
		return fmt.Sprintf("%s allows this topic%s, but from %s, not from %s", t.rowName(m.source.row), toWhom, andList(t.endTexts(nil, m.source.from)), q.From)
	case m.turned != nil:
		return fmt.Sprintf("%s allows this topic the other way, from %s to %s: a row leads one way", t.rowName(m.turned.row), q.To, q.From)
	case m.topic != nil:
		return fmt.Sprintf("%s lets %s publish%s, but on %s, not on this topic", t.rowName(m.topic.row), q.From, toWhom, m.topic.topic)
	case !m.sends:
		return fmt.Sprintf("no row has %s as its source", q.From)
	case q.HasTo:
		return fmt.Sprintf("no row leads from %s to %s, on any topic", q.From, q.To)
	}
	return fmt.Sprintf("no row lets %s publish on this topic", q.From)
}

// clip bounds what is compared letter by letter.
func clip(topic string) string { return topic[:min(len(topic), maxDistance)] }
