-- What makes QoS 2 exactly once over a restart.

-- The place of a message in the order of its session, which gives its packet id. What
-- an older version has left begins anywhere: ids that a client has seen then must not
-- come first again.
ALTER TABLE queue ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
UPDATE queue SET place = (SELECT abs(random() % 65535)) + ranks.r
    FROM (SELECT n AS m, row_number() OVER (PARTITION BY thing ORDER BY n) AS r FROM queue) AS ranks
    WHERE n = ranks.m;

-- Messages that a client has sent and not released.
CREATE TABLE received (
    thing TEXT NOT NULL,
    n     INTEGER NOT NULL,
    id    INTEGER NOT NULL, -- of its packets
    PRIMARY KEY (thing, n)
) WITHOUT ROWID;

-- Messages that a client has, and for which it gets a PUBREL until it answers.
CREATE TABLE released (
    thing TEXT NOT NULL,
    n     INTEGER NOT NULL, -- that the message had in the queue
    id    INTEGER NOT NULL, -- of its packets
    PRIMARY KEY (thing, n)
) WITHOUT ROWID;
