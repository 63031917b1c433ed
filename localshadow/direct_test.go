package localshadow_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

// What comes by another way than MQTT is published too, but rejections and reads
// are not: aws-iot.md 1.1.
func TestDirect(t *testing.T) {
	st := openStation(t, atNoon)
	ctx := context.Background()
	topics := func() (all []string) {
		for _, m := range st.take() {
			all = append(all, strings.TrimPrefix(m.topic, "$aws/things/a/shadow/"))
		}
		return all
	}
	got, err := st.Update(ctx, "a", "n", []byte(`{"state":{"desired":{"k":1}},"clientToken":"t"}`), device)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "update", string(got), `{"state":{"desired":{"k":1}},"metadata":{"desired":{"k":{"timestamp":1730481958}}},"version":1,"timestamp":1730481958,"clientToken":"t"}`)
	if all := topics(); !reflect.DeepEqual(all, []string{"name/n/update/delta", "name/n/update/documents", "name/n/update/accepted"}) {
		t.Errorf("published on %v", all)
	}
	if got, err = st.Get(ctx, "a", "n", nil); err != nil {
		t.Fatal(err)
	}
	same(t, "get", string(got), `{"state":{"desired":{"k":1},"delta":{"k":1}},"metadata":{"desired":{"k":{"timestamp":1730481958}}},"version":1,"timestamp":1730481958}`)
	var r *localshadow.Rejection
	if _, err = st.Update(ctx, "a", "n", []byte(`{"state":{},"version":5}`), device); !errors.As(err, &r) || r.Code != 409 || r.ErrorType() != "ConflictException" {
		t.Errorf("a conflict: %v", err)
	}
	if _, err = st.Get(ctx, "a", "", nil); !errors.As(err, &r) || r.Code != 404 || r.Error() != "No shadow exists with name: 'a'" {
		t.Errorf("get of none: %v", err)
	}
	if all := topics(); len(all) != 0 {
		t.Errorf("published on %v", all)
	}
	read := make(chan string, 1)
	st.Handle("a", "n", localshadow.OpGet, nil, device, func(b []byte, err error) { read <- fmt.Sprint(string(b), err) })
	same(t, "get in order", <-read, string(got)+"<nil>")
	if all := topics(); len(all) != 0 {
		t.Errorf("published on %v", all)
	}
	if got, err = st.Delete(ctx, "a", "n", nil, device); err != nil {
		t.Fatal(err)
	}
	same(t, "delete", string(got), `{"version":1,"timestamp":1730481958}`)
	if all := topics(); !reflect.DeepEqual(all, []string{"name/n/delete/accepted"}) {
		t.Errorf("published on %v", all)
	}
}

// AWS: IoT data plane API, ListNamedShadowsForThing; aws-iot.md 1.2.
func TestListNamed(t *testing.T) {
	st := openStation(t, atNoon)
	ctx := context.Background()
	var want []string
	st.tell(updateTopic("a"), `{"state":{}}`) // the classic one is never listed
	for i := range 60 {
		name := fmt.Sprintf("n%02d", i)
		st.tell("$aws/things/a/shadow/name/"+name+"/update", `{"state":{}}`)
		if i%10 == 3 {
			st.tell("$aws/things/a/shadow/name/"+name+"/delete", "")
			continue
		}
		want = append(want, name)
	}
	for _, size := range []int{0, 1, 27, 54, 100} {
		var got []string
		token, pages := "", 0
		for {
			page, err := st.ListNamed(ctx, "a", size, token)
			if err != nil || page.Timestamp != noon.Unix() {
				t.Fatal(page, err)
			}
			got = append(got, page.Results...)
			pages++
			if token = page.NextToken; token == "" {
				break
			}
		}
		if per := max(size, 1); size > 0 && pages != (len(want)+per-1)/per || size == 0 && pages != 3 || !reflect.DeepEqual(got, want) {
			t.Errorf("pages of %d: %d of them with %v", size, pages, got)
		}
	}
	if page, err := st.ListNamed(ctx, "unknown", 0, ""); err != nil || page.Results == nil || len(page.Results) != 0 || page.NextToken != "" {
		t.Errorf("an unknown thing: %+v, %v", page, err)
	}
	for _, bad := range []struct {
		size  int
		token string
	}{{101, ""}, {-1, ""}, {0, "*"}} {
		var r *localshadow.Rejection
		if _, err := st.ListNamed(ctx, "a", bad.size, bad.token); !errors.As(err, &r) || r.Code != 400 {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestList(t *testing.T) {
	st := openStation(t, atNoon)
	for i := range 300 {
		st.tell(updateTopic(fmt.Sprintf("t%03d", i)), desired("k", i))
	}
	st.tell("$aws/things/t254/shadow/name/m/update", `{"state":{}}`) // the last one of the first page
	st.tell("$aws/things/t007/shadow/name/b/update", `{"state":{"desired":{"k":1},"reported":{"k":1.0}}}`)
	st.tell("$aws/things/t008/shadow/delete", "")
	list := func(thing string) (all []localshadow.Info) {
		if err := st.List(context.Background(), thing, func(i localshadow.Info) bool { all = append(all, i); return true }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	want := []localshadow.Info{
		{Thing: "t007", Version: 1, Updated: noon.Unix(), Bytes: 7, Delta: true},
		{Thing: "t007", Name: "b", Version: 1, Updated: noon.Unix(), Bytes: 16},
	}
	if got := list("t007"); !reflect.DeepEqual(got, want) {
		t.Errorf("of one thing: %+v", got)
	}
	all := list("")
	if len(all) != 301 || all[6].Thing != "t006" || all[7] != want[0] || all[8] != want[1] || all[9].Thing != "t009" || all[255].Name != "m" || all[256].Thing != "t255" || all[300].Thing != "t299" {
		t.Errorf("%d in all: %+v", len(all), all[:10])
	}
	if got := list("unknown"); len(got) != 0 {
		t.Errorf("of an unknown thing: %+v", got)
	}
}

// A watcher is told of every change, in order, and may ask for more.
func TestWatch(t *testing.T) {
	st := openStation(t)
	var told []localshadow.Change
	reported := make(chan error, 1)
	st.Watch(func(c localshadow.Change) {
		told = append(told, c)
		if c.Current.Desired == `{"led":"on"}` && c.Current.Reported == "" { // as a pin does
			st.Handle(c.Thing, c.Name, localshadow.OpUpdate, []byte(`{"state":{"reported":{"led":"on"}}}`), device, func(_ []byte, err error) { reported <- err })
		}
	})
	st.tell(updateTopic("a"), desired("led", `"on"`))
	if err := <-reported; err != nil {
		t.Fatal(err)
	}
	st.tell(updateTopic("a"), `{"state":{"other":1}}`)
	st.tell("$aws/things/a/shadow/get", "")
	st.tell("$aws/things/a/shadow/delete", "")
	st.stop()
	on := localshadow.State{Desired: `{"led":"on"}`}
	both := localshadow.State{Desired: `{"led":"on"}`, Reported: `{"led":"on"}`}
	want := []localshadow.Change{
		{Thing: "a", Version: 1, Current: on, Source: device},
		{Thing: "a", Version: 2, Previous: on, Current: both, Source: device},
		{Thing: "a", Version: 2, Previous: both, Deleted: true, Source: device},
	}
	if !reflect.DeepEqual(told, want) {
		t.Errorf("told %+v", told)
	}
}

// Whoever keeps a table beside the shadows reads both in one transaction.
func TestKeysAndLoad(t *testing.T) {
	st := openStation(t)
	for _, topic := range []string{updateTopic("b"), "$aws/things/a/shadow/name/n/update", updateTopic("a"), updateTopic("gone")} {
		st.tell(topic, desired("k", 1))
	}
	st.tell("$aws/things/gone/shadow/delete", "")
	var pages []string
	err := st.DB.View(context.Background(), func(tx *sqlite.Tx) error {
		for after := (localshadow.Key{}); ; {
			page, err := localshadow.Keys(tx, after, 2)
			if err != nil || len(page) == 0 {
				return err
			}
			for _, k := range page {
				d, err := localshadow.Load(tx, k.Thing, k.Name)
				if err != nil || d.Desired != `{"k":1}` {
					t.Errorf("%v: %+v, %v", k, d, err)
				}
			}
			pages = append(pages, fmt.Sprint(page))
			after = page[len(page)-1]
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "keys", fmt.Sprint(pages), "[[{a } {a n}] [{b }]]")
}
