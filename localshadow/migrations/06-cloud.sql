-- Of the table sync: which cloud it is about. No row: one from before this was kept, or none
-- yet. What another cloud has is no news of this one.
CREATE TABLE cloud (
  id   INTEGER PRIMARY KEY CHECK (id = 1),
  name TEXT NOT NULL
) STRICT;
