package cloudtest

import "time"

// Limits are the quotas of AWS IoT Core (AWS General Reference, "IoT Core
// endpoints and quotas"). In Options and SetLimits a field of 0 means AWS's
// value, given in its comment, and a negative one means no limit.
type Limits struct {
	Payload    int // bytes of a publish: 128 KiB
	Packet     int // bytes of a packet, told in CONNACK as Maximum Packet Size: 149,504
	Topic      int // bytes of a topic or filter: 256
	Slashes    int // in a topic or filter, a Basic Ingest or $share prefix not counted: 7
	ClientID   int // bytes: 128
	TopicAlias int // Topic Alias Maximum: 8

	FiltersPerSubscribe int // 8
	Subscriptions       int // of a connection: 50

	// PublishRate is how many publishes a second one connection may make and
	// get, in and out together: 100. What comes in beyond it is discarded
	// (MQTT 5, QoS 1: PUBACK 0x97); what goes out beyond it is discarded with
	// QoS 0 and waits with QoS 1 (or not, see Readings.ExcessDiscarded).
	PublishRate int
	Throughput  int // bytes a second of a connection and direction; excess is delayed: 512 KiB
	UnackedIn   int // QoS 1 publishes taken from a client and not yet acknowledged (Receive Maximum): 100
	UnackedOut  int // sent to a client and not yet acknowledged by it: 100
	ConnectRate int // CONNECTs a second of one client id: 1
	DrainRate   int // queued messages a second that a resumed session gets: 10

	KeepAliveMin time.Duration // 30 s
	KeepAliveMax time.Duration // 1,200 s, also what 0 in a CONNECT becomes
	// SessionExpiry is the longest a session outlives its connection: 1 h.
	SessionExpiry time.Duration
	// RetryFor is how long a QoS 1 message waits for a client, in the queue or
	// unacknowledged: 1 h.
	RetryFor      time.Duration
	MessageExpiry time.Duration // the longest Message Expiry Interval: 7 days

	ShadowDocument int // bytes of state, desired and reported: 8 KiB
	ShadowDepth    int // levels below desired or reported: 8 by the quotas page (old guides: 5 and 6)
	ShadowInFlight int // requests of one thing: 10
	ShadowRate     int // requests a second of one thing: 20
	ShadowToken    int // bytes of a clientToken: 64
	// ShadowTombstone is how long a deleted shadow's version is remembered: 48 h.
	ShadowTombstone time.Duration
}

// AWS returns AWS's limits.
func AWS() Limits {
	return Limits{
		Payload: 128 << 10, Packet: 149504, Topic: 256, Slashes: 7, ClientID: 128, TopicAlias: 8,
		FiltersPerSubscribe: 8, Subscriptions: 50,
		PublishRate: 100, Throughput: 512 << 10, UnackedIn: 100, UnackedOut: 100, ConnectRate: 1, DrainRate: 10,
		KeepAliveMin: 30 * time.Second, KeepAliveMax: 1200 * time.Second,
		SessionExpiry: time.Hour, RetryFor: time.Hour, MessageExpiry: 7 * 24 * time.Hour,
		ShadowDocument: 8 << 10, ShadowDepth: 8, ShadowInFlight: 10, ShadowRate: 20, ShadowToken: 64,
		ShadowTombstone: 48 * time.Hour,
	}
}

// NoRates returns AWS's limits without those on rates and windows: sizes and
// counts still hold. UnackedIn is MQTT's own maximum, 65,535.
func NoRates() Limits {
	l := AWS()
	l.PublishRate, l.Throughput, l.ConnectRate, l.DrainRate = -1, -1, -1, -1
	l.UnackedIn, l.UnackedOut = 65535, 65535
	l.ShadowInFlight, l.ShadowRate = -1, -1
	return l
}

// filled returns l with AWS's values for zeros.
func (l Limits) filled() Limits {
	aws := AWS()
	for field, from := range map[*int]int{
		&l.Payload: aws.Payload, &l.Packet: aws.Packet, &l.Topic: aws.Topic, &l.Slashes: aws.Slashes,
		&l.ClientID: aws.ClientID, &l.TopicAlias: aws.TopicAlias,
		&l.FiltersPerSubscribe: aws.FiltersPerSubscribe, &l.Subscriptions: aws.Subscriptions,
		&l.PublishRate: aws.PublishRate, &l.Throughput: aws.Throughput,
		&l.UnackedIn: aws.UnackedIn, &l.UnackedOut: aws.UnackedOut,
		&l.ConnectRate: aws.ConnectRate, &l.DrainRate: aws.DrainRate,
		&l.ShadowDocument: aws.ShadowDocument, &l.ShadowDepth: aws.ShadowDepth,
		&l.ShadowInFlight: aws.ShadowInFlight, &l.ShadowRate: aws.ShadowRate, &l.ShadowToken: aws.ShadowToken,
	} {
		if *field == 0 {
			*field = from
		}
	}
	for field, from := range map[*time.Duration]time.Duration{
		&l.KeepAliveMin: aws.KeepAliveMin, &l.KeepAliveMax: aws.KeepAliveMax,
		&l.SessionExpiry: aws.SessionExpiry, &l.RetryFor: aws.RetryFor, &l.MessageExpiry: aws.MessageExpiry,
		&l.ShadowTombstone: aws.ShadowTombstone,
	} {
		if *field == 0 {
			*field = from
		}
	}
	return l
}

// SetLimits changes the quotas, from now on; those that a CONNACK has told a
// client change for it at its next connection. 0 and negative are as in Limits.
func (c *Cloud) SetLimits(l Limits) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limits = l.filled()
}

// over tells whether n is more than the limit (negative: none).
func over(n, limit int) bool { return limit >= 0 && n > limit }

// bucket is a token bucket. Its zero value is full at the first use.
type bucket struct {
	tokens float64
	at     time.Time
}

// fill brings the tokens up to date. A bucket holds what a second brings.
func (b *bucket) fill(now time.Time, rate int) {
	if b.at.IsZero() {
		b.tokens = float64(rate)
	} else {
		b.tokens = min(float64(rate), b.tokens+now.Sub(b.at).Seconds()*float64(rate))
	}
	b.at = now
}

// take takes one token, or tells how long until there is one. A negative rate
// always has one.
func (b *bucket) take(now time.Time, rate int) (wait time.Duration) {
	if rate < 0 {
		return 0
	}
	b.fill(now, rate)
	if b.tokens < 1 {
		return max(time.Duration((1-b.tokens)/float64(max(rate, 1))*float64(time.Second)), time.Microsecond)
	}
	b.tokens--
	return 0
}

// spend takes n tokens, on credit if need be, and returns how long it takes
// until the credit is paid back.
func (b *bucket) spend(now time.Time, n, rate int) (wait time.Duration) {
	if rate < 0 {
		return 0
	}
	b.fill(now, rate)
	b.tokens -= float64(n)
	if b.tokens >= 0 {
		return 0
	}
	return time.Duration(-b.tokens / float64(max(rate, 1)) * float64(time.Second))
}

// ready tells how long until take would have a token, and takes none.
func (b bucket) ready(now time.Time, rate int) (wait time.Duration) { return b.take(now, rate) }
