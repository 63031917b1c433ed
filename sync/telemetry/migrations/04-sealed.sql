-- What waits may be encrypted: see seal.go. key is the id of the key under which the
-- messages of a start were written; NULL: in clear.
ALTER TABLE boots ADD COLUMN key TEXT;

-- In quarantine an encrypted message has its head as it was in its lane, and its body as
-- payload; the other columns say nothing of it. cause is its reason, if that is encrypted.
ALTER TABLE quarantine ADD COLUMN head BLOB;
ALTER TABLE quarantine ADD COLUMN cause BLOB;

-- The id of the key by which streams are named, '' for none. NULL: the table streams is to
-- be made anew of the messages that wait.
ALTER TABLE state ADD COLUMN streams TEXT;
UPDATE state SET streams = '';
