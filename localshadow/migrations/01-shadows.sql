-- One row for each shadow, and for each that was deleted within 48 hours: its
-- version lives on.
CREATE TABLE shadows (
  id       INTEGER PRIMARY KEY,
  thing    TEXT    NOT NULL,
  name     TEXT    NOT NULL,            -- '' is the classic shadow
  version  INTEGER NOT NULL,
  deleted  INTEGER NOT NULL,            -- 1: only the version is left
  updated  INTEGER NOT NULL,            -- or deleted, Unix seconds
  bytes    INTEGER NOT NULL,            -- of desired and reported
  desired  TEXT    NOT NULL,            -- compact JSON object, '' for none
  reported TEXT    NOT NULL,
  times    BLOB    NOT NULL,            -- of the leaves, see times.go
  UNIQUE (thing, name)
) STRICT;

CREATE INDEX shadows_deleted ON shadows (updated) WHERE deleted = 1;
