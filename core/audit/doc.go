// Package audit owns the audit log: every change of what anybody may do, one JSON object a
// line, each with the SHA-256 of the line before it, so that nobody can take a line out or
// change one without breaking the chain behind it. An entry says which rights came and which
// went; all entries together say which rights there are, so that a change that was made while
// nobody watched is found by comparing.
//
// A right is a line of text that means something to a person: a row of the table, a device
// with its certificate, a function, a listener. The package does not understand them.
//
// It imports nothing of ours; only cmd/greengate imports it. Everything works on the file under
// a lock of its own, so the daemon and commands may append at once; nothing is kept in memory.
package audit
