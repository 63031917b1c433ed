package cloudtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// kept is what AWS keeps for years: shadows, the versions of deleted ones, and retained
// messages. Sessions and faults are of one Cloud.
type kept struct {
	Shadows  []keptShadow   `json:"shadows"`
	Deleted  []keptDeletion `json:"deleted"`
	Retained []keptMessage  `json:"retained"`
}

type keptShadow struct {
	Thing    string `json:"thing"`
	Name     string `json:"name,omitempty"`
	Version  int64  `json:"version"`
	State    object `json:"state"`
	Metadata object `json:"metadata"`
}

type keptDeletion struct {
	Thing   string    `json:"thing"`
	Name    string    `json:"name,omitempty"`
	Version int64     `json:"version"`
	At      time.Time `json:"at"`
}

type keptMessage struct {
	Topic      string      `json:"topic"`
	Payload    []byte      `json:"payload"`
	QoS        byte        `json:"qos"`
	Properties *Properties `json:"properties,omitempty"`
	Expires    time.Time   `json:"expires,omitzero"`
}

// Save returns what another Cloud needs to go on, for its Load: the shadows and the
// retained messages, as JSON.
func (c *Cloud) Save() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var k kept
	for at, d := range c.shadows.documents {
		k.Shadows = append(k.Shadows, keptShadow{at.thing, at.name, d.version, d.state, d.metadata})
	}
	for at, grave := range c.shadows.deleted {
		k.Deleted = append(k.Deleted, keptDeletion{at.thing, at.name, grave.version, grave.at})
	}
	for topic, m := range c.retained {
		k.Retained = append(k.Retained, keptMessage{topic, m.payload, m.qos, m.props, m.expires})
	}
	return json.Marshal(k) // under the lock: the documents live
}

// Load has the cloud begin with what another one has saved. It is called before Run.
func (c *Cloud) Load(saved []byte) error {
	var k kept
	d := json.NewDecoder(bytes.NewReader(saved))
	d.UseNumber()
	if err := d.Decode(&k); err != nil {
		return fmt.Errorf("read what the cloud has kept: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range k.Shadows {
		if s.State == nil || s.Metadata == nil {
			return fmt.Errorf("read what the cloud has kept: the shadow %q of %s has no state or no metadata", s.Name, s.Thing)
		}
		c.shadows.documents[shadowKey{s.Thing, s.Name}] = &shadowDocument{s.State, s.Metadata, s.Version}
	}
	for _, s := range k.Deleted {
		c.shadows.deleted[shadowKey{s.Thing, s.Name}] = tombstone{s.Version, s.At}
	}
	for _, m := range k.Retained {
		c.retained[m.Topic] = &message{topic: m.Topic, payload: m.Payload, qos: m.QoS, retain: true, props: m.Properties, expires: m.Expires}
	}
	return nil
}

// keeps tells that what Save returns has changed.
func (b *broker) keeps() {
	if b.o.OnKept != nil {
		b.o.OnKept()
	}
}
