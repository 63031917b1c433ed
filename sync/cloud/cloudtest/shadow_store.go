package cloudtest

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Readings choose where AWS's documentation leaves two readings, or none
// (aws-iot.md, section 5). The zero value is the first-named of each.
type Readings struct {
	// DeleteCounts: a shadow that is made again within 48 h has the deleted
	// version + 2, not + 1.
	DeleteCounts bool
	// VersionOfMissing: an update with a version, of a shadow that does not
	// exist, is accepted, not answered 409.
	VersionOfMissing bool
	// PreviousOfFirst: the first documents message has an empty previous, not
	// none.
	PreviousOfFirst bool
	// DeltaMetadata: get answers metadata for state.delta too.
	DeltaMetadata bool
	// ErrorTimestamp: rejections carry a timestamp.
	ErrorTimestamp bool
	// NamedAs404: the message of a 404 for a named shadow says thing~shadow,
	// not the shadow's name.
	NamedAs404 bool
}

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

// updateShadow applies an update request.
func (b *broker) updateShadow(k shadowKey, payload []byte) (answer shadowAnswer, rejected *ShadowError) {
	u, rejected := parseUpdate(payload, &b.limits)
	if rejected != nil {
		return answer, rejected
	}
	before := b.shadows.documents[k]
	switch {
	case before != nil && u.version != nil && *u.version != before.version,
		before == nil && u.version != nil && !b.o.Readings.VersionOfMissing:
		return answer, reject(409, "Version conflict")
	}
	now := b.now()
	after := &shadowDocument{state: object{}, metadata: object{}, version: b.firstVersion(k)}
	if before != nil {
		after.state, after.metadata = clone(before.state).(object), clone(before.metadata).(object)
		after.version = before.version + 1
	}
	touched := object{}
	for name, patch := range u.sections {
		touched[name] = stamps(patch, now.Unix())
		if patch == nil {
			delete(after.state, name)
			delete(after.metadata, name)
			continue
		}
		state, metadata := section(after.state, name), section(after.metadata, name)
		if state == nil {
			state, metadata = object{}, object{}
		}
		merge(state, metadata, patch.(object), now.Unix())
		after.state[name], after.metadata[name] = state, metadata
		if len(state) == 0 { // an empty section is none
			delete(after.state, name)
			delete(after.metadata, name)
		}
	}
	size := 0
	for name := range after.state {
		size += len(encodeJSON(after.state[name]))
	}
	if over(size, b.limits.ShadowDocument) {
		return answer, reject(413, "The payload exceeds the maximum size allowed")
	}
	b.shadows.documents[k] = after
	delete(b.shadows.deleted, k)
	b.touch()

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
