-- By which clock the times of the database are; see clock.go.

CREATE TABLE clock (
    id       INTEGER PRIMARY KEY, -- 1: there is one row
    boot     TEXT NOT NULL,       -- of the machine; empty: not known
    base     INTEGER NOT NULL,    -- what the clock said at that boot, Unix milliseconds
    at       INTEGER NOT NULL,    -- what it said when this was written
    believed INTEGER NOT NULL     -- 1: it could be right
);
