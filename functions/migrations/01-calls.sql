-- Calls that must survive a crash: a row comes when the call is accepted and leaves
-- when the function has answered it. seq rises and is never used again while rows wait.
-- id is the request id, the same for each try. expires is the wall clock in ns, 0
-- without end. sum is the CRC-32C of the texts and the payload: SQLite does not see a
-- bit that flips within a value.
CREATE TABLE calls (
	seq      INTEGER PRIMARY KEY,
	function TEXT NOT NULL,
	route    TEXT NOT NULL,
	id       TEXT NOT NULL,
	source   TEXT NOT NULL,
	topic    TEXT NOT NULL,
	expires  INTEGER NOT NULL,
	sum      INTEGER NOT NULL,
	payload  BLOB NOT NULL
) STRICT;

-- Calls that failed as often as they are tried, or whose function is gone. at is the
-- wall clock in ns; reason is a word, cause the last failure in words.
CREATE TABLE quarantine (
	seq      INTEGER PRIMARY KEY,
	at       INTEGER NOT NULL,
	reason   TEXT NOT NULL,
	cause    TEXT NOT NULL,
	function TEXT NOT NULL,
	route    TEXT NOT NULL,
	id       TEXT NOT NULL,
	source   TEXT NOT NULL,
	topic    TEXT NOT NULL,
	payload  BLOB NOT NULL
) STRICT;
CREATE INDEX quarantine_function ON quarantine (function, seq);
