package cloudtest

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// shadowKey names a shadow; name "" is the classic one.
type shadowKey struct{ thing, name string }

type shadowDocument struct {
	state    object // desired and reported, each only when it has keys
	metadata object
	version  int64
}

type tombstone struct {
	version int64
	at      time.Time
}

// shadowStore is the shadow service's memory.
type shadowStore struct {
	documents map[shadowKey]*shadowDocument
	deleted   map[shadowKey]tombstone
	rates     map[string]*bucket // by thing
	inFlight  map[string]int     // by thing
}

func newShadowStore() shadowStore {
	return shadowStore{
		documents: map[shadowKey]*shadowDocument{}, deleted: map[shadowKey]tombstone{},
		rates: map[string]*bucket{}, inFlight: map[string]int{},
	}
}

// shadowAnswer is the outcome of an accepted request. delta and documents are
// nil when there is nothing to tell.
type shadowAnswer struct{ accepted, delta, documents object }

func section(tree object, name string) object {
	s, _ := tree[name].(object)
	return s
}

// view is a copy of the document, for an answer.
func (d *shadowDocument) view() object {
	return object{"state": clone(d.state), "metadata": clone(d.metadata), "version": d.version}
}

func (d *shadowDocument) delta() (state, metadata object) {
	return difference(section(d.state, "desired"), section(d.state, "reported"), section(d.metadata, "desired"))
}

// size is what the limit on the document counts, in bytes.
func (d *shadowDocument) size(r *Readings) (bytes int) {
	for _, section := range d.state {
		if n := len(encodeJSON(section)); r.SizePerSection {
			bytes = max(bytes, n)
		} else {
			bytes += n
		}
	}
	return bytes
}

// updateShadow applies an update request.
func (b *broker) updateShadow(k shadowKey, payload []byte) (answer shadowAnswer, rejected *ShadowError) {
	u, rejected := parseUpdate(payload, &b.limits)
	if rejected != nil {
		return answer, rejected
	}
	before := b.shadows.documents[k]
	if u.version != nil && before == nil {
		if rejected := b.versionOfMissing(k, *u.version); rejected != nil {
			return answer, rejected
		}
	} else if u.version != nil && *u.version != before.version {
		return answer, reject(409, "Version conflict")
	}
	now := b.now()
	after := &shadowDocument{state: object{}, metadata: object{}, version: b.firstVersion(k)}
	if before != nil {
		after.state, after.metadata = clone(before.state).(object), clone(before.metadata).(object)
		after.version = before.version + 1
	}
	touched := object{}
	m := merger{now.Unix(), &b.o.Readings}
	for name, patch := range u.sections {
		if stamped := m.stamps(patch); stamped != nil {
			touched[name] = stamped
		}
		if patch == nil {
			delete(after.state, name)
			delete(after.metadata, name)
			continue
		}
		state, metadata := section(after.state, name), section(after.metadata, name)
		if state == nil {
			state, metadata = object{}, object{}
		}
		m.merge(state, metadata, patch.(object))
		after.state[name], after.metadata[name] = state, metadata
		if len(state) == 0 { // an empty section is none
			delete(after.state, name)
			delete(after.metadata, name)
		}
	}
	if over(after.size(&b.o.Readings), b.limits.ShadowDocument) {
		return answer, reject(413, "The payload exceeds the maximum size allowed")
	}
	b.shadows.documents[k] = after
	delete(b.shadows.deleted, k)
	b.touch()
	b.keeps()

	var metadata any = touched
	if u.state == nil {
		metadata = object{"timestamp": now.Unix()} // aws-iot.md 1.4
	}
	answer.accepted = object{"state": u.state, "metadata": metadata, "version": after.version, "timestamp": now.Unix()}
	answer.documents = object{"current": after.view(), "timestamp": now.Unix()}
	if before != nil {
		answer.documents["previous"] = before.view()
	} else if b.o.Readings.PreviousOfFirst {
		answer.documents["previous"] = object{"state": object{}, "metadata": object{}, "version": 0}
	}
	if state, meta := after.delta(); len(state) > 0 {
		answer.delta = object{"state": clone(state), "metadata": clone(meta), "version": after.version, "timestamp": now.Unix()}
	}
	return answer, nil
}

// firstVersion is the version of a shadow that is made now (aws-iot.md 1.6).
func (b *broker) firstVersion(k shadowKey) int64 {
	grave, dug := b.shadows.deleted[k]
	if !dug || b.limits.ShadowTombstone >= 0 && b.now().Sub(grave.at) > b.limits.ShadowTombstone {
		return 1
	}
	if b.o.Readings.DeleteCounts {
		return grave.version + 2
	}
	return grave.version + 1
}

func (b *broker) getShadow(k shadowKey) (answer shadowAnswer, rejected *ShadowError) {
	d := b.shadows.documents[k]
	if d == nil {
		return answer, b.noShadow(k)
	}
	answer.accepted = d.view()
	answer.accepted["timestamp"] = b.now().Unix()
	if state, metadata := d.delta(); len(state) > 0 {
		answer.accepted["state"].(object)["delta"] = clone(state)
		if b.o.Readings.DeltaMetadata {
			answer.accepted["metadata"].(object)["delta"] = clone(metadata)
		}
	}
	return answer, nil
}

func (b *broker) deleteShadow(k shadowKey) (answer shadowAnswer, rejected *ShadowError) {
	d := b.shadows.documents[k]
	if d == nil {
		return answer, b.noShadow(k)
	}
	delete(b.shadows.documents, k)
	b.shadows.deleted[k] = tombstone{d.version, b.now()}
	b.touch()
	b.keeps()
	answer.accepted = object{"version": d.version, "timestamp": b.now().Unix()}
	return answer, nil
}

func (b *broker) noShadow(k shadowKey) *ShadowError {
	name := k.thing
	switch {
	case k.name != "" && b.o.Readings.NamedAs404:
		name = fmt.Sprintf("%s~%s", k.thing, k.name)
	case k.name != "":
		name = k.name
	}
	return reject(404, "No shadow exists with name: '%s'", name)
}

// listShadows returns the names of a thing's named shadows, sorted.
func (b *broker) listShadows(thing string) []string {
	names := []string{}
	for k := range maps.Keys(b.shadows.documents) {
		if k.thing == thing && k.name != "" {
			names = append(names, k.name)
		}
	}
	slices.Sort(names)
	return names
}
