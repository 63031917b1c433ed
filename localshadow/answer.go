package localshadow

import (
	"slices"
	"strconv"
)

// The answers of the service (AWS: device-shadow-document, "Response state
// documents"), with their fields in the order in which the live service was
// seen to write them.

const (
	keyDesired  = `"desired"`
	keyReported = `"reported"`
)

// span is a part of work.out.
type span struct{ from, to int }

func (s span) len() int { return s.to - s.from }

// of returns that part of b, and nil when it is empty.
func (s span) of(b []byte) []byte {
	if s.len() == 0 {
		return nil
	}
	return b[s.from:s.to:s.to]
}

func (w *work) write(s string)   { w.out = append(w.out, s...) }
func (w *work) writeInt(n int64) { w.out = strconv.AppendInt(w.out, n, 10) }

// writeEnd writes what every answer ends with.
func (w *work) writeEnd(token string, now int64) {
	w.write(`,"timestamp":`)
	w.writeInt(now)
	w.out = append(appendToken(w.out, token), '}')
}

// writeAccepted writes the answer to the one who asked: what was sent, nulls
// included, and the times of that.
func (w *work) writeAccepted(r *request, version, now int64) span {
	from := len(w.out)
	w.write(`{"state":`)
	w.out = w.append(w.out, r.state)
	w.write(`,"metadata":`)
	w.out = w.appendTimes(w.out, r.state)
	w.write(`,"version":`)
	w.writeInt(version)
	w.writeEnd(r.token, now)
	return span{from, len(w.out)}
}

// documents writes the documents message. There is no previous document before the
// first update.
func (w *work) documents(a *Answer) []byte {
	w.reset()
	w.write(`{`)
	if a.previous.Exists() && w.writeDocument(`"previous":`, &a.previous) {
		w.write(`,`)
	}
	w.writeDocument(`"current":`, &a.current)
	w.writeEnd(a.token, a.current.Updated)
	return slices.Clone(w.out)
}

// writeDocument writes a stored document with its metadata and version, and tells
// whether it could be read: those of an Answer can.
func (w *work) writeDocument(name string, d *Document) bool {
	w.tree.reset()
	w.desired, w.reported = 0, 0
	if w.load(d) != nil {
		return false
	}
	w.write(name + `{"state":`)
	w.writeState(d)
	w.write(`}`)
	w.writeMetadata()
	w.write(`,"version":`)
	w.writeInt(d.Version)
	w.write(`}`)
	return true
}

// writeDelta writes the delta message, if there is a delta: all that differs,
// whatever this request has changed, with the times of desired.
func (w *work) writeDelta(version int64, token string, now int64) span {
	from := len(w.out)
	if w.desired != 0 && w.compare(w.desired, w.reported) {
		w.write(`{"state":`)
		w.out = w.appendDelta(w.out, w.desired, false)
		w.write(`,"metadata":`)
		w.out = w.appendDelta(w.out, w.desired, true)
		w.write(`,"version":`)
		w.writeInt(version)
		w.writeEnd(token, now)
	}
	return span{from, len(w.out)}
}

// writeGet writes the whole document, with the delta if there is one.
func (w *work) writeGet(d *Document, token string, now int64) {
	w.write(`{"state":`)
	w.writeState(d)
	if w.desired != 0 && w.compare(w.desired, w.reported) {
		w.write(`,"delta":`)
		w.out = w.appendDelta(w.out, w.desired, false)
	}
	w.write(`}`)
	w.writeMetadata()
	w.write(`,"version":`)
	w.writeInt(d.Version)
	w.writeEnd(token, now)
}

// writeState writes the sections of a stored document, but not the end of the
// state.
func (w *work) writeState(d *Document) {
	w.write(`{`)
	if d.Desired != "" {
		w.write(keyDesired + `:`)
		w.write(d.Desired)
	}
	if d.Reported != "" {
		w.comma()
		w.write(keyReported + `:`)
		w.write(d.Reported)
	}
}

// writeMetadata writes the times of the sections.
func (w *work) writeMetadata() {
	w.write(`,"metadata":{`)
	if w.desired != 0 {
		w.write(keyDesired + `:`)
		w.out = w.appendTimes(w.out, w.desired)
	}
	if w.reported != 0 {
		w.comma()
		w.write(keyReported + `:`)
		w.out = w.appendTimes(w.out, w.reported)
	}
	w.write(`}`)
}

// comma writes one unless the object has just begun.
func (w *work) comma() {
	if w.out[len(w.out)-1] != '{' {
		w.write(`,`)
	}
}

// leafTimes returns the times of the merged document as they are stored.
func (w *work) leafTimes() string {
	r := runs{b: w.times[:0]}
	for _, section := range [...]int32{w.desired, w.reported} {
		if section != 0 {
			w.leaves(&r, section)
		}
	}
	r.flush()
	w.times = r.b
	return string(r.b)
}
