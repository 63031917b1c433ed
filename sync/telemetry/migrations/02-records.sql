-- A message is two values, made by the goroutine of its publisher: see record.go. Flag
-- 4 says that its sum is that of the body alone. The uvarints are written with as many
-- bytes as the largest takes.
CREATE VIEW records AS SELECT lane, seq,
	unhex(printf('%08x%016x%08x%016x%016x%02x', sum, prev, route, mono, wall, flags | 4)
		|| printf('%02x%02x%02x%02x%02x%02x%02x', (ttl & 127) + 128, (ttl >> 7 & 127) + 128, (ttl >> 14 & 127) + 128, (ttl >> 21 & 127) + 128, (ttl >> 28 & 127) + 128, (ttl >> 35 & 127) + 128, (ttl >> 42 & 127))
		|| printf('%02x%02x%02x', (s & 127) + 128, (s >> 7 & 127) + 128, (s >> 14 & 127))
		|| printf('%02x%02x%02x', (t & 127) + 128, (t >> 7 & 127) + 128, (t >> 14 & 127))
		|| printf('%02x%02x%02x%02x', (p & 127) + 128, (p >> 7 & 127) + 128, (p >> 14 & 127) + 128, (p >> 21 & 127))) AS head,
	CAST(source || topic || coalesce(properties, '') || payload AS BLOB) AS body
FROM (SELECT *, octet_length(source) AS s, octet_length(topic) AS t, coalesce(length(properties), 0) AS p
	FROM (SELECT 0 AS lane, * FROM messages_high
		UNION ALL SELECT 1, * FROM messages_normal
		UNION ALL SELECT 2, * FROM messages_low));

CREATE TABLE records_high (
	seq  INTEGER PRIMARY KEY,
	head BLOB NOT NULL,
	body BLOB NOT NULL
) STRICT;
INSERT INTO records_high SELECT seq, head, body FROM records WHERE lane = 0;

CREATE TABLE records_normal (
	seq  INTEGER PRIMARY KEY,
	head BLOB NOT NULL,
	body BLOB NOT NULL
) STRICT;
INSERT INTO records_normal SELECT seq, head, body FROM records WHERE lane = 1;

CREATE TABLE records_low (
	seq  INTEGER PRIMARY KEY,
	head BLOB NOT NULL,
	body BLOB NOT NULL
) STRICT;
INSERT INTO records_low SELECT seq, head, body FROM records WHERE lane = 2;

DROP VIEW records;
DROP TABLE messages_high;
DROP TABLE messages_normal;
DROP TABLE messages_low;
ALTER TABLE records_high RENAME TO messages_high;
ALTER TABLE records_normal RENAME TO messages_normal;
ALTER TABLE records_low RENAME TO messages_low;
