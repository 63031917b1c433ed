-- The entries of a shadow hang together by prev, the newest by the row of the shadow: an
-- index of them had a page of its own to write for nearly every entry.
ALTER TABLE journal ADD COLUMN prev   INTEGER NOT NULL DEFAULT 0; -- entry of the shadow before, 0: none that is known
ALTER TABLE journal ADD COLUMN number INTEGER NOT NULL DEFAULT 0; -- of the shadow's entries, from 1 on

-- The newest entries of those shadows that have no row any more.
CREATE TABLE former (
  thing   TEXT    NOT NULL,
  name    TEXT    NOT NULL,
  entry   INTEGER NOT NULL,
  entries INTEGER NOT NULL,
  PRIMARY KEY (thing, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX former_entry ON former (entry);

UPDATE journal SET prev = c.prev, number = c.number FROM (
  SELECT id, lag(id, 1, 0) OVER w AS prev, row_number() OVER w AS number FROM journal
  WINDOW w AS (PARTITION BY thing, name ORDER BY id)) AS c WHERE c.id = journal.id;

UPDATE shadows SET entry = 0, entries = 0;
UPDATE shadows SET entry = h.id, entries = h.number FROM (
  SELECT thing, name, max(id) AS id, max(number) AS number FROM journal GROUP BY thing, name) AS h
  WHERE h.thing = shadows.thing AND h.name = shadows.name;

INSERT INTO former (thing, name, entry, entries)
  SELECT thing, name, max(id), max(number) FROM journal
  WHERE NOT EXISTS (SELECT 1 FROM shadows s WHERE s.thing = journal.thing AND s.name = journal.name)
  GROUP BY thing, name;

DROP INDEX journal_shadow;
