-- What waits is sought by its thing only when a session ends for good, and each message
-- that is written and taken away paid two pages for that.

DROP INDEX queue_thing;
