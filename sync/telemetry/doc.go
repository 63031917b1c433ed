// Package telemetry is the way up to the cloud: a spool on disk that keeps each
// message until the cloud has acknowledged it, and the uploader that sends them.
// What the cloud acknowledges at once does not come onto the disk: see early.go.
// It knows the connection only as a [Link]. It imports core/message and
// core/sqlite; only cmd imports it.
//
// # What it holds to
//
// A message is safe when stored is called: its group is fsynced, or the cloud has
// acknowledged it. It leaves the disk when the cloud has acknowledged that message,
// when its time has run out, when a bound says so, when no row leads it there any more, or
// when the cloud can never take it: each of these is told once, by Options.Settled, after
// the row has left. From the quarantine somebody may put it back (Requeue): that is a new
// message, told by Options.Requeued.
//
// Messages of one source and topic go up in the order in which they came in, each
// at least once. When the outcome of one is not known (the connection ended) or it
// was refused for now, it is sent again, and with it, in order, what was sent of the
// same source and topic after it and is still here. So a message can come twice, but
// at most Bounds.Unsettled of them for one cut or crash; the properties below tell
// a consumer which.
//
// A row of the subscription table with a live share may opt out of that order: see
// Route.Overtake.
//
// What waits may be encrypted on the disk, with a key that is elsewhere: see seal.go. What
// cannot be read for want of its key waits for it, and nothing for that.
//
// # What travels with a message
//
// As MQTT 5 user properties:
//
//	gg-time   when it was accepted, UTC, RFC 3339 with milliseconds
//	gg-clock  what gg-time is worth: "synced" (the clock was right), "corrected" (it
//	          was not, and the time was computed when it was), "unsynced" (a guess)
//	gg-boot   the boot of the machine in which it was accepted
//	gg-mono   nanoseconds from that boot to then
//	gg-seq    rises with each message of this spool; a message that comes twice has
//	          the same (gg-boot, gg-seq)
//	gg-source the endpoint that published it
//
// A batch carries those of its first message, and gg-count, the number of messages,
// gg-time-last and gg-seq-last.
//
// # Concurrency
//
// All methods of a Spool may be called from any goroutine. The goroutine of Run
// reads and sends; what writes runs in the groups of the database. Spool.mu guards
// what they share. The database must run longer than the Spool.
package telemetry
