-- What outlives the process: the sessions that their clients asked to keep,
-- what waits for them, and the retained messages.

CREATE TABLE sessions (
    thing  TEXT PRIMARY KEY,
    expiry INTEGER NOT NULL -- seconds; 4294967295: for ever
) WITHOUT ROWID;

CREATE TABLE subscriptions (
    thing        TEXT NOT NULL,
    filter       TEXT NOT NULL,
    qos          INTEGER NOT NULL,
    id           INTEGER NOT NULL, -- subscription identifier; 0: none
    no_local     INTEGER NOT NULL,
    as_published INTEGER NOT NULL,
    PRIMARY KEY (thing, filter)
) WITHOUT ROWID;

CREATE TABLE queue (
    n          INTEGER PRIMARY KEY, -- in the order of delivery
    thing      TEXT NOT NULL,
    qos        INTEGER NOT NULL,
    retain     INTEGER NOT NULL, -- of the packet to send
    ids        TEXT NOT NULL,    -- subscription identifiers, with commas
    source     TEXT NOT NULL,
    topic      TEXT NOT NULL,
    payload    BLOB NOT NULL,
    properties TEXT NOT NULL,   -- JSON; empty: none
    expires    INTEGER NOT NULL -- Unix milliseconds; 0: never
);
CREATE INDEX queue_thing ON queue (thing);

CREATE TABLE retained (
    topic      TEXT PRIMARY KEY,
    source     TEXT NOT NULL,
    qos        INTEGER NOT NULL,
    payload    BLOB NOT NULL,
    properties TEXT NOT NULL,
    expires    INTEGER NOT NULL
) WITHOUT ROWID;
