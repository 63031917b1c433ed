package localshadow_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

// The documents message is written for those who want it only, in its place between the
// others, and what was published of a group may leave together.
func TestOffer(t *testing.T) {
	var told []string
	wanted := false
	flushed := make(chan struct{}, 100)
	st := openStation(t, atNoon, func(_ *sqlite.Options, o *localshadow.Options) {
		end := func(topic string) string { return topic[strings.LastIndex(topic, "/")+1:] }
		o.Publish = func(topic string, payload []byte) { told = append(told, end(topic)) }
		o.Offer = func(topic string, payload func() []byte) {
			text := "unwanted"
			if wanted {
				text = string(payload())
			}
			told = append(told, end(topic)+" "+text)
		}
		o.Flush = func() { told = append(told, "flush"); flushed <- struct{}{} }
	})
	for round := range 2 {
		told, wanted = nil, round == 1
		if err := st.deliver(updateTopic("a"), fmt.Sprintf(`{"state":{"desired":{"k":%d}},"clientToken":"t"}`, round)); err != nil {
			t.Fatal(err)
		}
		<-flushed
		documents := "unwanted"
		if wanted {
			at := noon.Unix()
			documents = fmt.Sprintf(`{"previous":{"state":{"desired":{"k":0}},"metadata":{"desired":{"k":{"timestamp":%d}}},"version":1},`+
				`"current":{"state":{"desired":{"k":1}},"metadata":{"desired":{"k":{"timestamp":%d}}},"version":2},"timestamp":%d,"clientToken":"t"}`, at, at, at)
		}
		if want := []string{"delta", "documents " + documents, "accepted", "flush"}; !slices.Equal(told, want) {
			t.Errorf("told\n%q, want\n%q", told, want)
		}
	}
	if err := st.deliver("$aws/things/a/shadow/get", ""); err != nil {
		t.Fatal(err)
	}
	<-flushed
	if last := told[len(told)-2:]; !slices.Equal(last, []string{"accepted", "flush"}) {
		t.Errorf("of a get: %q", last)
	}
}
