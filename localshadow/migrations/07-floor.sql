-- The version that shadows without a row go on from, since devices may have seen it: a copy of
-- the database has taken its place, and lacks what was made after it (MendCopy). No row: 0.
CREATE TABLE floor (
  id      INTEGER PRIMARY KEY CHECK (id = 1),
  version INTEGER NOT NULL
) STRICT;
