package testvm_test

import (
	"fmt"

	"greengate/testvm/streams"
)

// arrivals are the numbers of a stream as they come in.
type arrivals []int

// sort tells, of a stream whose numbers up to taken were taken before, how often
// each number came in, and how many of the new ones came first after a higher
// one.
func (a arrivals) sort(taken int) (times map[int]int, overtaken int) {
	times = map[int]int{}
	highest := taken
	for _, n := range a {
		if times[n]++; times[n] == 1 && n > taken && n < highest {
			overtaken++
		}
		highest = max(highest, n)
	}
	return times, overtaken
}

// verdict is what a checker says of a disk.
type verdict struct {
	findings     []string            // what is wrong
	acknowledged int                 // messages, before the cut
	lost         [streams.Stores]int // of these
	again        int                 // arrivals of messages that had been taken, or had come in, before
	most         int                 // of these in one stream
}

func (v *verdict) find(format string, args ...any) {
	v.findings = append(v.findings, fmt.Sprintf(format, args...))
}

// mostAgain bounds the duplicates of a stream: what the writer sent again after
// restarts; what was in flight to the receiver when the power went; and what that had
// acknowledged while its deletion was on the way to the disk. 100 is the window of the
// cloud (AWS).
const mostAgain = streams.Restarts*streams.Window + 2*100

// judge compares what has arrived of a stream with what was noted before the cut:
// all that was acknowledged arrives, or has been taken before; in order; and what
// was taken comes again only if the cut came before the gateway had it written
// down.
func (v *verdict) judge(stream int, n noted, got arrivals) {
	topic := streams.All[stream].Topic
	acknowledged, taken := n[fact{stream, streams.Acknowledged}], n[fact{stream, streams.Taken}]
	times, overtaken := got.sort(taken)
	lost, first := 0, 0
	for i := taken + 1; i <= acknowledged; i++ {
		if times[i] == 0 {
			if lost++; first == 0 {
				first = i
			}
		}
	}
	if lost > 0 {
		v.find("%s: of %d acknowledged messages, %d of them taken, %d are lost, the first is %d", topic, acknowledged, taken, lost, first)
	}
	if overtaken > 0 {
		v.find("%s: %d messages came after a later one", topic, overtaken)
	}
	again := 0
	for n, times := range times {
		if again += times - 1; n <= taken {
			again++
		}
	}
	if again > mostAgain {
		v.find("%s: %d messages came again, more than the %d that can have been under way", topic, again, mostAgain)
	}
	v.acknowledged += acknowledged
	v.lost[streams.All[stream].Store] += lost
	v.again += again
	v.most = max(v.most, again)
}

// add sums up verdicts.
func (v *verdict) add(w verdict) {
	v.acknowledged += w.acknowledged
	for s, n := range w.lost {
		v.lost[s] += n
	}
	v.again += w.again
	v.most = max(v.most, w.most)
}
