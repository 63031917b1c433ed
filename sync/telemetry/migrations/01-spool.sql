-- What waits for the cloud. Each priority is a lane with a table of its own: rows
-- come in at its end and leave at its head, so that the key is the only index.
--
-- seq rises over all lanes and all starts and is never used again. prev is that of
-- the message before of the same source and topic (an upper bound where it is not
-- known, 0 when there is none). mono is the time since the boot and wall what the
-- clock said, in ns; ttl is in ms from then, 0 without end. sum is the CRC-32C of
-- the message: SQLite does not see a bit that flips within a value.
CREATE TABLE messages_high (
	seq        INTEGER PRIMARY KEY,
	source     TEXT NOT NULL,
	topic      TEXT NOT NULL,
	route      INTEGER NOT NULL,
	prev       INTEGER NOT NULL,
	mono       INTEGER NOT NULL,
	wall       INTEGER NOT NULL,
	ttl        INTEGER NOT NULL,
	flags      INTEGER NOT NULL,
	sum        INTEGER NOT NULL,
	properties BLOB,
	payload    BLOB NOT NULL
) STRICT;

CREATE TABLE messages_normal (
	seq        INTEGER PRIMARY KEY,
	source     TEXT NOT NULL,
	topic      TEXT NOT NULL,
	route      INTEGER NOT NULL,
	prev       INTEGER NOT NULL,
	mono       INTEGER NOT NULL,
	wall       INTEGER NOT NULL,
	ttl        INTEGER NOT NULL,
	flags      INTEGER NOT NULL,
	sum        INTEGER NOT NULL,
	properties BLOB,
	payload    BLOB NOT NULL
) STRICT;

CREATE TABLE messages_low (
	seq        INTEGER PRIMARY KEY,
	source     TEXT NOT NULL,
	topic      TEXT NOT NULL,
	route      INTEGER NOT NULL,
	prev       INTEGER NOT NULL,
	mono       INTEGER NOT NULL,
	wall       INTEGER NOT NULL,
	ttl        INTEGER NOT NULL,
	flags      INTEGER NOT NULL,
	sum        INTEGER NOT NULL,
	properties BLOB,
	payload    BLOB NOT NULL
) STRICT;

-- The rows of the subscription table that messages came by. settings is their
-- Route in JSON: a row may be gone from the file while its messages wait.
CREATE TABLE routes (
	id       INTEGER PRIMARY KEY,
	key      TEXT NOT NULL UNIQUE,
	settings TEXT NOT NULL
) STRICT;

-- How many messages of a route wait in a lane, and their bytes of topic and
-- payload: written with the messages, so that a start need not count.
CREATE TABLE waiting (
	route    INTEGER NOT NULL,
	lane     INTEGER NOT NULL,
	messages INTEGER NOT NULL,
	bytes    INTEGER NOT NULL,
	PRIMARY KEY (route, lane)
) STRICT, WITHOUT ROWID;

-- The lane in which the messages of a source and topic are, by the hash of both,
-- and the seq of the last one, if it was written since.
CREATE TABLE streams (
	hash INTEGER PRIMARY KEY,
	lane INTEGER NOT NULL,
	last INTEGER NOT NULL
) STRICT;

-- The starts of the gateway: messages from first on belong to that boot of the
-- machine. base is what to add to mono for the right time, once it is known.
CREATE TABLE boots (
	first INTEGER PRIMARY KEY,
	boot  TEXT NOT NULL,
	base  INTEGER
) STRICT;

-- No seq up to here is free.
CREATE TABLE state (
	id       INTEGER PRIMARY KEY CHECK (id = 1),
	reserved INTEGER NOT NULL
) STRICT;
INSERT INTO state VALUES (1, 0);

-- Messages that the cloud can never take. at is the wall clock in ns.
CREATE TABLE quarantine (
	seq        INTEGER PRIMARY KEY,
	lane       INTEGER NOT NULL,
	route      TEXT NOT NULL,
	reason     TEXT NOT NULL,
	at         INTEGER NOT NULL,
	source     TEXT NOT NULL,
	topic      TEXT NOT NULL,
	mono       INTEGER NOT NULL,
	wall       INTEGER NOT NULL,
	ttl        INTEGER NOT NULL,
	flags      INTEGER NOT NULL,
	properties BLOB,
	payload    BLOB NOT NULL
) STRICT;
