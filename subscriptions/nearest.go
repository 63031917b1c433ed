package subscriptions

import (
	"strings"

	"greengate/core/message"
)

// nearest returns the candidate that s was probably meant to be: the one with
// the fewest letters added, left out, changed or swapped with their neighbour,
// at most a third of them. Empty when there is none.
func nearest(s string, candidates []string) string {
	best, limit := "", (len(s)+2)/3+1
	for _, c := range candidates {
		if strings.EqualFold(c, s) {
			return c
		}
		if len(c)-len(s) >= limit || len(s)-len(c) >= limit || len(c) > maxDistance || len(s) > maxDistance {
			continue
		}
		if d := distance(s, c); d < limit {
			best, limit = c, d
		}
	}
	return best
}

// maxDistance is the longest text that distance takes: the longest name.
const maxDistance = message.MaxThing

// distance is the optimal string alignment distance of two texts.
func distance(a, b string) int {
	var room [3][maxDistance + 1]uint8
	before, last, now := &room[0], &room[1], &room[2]
	for j := range len(b) + 1 {
		last[j] = uint8(j)
	}
	for i := 1; i <= len(a); i++ {
		now[0] = uint8(i)
		for j := 1; j <= len(b); j++ {
			change := uint8(1)
			if a[i-1] == b[j-1] {
				change = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
		before, last, now = last, now, before
	}
	return int(last[len(b)])
}
