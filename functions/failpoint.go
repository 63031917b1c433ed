package functions

// failpoint is a moment between two states of a durable call. Tests end the process
// there, to see what the next start makes of it.
type failpoint string

// The failpoints, in the order of a life.
const (
	pointStaged    failpoint = "staged"    // Put has taken the call, the disk has nothing
	pointTaken     failpoint = "taken"     // a function of the database has it
	pointInserted  failpoint = "inserted"  // it is written, not committed
	pointRemoved   failpoint = "removed"   // calls that ended are deleted, not committed
	pointCommitted failpoint = "committed" // all of that is on the disk, and nobody is told
	pointTold      failpoint = "told"      // all are
	pointAnswered  failpoint = "answered"  // the function has answered, and its call is on the disk
)

func (s *store) at(p failpoint) {
	if s.reached != nil {
		s.reached(p)
	}
}
