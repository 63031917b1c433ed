// Package shadows owns the reconciler: it keeps the shadows of this gateway and
// those of AWS IoT Core equal, whatever the link between them does. It imports
// localshadow, core/message and core/sqlite; only cmd imports it, and hands it
// the link.
//
// # What is kept
//
// localshadow has the local document. The table sync, in the same database, has
// for each shadow the document that the cloud was last known to have. What is
// learnt of the cloud is merged into the local document in the transaction that
// stores it, so that this document is also the last state that both sides had:
// the base of the next merge. "Dirty" is the difference of the two documents and
// nothing else; queues only say where to look first. Beside it stand the
// documents that are on their way to the cloud with an outcome that is not known
// yet (row.sent), without which our own earlier write would look like somebody
// else's when its answer was lost. All of it is about one cloud, and is forgotten when
// the link leads to another (adopt.go).
//
// # The rules
//
// Leaves are values that are no object; arrays are leaves, and so is {}. A leaf
// that one side has changed since the base takes the value of that side; adding
// and removing are changes. Where both have changed it, differently, the section
// decides: `desired` is the cloud's, `reported` is the device's. A value that is
// an object on one side and none on the other is one leaf. What loses is told to
// the journal. Numbers are equal by value, the order of members does not count.
// When an object was removed on one side and is changed in part on the other, its
// parts decide, each for itself; {} has none, and is one leaf.
//
// A whole document that was deleted on one side and has not changed on the other
// is deleted there too. One that has changed there survives as it is, and is made
// again where it was deleted: nobody has seen what would be lost. A local
// deletion counts when it was seen as one (a row that a damaged disk lost is no
// deletion). No clock decides anything; that the cloud has set a leaf anew, to what it
// was, is seen by its time (bases.restored).
//
// With direction up the cloud is made equal to the gateway, with down the gateway
// to the cloud, deletions included; but what is reported here stays until the cloud
// changes the leaf, since a device that obeys reports, and would again. A document
// that only the side has which does not lead stays where it is, unless the other had
// it and deleted it meanwhile.
//
// # The exchange
//
// On a new connection each shadow is asked for (get). One transaction merges the
// answer, stores it, and stores what is to be sent; the update carries the
// version of the cloud's document, so that nothing is overwritten unseen; its
// answer is stored by a second transaction. A 409, a gap between notifications or
// an unknown outcome leads back to asking. A notification of the very next
// version is merged without asking. One exchange is under way for each shadow. What
// is never told, or cannot be read, is found by asking (audit.go). What is refused or
// put back again and again is so ever more slowly (patience.go).
//
// A document that the cloud lacks is made empty first, without a version, which
// can harm nobody, and then written to with its version: see plan. A deletion
// takes no version in AWS: the cloud is asked right before, and what was written
// in between all the same is told by notifications and comes back (turn.erased).
//
// # Concurrency
//
// A Reconciler is safe for concurrent use. Run owns three goroutines: one that
// starts transactions and keeps the time, one that sends, one that lists names.
// Everything else happens in callbacks of the link and of localshadow, which are
// quick. A shadow in step costs no memory, no timer and no goroutine.
package shadows
