package cloudtest

// Readings choose where AWS's documentation leaves two readings, or none
// (aws-iot.md, section 5). The zero value is the first-named of each.
type Readings struct {
	// DeleteCounts: a shadow that is made again within 48 h has the deleted
	// version + 2, not + 1.
	DeleteCounts bool
	// MissingVersion is the answer to an update with a version, of a shadow
	// that does not exist.
	MissingVersion MissingVersion
	// PreviousOfFirst: the first documents message has an empty previous, not
	// none.
	PreviousOfFirst bool
	// DeltaMetadata: get answers metadata for state.delta too.
	DeltaMetadata bool
	// ErrorTimestamp: rejections carry a timestamp.
	ErrorTimestamp bool
	// NullsLeaveNothing: an object of nulls alone, put where there was none, is
	// not stored; otherwise {} is.
	NullsLeaveNothing bool
	// NullsUnstamped: the metadata of accepted say nothing of keys set to null;
	// otherwise they have a timestamp.
	NullsUnstamped bool
	// ArrayStamp: metadata have one timestamp for an array, not one for each
	// element.
	ArrayStamp bool
	// SizePerSection: the limit on the document holds for desired and reported
	// each, not for their sum.
	SizePerSection bool
	// ExcessDiscarded: what goes out beyond the rate of a connection is lost with QoS 1
	// too; otherwise it waits.
	ExcessDiscarded bool
	// NamedAs404: the message of a 404 for a named shadow says thing~shadow,
	// not the shadow's name.
	NamedAs404 bool
}

// MissingVersion is an answer to an update with a version, of a shadow that does
// not exist.
type MissingVersion int

// The answers that were thought of.
const (
	MissingConflicts  MissingVersion = iota // 409
	MissingTaken                            // the version counts for nothing
	MissingZero                             // 0 is taken, any other answered 409
	MissingBad                              // 400
	MissingIsNotFound                       // 404
)

// versionOfMissing judges the version of an update to a shadow that is not there.
func (b *broker) versionOfMissing(k shadowKey, version int64) *ShadowError {
	switch reading := b.o.Readings.MissingVersion; {
	case reading == MissingTaken, reading == MissingZero && version == 0:
		return nil
	case reading == MissingBad:
		return reject(400, "Invalid version")
	case reading == MissingIsNotFound:
		return b.noShadow(k)
	}
	return reject(409, "Version conflict")
}
