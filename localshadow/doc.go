// Package localshadow owns the device shadows of this gateway: the rules of AWS
// IoT's Device Shadow service as pure functions over one document (Update, Get,
// Delete), the store of all documents in SQLite with the journal of their changes,
// and the Service that answers on the topics $aws/things/THING/shadow/..., to the
// command line, and to sync/shadows, whose table sync lives in the same database.
//
// It imports core/message and core/sqlite. Besides cmd, only sync/shadows may
// import it. It knows no broker and no router: messages come in by Deliver and
// leave by Options.Publish.
//
// Concurrency: the pure functions keep nothing and may be called from anywhere.
// A Service is safe for concurrent use. Requests are served one after another
// inside the group transactions of the database, in the order in which they
// came, and what is remembered of them between (hot.go, hand) belongs to the
// writer's goroutine. An update may be merged before its turn, by who brings it (ahead.go):
// that counts if the document is still the same then. What they answer leaves, in the same
// order and after the commit, from the one goroutine of Service.Run.
//
// Sources of the rules are cited as "AWS: page" (AWS IoT Core Developer Guide),
// "capture" (an answer recorded from the live service) or "Greengrass" (AWS's
// own shadow manager). Where they are silent or disagree, rules.go says what is
// done here.
package localshadow
