package main

import (
	"math"
	"math/bits"
	"time"
)

// steps is into how many parts a histogram divides each octave: a figure read
// from it is wrong by 1 in 2*steps at most.
const steps = 64

// histogram counts durations. Its buckets are one nanosecond wide below steps,
// and then grow by octaves. The zero value is empty.
type histogram struct {
	count  uint64
	bucket [48 * steps]uint64
}

func (h *histogram) add(d time.Duration) {
	h.count++
	h.bucket[bucketOf(d)]++
}

func (h *histogram) merge(other *histogram) {
	h.count += other.count
	for i, n := range other.bucket {
		h.bucket[i] += n
	}
}

// quantile is the duration that the share q (0..1) of all do not exceed; 0 when
// there are none.
func (h *histogram) quantile(q float64) time.Duration {
	want := max(uint64(math.Ceil(q*float64(h.count))), 1)
	var seen uint64
	for i, n := range h.bucket {
		if seen += n; seen >= want {
			return middleOf(i)
		}
	}
	return 0
}

func bucketOf(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < steps {
		return int(v)
	}
	octave := bits.Len64(v) - bits.Len64(steps) // how far v is above the first that is divided
	return min((octave+1)*steps+int(v>>octave)-steps, len(histogram{}.bucket)-1)
}

func middleOf(bucket int) time.Duration {
	if bucket < steps {
		return time.Duration(bucket)
	}
	octave := bucket/steps - 1
	low := uint64(bucket%steps+steps) << octave
	return time.Duration(low + uint64(1)<<octave/2)
}
