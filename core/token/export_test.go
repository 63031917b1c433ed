package token

import "time"

// Verify is verify, for tests.
var Verify = verify

// Limit sets how long the token may take.
func (k *Key) Limit(d time.Duration) { k.limit = d }
