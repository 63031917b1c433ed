package configs

import "strings"

// nearest returns the known word that was probably meant by word, or "" when
// none is near: at most one edit in three letters, counting a swap of two
// neighbours as one edit, at most two in five, and so on, and none for upper and lower
// case.
func nearest(word string, known []string) string {
	if len(word) > 128 { // no word that we know is so long
		return ""
	}
	best, bestAt := "", max(2, (len(word)+1)/3+1)
	folded := strings.ToLower(word)
	for _, k := range known {
		if at := distance(folded, strings.ToLower(k), bestAt); at < bestAt {
			best, bestAt = k, at
		}
	}
	return best
}

// distance is the optimal string alignment distance of a and b in bytes, or
// limit when it is not below limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			swap := 1
			if a[i-1] == b[j-1] {
				swap = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+swap)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}
