package localshadow

// Where AWS's documentation is silent or has two readings, this is what is done
// here. The guide of a choice: never be stricter than the cloud may be, or its
// documents could not come down; never lose a leaf in silence.
//
//  1. Depth. Error text says 6, the quota page 5 or 8. Counted here are objects
//     and arrays nested inside `desired` or `reported`; 8 are allowed, the number
//     in the message is the one in force.
//  2. Size. 8 KiB are counted on the compact text of `desired` plus `reported`
//     of the merged document, without metadata (Greengrass counts so).
//  3. Duplicate keys in one object are no JSON: 400. Otherwise two readers of
//     the same request could see two requests.
//  4. Not UTF-8: 415. Everything else that cannot be read: 400 `Invalid JSON`.
//  5. Numbers keep their text, so 1.0 and integers beyond 64 bits survive. Two
//     numbers are equal when their exact values are: 1, 1.0 and 10e-1 make no
//     delta (Greengrass compares by value), 9007199254740993 and ...992 do.
//  6. An array with a null element: 400 `State contains an invalid node`. A null
//     inside an object inside an array is part of the value and is kept.
//  7. An object of nothing but nulls stores nothing where nothing was
//     (Greengrass), and {} where a value of another type was.
//  8. `state.delta`, as every other node under `state`, is refused: 400.
//  9. A version for a shadow that does not exist must be 0, else 409; also while
//     a deleted one is remembered: who holds its version has lost it. `version`
//     and `clientToken` that are null count as absent.
//  10. Recreated while its deletion is remembered a shadow goes on with the next
//     version, the deletion itself counts nothing (capture); later it starts
//     with 1. That is 48 hours in which the service runs, at least: a clock that is
//     set does not make a deletion older, nor does a time without the gateway. With
//     the first deletion of any shadow after that it is forgotten.
//  11. Metadata of what was sent has a time for each null too, as the capture of
//     `state: null` has, and {} for an empty object. A Get has no
//     `metadata.delta`.
//  12. `previous` is missing in the documents message of a shadow's first update
//     (capture), also when it was recreated.
//  13. `code`, `message` and the token are all that a 404 and a 409 have (capture,
//     AWS: device-shadow-data-flow); other rejections have a timestamp too.
//  14. Order of the checks: names, size of the payload, UTF-8, JSON and depth,
//     clientToken, version's form, state's form, version's value, size of the
//     merged document, bounds of the store. The token is in every rejection
//     from the state's form on, and in the earlier ones where it could be read.
//  15. A get or delete takes any payload; of a JSON object the clientToken counts.
//  16. A thing that is not served (`shadow: none`) is a thing that does not
//     exist: 404 `Thing not found`.
//  17. A named shadow that is missing is called 'THING~NAME'.
//  18. What comes down from the cloud is judged by Lenient. An update that makes a
//     document smaller which is too large by the limits of here is accepted.

// The messages of the service (AWS: device-shadow-error-messages).
const (
	msgJSON        = "Invalid JSON"
	msgNoState     = "Missing required node: state"
	msgState       = "State node must be an object"
	msgDesired     = "Desired node must be an object"
	msgReported    = "Reported node must be an object"
	msgVersion     = "Invalid version"
	msgToken       = "Invalid clientToken"
	msgDepth       = "JSON contains too many levels of nesting; maximum is %d"
	msgInvalidNode = "State contains an invalid node"
	msgThing       = "Thing not found"
	msgNoShadow    = "No shadow exists with name: '%s'"
	msgConflict    = "Version conflict"
	msgTooLarge    = "The payload exceeds the maximum size allowed"
	msgEncoding    = "Unsupported documented encoding; supported encoding is UTF-8"
	msgThrottled   = "Too many requests"
	msgInternal    = "Internal service failure"

	// Not AWS's: it publishes no text for these.
	msgThingName  = "Invalid thing name"
	msgShadowName = "Invalid shadow name"
	msgPage       = "Invalid page size or token"
	msgFull       = "This gateway keeps no more shadows: its limit is %d"
	msgThingFull  = "This gateway keeps no more shadows of this thing: its limit is %d"
	msgStoreFull  = "This gateway keeps no more shadows: its limit is %d bytes"
)

// maxToken is the longest clientToken in bytes (AWS: device-shadow-document).
const maxToken = 64

// Limits are what a single document and request may be.
type Limits struct {
	// Document is the largest document in bytes: desired and reported as
	// compact JSON. AWS has 8192, and 30720 at most on request.
	Document int
	// Depth is how many objects and arrays may be nested inside a section.
	Depth int
	// Payload is the largest request in bytes. It is refused unread beyond.
	Payload int
	// lenient lets null elements of arrays pass.
	lenient bool
}

// Lenient returns limits that nothing meets which AWS IoT Core may have accepted,
// whatever its limits are one day.
func Lenient() Limits {
	return Limits{Document: 1 << 20, Depth: 1 << 9, Payload: 4 << 20, lenient: true}
}

// DefaultLimits returns the limits of AWS IoT Core.
func DefaultLimits() Limits { return Limits{Document: 8 << 10, Depth: 8, Payload: 128 << 10} }
