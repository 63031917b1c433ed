-- Owned by sync/shadows, which writes it in the transactions that change the
-- shadows (Service.Transact). One row for each shadow that the cloud was asked
-- about and that exists on a side: what the cloud was last known to have. That is
-- merged into the local document by the transaction that writes it, so it is also
-- the last state that both sides had. A row that is lost costs nothing but that
-- memory: the two sides are then merged as if they met for the first time, which
-- is what must happen after a damage (see Mend), as a base that is newer than its
-- document would take old values for changes.
CREATE TABLE sync (
  id         INTEGER PRIMARY KEY,
  thing      TEXT    NOT NULL,
  name       TEXT    NOT NULL,      -- '' is the classic shadow
  found      INTEGER NOT NULL,      -- 1: the cloud had a document
  version    INTEGER NOT NULL,      -- of the cloud's document; of the deleted one
  desired    TEXT    NOT NULL,      -- of the cloud's document, '' for none
  reported   TEXT    NOT NULL,
  times      BLOB    NOT NULL,      -- of its leaves in the cloud
  sent       TEXT    NOT NULL,      -- JSON array of the states that are on their way, '' for none
  gone       INTEGER NOT NULL,      -- 1: the local document was deleted, and not just lost
  blocked    TEXT    NOT NULL,      -- why the cloud takes nothing, '' when it does
  blocked_at INTEGER NOT NULL,      -- local version that it does not take
  conflict   INTEGER NOT NULL,      -- when there was the last one, Unix milliseconds, 0 for never
  UNIQUE (thing, name)
) STRICT;
