package conformance

import (
	"strings"
	"testing"
)

// check proves one thing that several statements may ask for.
type check struct {
	numbers string // of the statements: "5-3.1.2-4 3-3.1.2-6"
	what    string // it proves, for docs/conformance.md
	run     func(t *testing.T, v5 bool)
}

// chapterNames are the tests that run the checks, in the order of the standards.
var chapterNames = []string{
	"TestEncoding", "TestConnect", "TestConnack", "TestSession", "TestWill", "TestPublish", "TestForward", "TestRetain",
	"TestSubscribe", "TestUnsubscribe", "TestLimits", "TestEnd", "TestErrors", "TestDelivery", "TestQoS2", "TestTopics",
}

// chapters are all checks, by the test that runs them.
var chapters = map[string][]check{
	"TestEncoding":    encodingChecks,
	"TestConnect":     connectChecks,
	"TestConnack":     connackChecks,
	"TestSession":     sessionChecks,
	"TestWill":        willChecks,
	"TestPublish":     publishChecks,
	"TestForward":     forwardChecks,
	"TestRetain":      retainChecks,
	"TestSubscribe":   subscribeChecks,
	"TestUnsubscribe": unsubscribeChecks,
	"TestLimits":      limitChecks,
	"TestEnd":         endChecks,
	"TestErrors":      errorChecks,
	"TestDelivery":    deliveryChecks,
	"TestQoS2":        qos2Checks,
	"TestTopics":      topicChecks,
}

func TestEncoding(t *testing.T)    { prove(t, encodingChecks) }
func TestConnect(t *testing.T)     { prove(t, connectChecks) }
func TestConnack(t *testing.T)     { prove(t, connackChecks) }
func TestSession(t *testing.T)     { prove(t, sessionChecks) }
func TestWill(t *testing.T)        { prove(t, willChecks) }
func TestPublish(t *testing.T)     { prove(t, publishChecks) }
func TestForward(t *testing.T)     { prove(t, forwardChecks) }
func TestRetain(t *testing.T)      { prove(t, retainChecks) }
func TestSubscribe(t *testing.T)   { prove(t, subscribeChecks) }
func TestUnsubscribe(t *testing.T) { prove(t, unsubscribeChecks) }
func TestLimits(t *testing.T)      { prove(t, limitChecks) }
func TestEnd(t *testing.T)         { prove(t, endChecks) }
func TestErrors(t *testing.T)      { prove(t, errorChecks) }
func TestDelivery(t *testing.T)    { prove(t, deliveryChecks) }
func TestQoS2(t *testing.T)        { prove(t, qos2Checks) }
func TestTopics(t *testing.T)      { prove(t, topicChecks) }

// prove runs each check once for each of its numbers, in the version of the number.
func prove(t *testing.T, checks []check) {
	t.Helper()
	t.Parallel()
	for _, c := range checks {
		for n := range strings.FieldsSeq(c.numbers) {
			t.Run("MQTT"+n, func(t *testing.T) {
				t.Parallel()
				c.run(t, n[0] == '5')
			})
		}
	}
}
