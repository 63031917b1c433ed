-- When each retained message came, for those who ask for it over HTTPS.

ALTER TABLE retained ADD COLUMN stored INTEGER NOT NULL DEFAULT 0; -- Unix milliseconds; 0: not known
