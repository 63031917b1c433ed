-- The counts of waiting are not written with each commit, which would cost the disk a page
-- more, but now and then: the row of lane -1 says, as its messages, up to which seq the
-- others count. What came after it is counted at the start.
INSERT INTO waiting (route, lane, messages, bytes) SELECT 0, -1, reserved, 0 FROM state;
