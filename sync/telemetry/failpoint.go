package telemetry

// failpoint is a moment between two states of a message on its way through the spool.
// Tests end the process there, to see what the next start makes of it.
type failpoint string

// The failpoints, in the order of a life.
const (
	pointBegun        failpoint = "begun"        // what a start writes is written, not committed
	pointRouted       failpoint = "routed"       // a row has other settings (a reload), or is new
	pointStaged       failpoint = "staged"       // Put has taken the message, the disk has nothing
	pointEarly        failpoint = "early"        // it is about to be sent, and not on the disk
	pointSpared       failpoint = "spared"       // the cloud has it, it never was on the disk, and stored is not told
	pointTaken        failpoint = "taken"        // a function of the database has the message
	pointSaved        failpoint = "saved"        // its route is written, not committed
	pointPlaced       failpoint = "placed"       // so is its stream
	pointEvicted      failpoint = "evicted"      // rows that give it room are deleted, not committed
	pointInserted     failpoint = "inserted"     // it is written
	pointRequeued     failpoint = "requeued"     // what is put back is written, and not in quarantine any more
	pointCounted      failpoint = "counted"      // and counted; the commit comes next
	pointCommitted    failpoint = "committed"    // it is on the disk, and stored is not told
	pointTold         failpoint = "told"         // stored is told, and the memory is not set right
	pointSend         failpoint = "send"         // it is about to be sent
	pointSent         failpoint = "sent"         // the link has it
	pointAcknowledged failpoint = "acknowledged" // the cloud has it, the row is there
	pointLapsed       failpoint = "lapsed"       // its time has run out, the row is there
	pointRemoving     failpoint = "removing"     // a function is about to delete it
	pointIsolated     failpoint = "isolated"     // it is in quarantine and in its lane, not committed
	pointRemoved      failpoint = "removed"      // it is deleted, not committed
	pointLeft         failpoint = "left"         // it has left the disk, and nobody is told
	pointSettled      failpoint = "settled"      // Settled is told
)

// at tells a test that a failpoint is reached.
func (s *Spool) at(p failpoint) {
	if s.reached != nil {
		s.reached(p)
	}
}
