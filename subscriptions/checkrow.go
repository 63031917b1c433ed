package subscriptions

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"greengate/core/message"
)

// checkTopic checks the topic filter of a row and its placeholders.
func (c *checker) checkTopic(from, to []endSpec) {
	topic := c.row.Topic
	if topic == "" {
		c.fault("topic", "", "a row has topic and to, or shadow: THING", "topic is missing")
		return
	}
	if err := message.CheckFilter(topic); err != nil {
		c.fault("topic", topic, "+ stands for one whole level, # for all the rest", "%v", err)
		return
	}
	if err := checkHoles(topic); err != nil {
		c.fault("topic", topic, "write ${from} or ${to}", "%v", err)
		return
	}
	c.checkHole(fromHole, "from", from)
	c.checkHole(toHole, "to", to)
}

// checkHole sees to it that the placeholder has a meaning for all ends of its
// side.
func (c *checker) checkHole(hole, side string, specs []endSpec) {
	if !strings.Contains(c.row.Topic, hole) {
		return
	}
	for _, s := range specs {
		if !s.deviceLike() {
			c.fault("topic", c.row.Topic, "write a row of its own for "+s.String(),
				"%s is the thing name of a device, and %s names %s", hole, side, s)
			return
		}
	}
}

// checkShadowRow checks a row for the shadows of a thing.
func (c *checker) checkShadowRow(from []endSpec) {
	r := c.row
	const either = "a row has topic and to, or shadow: THING"
	if r.Topic != "" {
		c.fault("topic", r.Topic, either, "topic stands beside shadow")
	}
	if r.To != nil {
		c.fault("to", strings.Join(r.To, ", "), either, "to stands beside shadow")
	}
	for _, s := range from {
		if s.kind == message.Shadow {
			c.fault("from", "shadow", "from is who uses the shadow: it gets the answers too", "the shadow service does not use shadows")
		}
	}
	if r.May == nil && slices.ContainsFunc(from, func(s endSpec) bool { return s.kind == message.Function }) {
		c.warn("shadow", r.Shadow, "write may: [get, update], or may: [get, update, delete, watch] if that is meant",
			"the function is called with each change of this shadow, with its own changes too")
	}
	if err := message.CheckThing(r.Shadow); err != nil {
		c.fault("shadow", r.Shadow, "write the name of a thing", "%v", err)
	} else if has, ok := c.shadows[r.Shadow]; ok && !has {
		c.warn("shadow", r.Shadow, "the device has shadow: none", "%q has no shadow", r.Shadow)
	}
	if r.May != nil && len(r.May) == 0 {
		c.fault("may", "", "write "+orList(opWords)+", or leave it out for all of them", "may is an empty list")
	}
	for i, word := range r.May {
		key := "may"
		if len(r.May) > 1 {
			key = fmt.Sprintf("may[%d]", i)
		}
		switch {
		case opOf(word) == 0:
			c.fault(key, word, cmp.Or(c.like(word, "", opWords), "write "+orList(opWords)), "%q is nothing that may be done with a shadow", word)
		case slices.Contains(r.May[:i], word):
			c.warn(key, word, "", "%q stands there twice", word)
		}
	}
}

// priorities are the words of `priority`.
var priorities = []string{"high", "normal", "low"}

// checkTerms checks the keys that say how messages wait for the cloud or for a
// function.
func (c *checker) checkTerms() {
	r := c.row
	toFunction := slices.ContainsFunc(r.To, func(end string) bool { return strings.HasPrefix(end, "function:") })
	if r.Durable && !toFunction {
		c.fault("durable", "true", "it is for messages that wait for a function; what waits for the cloud, or for a device that is away, is on disk anyway",
			"durable stands in a row that does not lead to a function")
	}
	toCloud := slices.Contains(r.To, "cloud")
	const why = "it is for messages that wait for the cloud"
	switch {
	case r.Priority == "":
	case !slices.Contains(priorities, r.Priority):
		c.fault("priority", r.Priority, cmp.Or(c.like(r.Priority, "", priorities), "write "+orList(priorities)), "%q is no priority", r.Priority)
	case !toCloud:
		c.fault("priority", r.Priority, why, "priority stands in a row that does not lead to cloud")
	}
	switch {
	case r.TTL == 0:
	case r.TTL < 0:
		c.fault("ttl", r.TTL.String(), "write a time such as 72h", "ttl is not more than 0")
	case !toCloud:
		c.fault("ttl", r.TTL.String(), why, "ttl stands in a row that does not lead to cloud")
	}
	rest := r.spooling()
	rest.Priority, rest.TTL, rest.Durable = "", 0, false
	if rest != (Spooling{}) && !toCloud {
		c.fault(firstOf(&rest), "", why, "%s stands in a row that does not lead to cloud", firstOf(&rest))
		return
	}
	c.checkWhenFull()
	c.checkLive()
}

// firstOf names the first key of s that is set, other than priority and ttl.
func firstOf(s *Spooling) string {
	switch {
	case s.WhenFull != "":
		return "when_full"
	case s.Keep != 0:
		return "keep"
	case s.LiveShare != 0:
		return "live_share"
	case s.Overtake:
		return "overtake"
	}
	return "batch"
}

// whenFulls are the words of `when_full`.
var whenFulls = []string{"drop_oldest", "drop_newest", "thin"}

// maxBatch is the largest payload that AWS IoT Core takes, in bytes.
const maxBatch = 128 << 10

func (c *checker) checkWhenFull() {
	r := c.row
	switch {
	case r.WhenFull != "" && !slices.Contains(whenFulls, r.WhenFull):
		c.fault("when_full", r.WhenFull, cmp.Or(c.like(r.WhenFull, "", whenFulls), "write "+orList(whenFulls)), "%q says not what to do when the spool is full", r.WhenFull)
	case r.WhenFull == "thin" && r.Keep < 2:
		c.fault("keep", "", "write `keep: 10` to keep every tenth", "thin keeps every n-th message, and keep is not 2 or more")
	case r.WhenFull != "thin" && r.Keep != 0:
		c.fault("keep", "", "write `when_full: thin`, or leave it out", "keep is for thin only")
	}
}

func (c *checker) checkLive() {
	r := c.row
	switch {
	case r.LiveShare < 0 || r.LiveShare > 100:
		c.fault("live_share", "", "write 0 to 100", "live_share is a part in percent")
	case r.Overtake && r.LiveShare == 0:
		c.fault("overtake", "", "write `live_share: 20`, for example, too", "overtake is for rows with a live_share")
	}
	if b := r.Batch; b != nil && (b.MaxSize < 1 || b.MaxSize > maxBatch || b.MaxAge <= 0) {
		c.fault("batch", "", "write `batch: {max_size: 4KiB, max_age: 10s}`", "a batch needs a max_size of up to 128KiB and a max_age")
	}
}

// checkRepeated warns of a row that says what another one says.
func (c *checker) checkRepeated(rows []Row) {
	c.said = c.row.appendCanonical(c.said[:0])
	for hash := maphash.Bytes(c.seed, c.said); ; hash++ {
		first, ok := c.seen[hash]
		if !ok {
			c.seen[hash] = c.index
			return
		}
		if c.first = rows[first].appendCanonical(c.first[:0]); bytes.Equal(c.first, c.said) {
			c.warn("", "", "", "the row says what %s says", rowName(rows[first].Line, first))
			return
		}
	}
}

// rowName names a row for people.
func rowName(line, index int) string {
	if line > 0 {
		return fmt.Sprintf("line %d", line)
	}
	return fmt.Sprintf("row %d", index+1)
}

// orList writes words as "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
