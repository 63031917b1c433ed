package localshadow_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// members writes an object with the members n, n-1 .. 1 whose number the step
// divides, but not the other one.
func members(n int, value string, step int, without ...int) string {
	var all []string
	for i := n; i > 0; i-- {
		if i%step == 0 && (len(without) == 0 || i%without[0] != 0) {
			all = append(all, fmt.Sprintf(`"k%d":%s`, i, value))
		}
	}
	return `{` + strings.Join(all, ",") + `}`
}

func countMembers(t *testing.T, s string) int {
	var m map[string]any
	if s == "" {
		return 0
	}
	if err := json.Unmarshal([]byte(s), &m); err != nil {
		t.Fatal(err)
	}
	return len(m)
}
