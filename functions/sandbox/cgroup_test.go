package sandbox

import "testing"

// A group that is there already, of a gateway that was killed and had the number of this
// process, or of another one in it, keeps no function from starting.
func TestGroupThatIsThere(t *testing.T) {
	dir := t.TempDir() // stands for the control groups
	made := map[string]bool{}
	for range 3 {
		h := hierarchy{base: dir}
		g, err := h.make(&Spec{Name: "car"})
		if err != nil {
			t.Fatal(err)
		}
		if made[g.path] {
			t.Errorf("%s is given twice", g.path)
		}
		made[g.path] = true
	}
}
