-- What was done to each shadow, in the order of id. It outlives the rows of deleted
-- shadows and is bounded by itself, see journal.go.
CREATE TABLE journal (
  id        INTEGER PRIMARY KEY,
  thing     TEXT    NOT NULL,
  name      TEXT    NOT NULL,           -- '' is the classic shadow
  before    INTEGER NOT NULL,           -- version that it found, 0: none, -n: n, which is deleted
  first     INTEGER NOT NULL,           -- of a row of updates that changed nothing, else = version
  version   INTEGER NOT NULL,           -- that it left
  deleted   INTEGER NOT NULL,           -- 1: it deleted the document
  at        INTEGER NOT NULL,           -- Unix milliseconds
  kind      TEXT    NOT NULL,           -- the source, see Source
  source    TEXT    NOT NULL,
  detail    TEXT    NOT NULL,
  changes   TEXT    NOT NULL,           -- see changes.go; '' for none
  conflicts TEXT    NOT NULL,           -- JSON array of Conflict; '' for none
  bytes     INTEGER NOT NULL,           -- that the entry takes
  size      INTEGER NOT NULL            -- that all took when it was written
) STRICT;

CREATE INDEX journal_shadow ON journal (thing, name);
CREATE INDEX journal_conflicts ON journal (thing, name) WHERE conflicts <> '';

-- The newest entry of the shadow, and how many it has had.
ALTER TABLE shadows ADD COLUMN entry   INTEGER NOT NULL DEFAULT 0;
ALTER TABLE shadows ADD COLUMN entries INTEGER NOT NULL DEFAULT 0;
