-- Of the table sync: the highest version that a document of the shadow had before the
-- cloud's versions began anew, 48 hours after a deletion; 0: they never did.
ALTER TABLE sync ADD COLUMN former INTEGER NOT NULL DEFAULT 0;
