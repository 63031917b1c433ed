package broker

// failpoint is a moment between two states of what a session keeps. Tests end the
// process there, to see what the next start makes of it.
type failpoint string

// The failpoints, in the order of a life.
const (
	pointRestored     failpoint = "restored"     // a start has put one message back, or off
	pointRemembered   failpoint = "remembered"   // a session or a subscription is in memory, not on disk
	pointAccepted     failpoint = "accepted"     // so is a message for a session
	pointReceived     failpoint = "received"     // so is the id of a QoS 2 message of a client
	pointRetained     failpoint = "retained"     // so is a retained one
	pointWritten      failpoint = "written"      // a list of changes is written, not committed
	pointCommitted    failpoint = "committed"    // it is on disk, and nobody is told
	pointTold         failpoint = "told"         // the acknowledgements of its publishers may go out
	pointSent         failpoint = "sent"         // a message is in the window and the out buffer
	pointOut          failpoint = "out"          // the network has what was in an out buffer
	pointRecorded     failpoint = "recorded"     // a client's PUBREC has come
	pointReleased     failpoint = "released"     // a client's PUBREL has come, the row of the id is there
	pointAcknowledged failpoint = "acknowledged" // a client's PUBACK or PUBCOMP has come, the row is there
	pointForgotten    failpoint = "forgotten"    // the row of a message goes with the next list
	pointJudged       failpoint = "judged"       // a reload has judged one message that waits
	pointEnded        failpoint = "ended"        // a session is over, its rows are there
)

// reached is what a test wants to know of failpoints; nil: nothing.
var reached func(failpoint)

// at tells a test that a failpoint is reached.
func at(p failpoint) {
	if reached != nil {
		reached(p)
	}
}
