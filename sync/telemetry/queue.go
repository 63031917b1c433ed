package telemetry

// queue is the read-ahead of one lane. The goroutine of Run owns it.
//
// Rows are read in order from the head of the lane. While that is behind, live reads
// from where the lane ended when it was last looked at: those of its rows that may go
// before the backlog.
type queue struct {
	lane   laneID
	items  []*item
	cursor int64 // all rows up to it were read
	live   live
}

// live is the read-ahead of new messages.
type live struct {
	items  []*item
	cursor int64
	credit float64
	sent   map[streamKey]int64 // the last message of a stream that took this way
}

const maxLiveStreams = 16384

func newQueue(lane laneID) *queue {
	return &queue{lane: lane, live: live{sent: map[streamKey]int64{}}}
}

// reset begins at the head; what comes from now on is live.
func (q *queue) reset(committed int64) {
	q.items, q.cursor = nil, 0
	q.live.items, q.live.cursor = nil, committed
	clear(q.live.sent)
}

// maxAheadBytes bounds the rows of a read-ahead: what comes on top is at most what one
// View reads.
const maxAheadBytes = 16 << 20

// filled reports whether a read-ahead has so many messages, or bytes.
func filled(items []*item, messages int) bool {
	bytes := int64(0)
	for _, it := range items {
		bytes += it.bytes
	}
	return len(items) >= messages || bytes >= maxAheadBytes
}

// add takes a row that was read at the cursor.
func (q *queue) add(it *item, held bool) bool {
	q.cursor = it.seq
	if !held {
		q.items = append(q.items, it)
	}
	return !held
}

// wantsLive reports whether to read new messages. It moves to the end of the lane when
// the newest are too far away: what is skipped is backlog.
func (q *queue) wantsLive(committed int64, ahead int) bool {
	l := &q.live
	switch {
	case q.cursor >= l.cursor: // no backlog, or one that has just begun
		l.cursor = q.cursor
		clear(l.sent)
		if committed-q.cursor > int64(2*ahead) {
			l.cursor = committed
		}
		return false
	case committed-l.cursor > int64(4*ahead):
		l.cursor = committed
	case len(l.sent) > maxLiveStreams:
		clear(l.sent)
	}
	return l.cursor < committed && !filled(l.items, ahead/8+1)
}

// addLive takes a row that was read at the cursor of the new ones.
func (q *queue) addLive(it *item, held bool) bool {
	l := &q.live
	l.cursor = it.seq
	r := it.route.settings.Load()
	if held || r.LiveShare == 0 {
		return false
	}
	if !r.Overtake {
		last, went := l.sent[it.stream()]
		if it.prev > q.passed() && (!went || last != it.prev) {
			return false // it has a backlog of its own
		}
	}
	l.sent[it.stream()] = it.seq
	l.items = append(l.items, it)
	return true
}

// passed is the seq up to which all rows have been sent or have left.
func (q *queue) passed() int64 {
	if len(q.items) > 0 {
		return q.items[0].seq - 1
	}
	return q.cursor
}

// source returns the read-ahead whose turn it is: backlog or live.
func (q *queue) source() *[]*item {
	l := &q.live
	switch {
	case len(l.items) == 0:
		return &q.items
	// The backlog has come up to what is live: from here on it is one sequence.
	case len(q.items) == 0 || l.items[0].seq < q.items[0].seq:
		return &l.items
	}
	if l.credit += l.items[0].route.settings.Load().LiveShare; l.credit >= 1 {
		l.credit--
		return &l.items
	}
	return &q.items
}
