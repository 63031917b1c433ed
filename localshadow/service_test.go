package localshadow_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

var noon = time.Unix(1730481958, 0)

// atNoon stops the clock.
func atNoon(_ *sqlite.Options, o *localshadow.Options) { o.Now = func() time.Time { return noon } }

// The topics and the order of messages, classic and named: aws-iot.md 1.1.
func TestTopics(t *testing.T) {
	for _, prefix := range []string{"", "name/home:light-1_$/"} {
		t.Run(prefix, func(t *testing.T) {
			st := openStation(t, atNoon)
			topic := "$aws/things/lamp/shadow/" + prefix
			strip := func(s string) string { return strings.ReplaceAll("\n"+s, "\n"+prefix, "\n") }
			subject := "lamp"
			if prefix != "" {
				subject = "lamp~home:light-1_$"
			}
			same(t, "get", strip(st.tell(topic+"get", "")),
				"\n"+`get/rejected {"code":404,"message":"No shadow exists with name: '`+subject+`'"}`)
			same(t, "update", strip(st.tell(topic+"update", `{"state":{"desired":{"on":1}},"clientToken":"t"}`)), `
update/delta {"state":{"on":1},"metadata":{"on":{"timestamp":1730481958}},"version":1,"timestamp":1730481958,"clientToken":"t"}
update/documents {"current":{"state":{"desired":{"on":1}},"metadata":{"desired":{"on":{"timestamp":1730481958}}},"version":1},"timestamp":1730481958,"clientToken":"t"}
update/accepted {"state":{"desired":{"on":1}},"metadata":{"desired":{"on":{"timestamp":1730481958}}},"version":1,"timestamp":1730481958,"clientToken":"t"}`)
			same(t, "rejected update", strip(st.tell(topic+"update", `{"state":{},"version":7,"clientToken":"t"}`)), `
update/rejected {"code":409,"message":"Version conflict","clientToken":"t"}`)
			same(t, "get", strip(st.tell(topic+"get", `{"clientToken":"t"}`)), `
get/accepted {"state":{"desired":{"on":1},"delta":{"on":1}},"metadata":{"desired":{"on":{"timestamp":1730481958}}},"version":1,"timestamp":1730481958,"clientToken":"t"}`)
			same(t, "delete", strip(st.tell(topic+"delete", `{"clientToken":"t"}`)), `
delete/accepted {"version":1,"timestamp":1730481958,"clientToken":"t"}`)
			same(t, "update after delete", strip(st.tell(topic+"update", `{"state":{}}`)), `
update/documents {"current":{"state":{},"metadata":{},"version":2},"timestamp":1730481958}
update/accepted {"state":{},"metadata":{},"version":2,"timestamp":1730481958}`)
		})
	}
}

// Shadows with other names are other shadows.
func TestShadowsAreApart(t *testing.T) {
	st := openStation(t)
	for i, topic := range []string{"$aws/things/a/shadow/update", "$aws/things/a/shadow/name/a/update", "$aws/things/b/shadow/update", "$aws/things/A/shadow/update"} {
		if got := st.tell(topic, desired("n", i)); !strings.Contains(got, `"version":1,`) {
			t.Errorf("%s: %s", topic, got)
		}
	}
}

func TestTopicsOfOthers(t *testing.T) {
	st := openStation(t)
	for _, topic := range []string{
		"", "a", "$aws/things/a/shadow", "$aws/things/a/shadow/", "$aws/things/a/shadow/update/accepted", "$aws/things/a/shadow/update/delta",
		"$aws/things/a/shadow/updates", "$aws/things/a/shadow/name/n", "$aws/things/a/shadow/name//update", "$aws/things/a/jobs/get",
		"$aws/things/a/b/shadow/get", "aws/things/a/shadow/get", "$aws/things/a/shadow/name/n/get/rejected",
	} {
		if err := st.Deliver(topic, nil, device, nil); !errors.Is(err, localshadow.ErrNotRequest) || localshadow.IsRequest(topic) {
			t.Errorf("%q: %v", topic, err)
		}
	}
}

// Names at and over their limits, and things that have no shadow here: aws-iot.md
// 1.8. The client's token comes back with every rejection.
func TestNames(t *testing.T) {
	st := openStation(t, atNoon, func(_ *sqlite.Options, o *localshadow.Options) {
		o.Known = func(thing string) bool { return thing != "none" }
	})
	long := func(n int) string { return strings.Repeat("n", n) }
	for _, c := range []struct{ thing, name, message string }{
		{long(128), "", ""}, {long(129), "", "Invalid thing name"}, {"ü", "", "Invalid thing name"}, {"", "", "Invalid thing name"},
		{"a", long(64), ""}, {"a", long(65), "Invalid shadow name"}, {"a", "é", "Invalid shadow name"}, {"a", "a.b", "Invalid shadow name"},
		{"none", "", "Thing not found"}, {"none", "n", "Thing not found"},
	} {
		base := "$aws/things/" + c.thing + "/shadow/"
		if c.name != "" {
			base += "name/" + c.name + "/"
		}
		got := st.tell(base+"update", `{"state":{},"clientToken":"t"}`)
		if ok := strings.Contains(got, `update/accepted {"state":{}`); ok != (c.message == "") || !strings.Contains(got, c.message) || !strings.Contains(got, `"clientToken":"t"`) {
			t.Errorf("%.80s: %s", base, got)
		}
		_, err := st.Update(context.Background(), c.thing, c.name, []byte(`{"state":{}}`), device)
		_, errGet := st.Get(context.Background(), c.thing, c.name, nil)
		if c.message == "" && (err != nil || errGet != nil) || c.message != "" && (err == nil || err.Error() != c.message || errGet == nil || errGet.Error() != c.message) {
			t.Errorf("%.80s: direct: %v, %v", base, err, errGet)
		}
		st.take()
	}
}

// What cannot be a request is answered, changes nothing, and its receipt comes.
func TestBadInput(t *testing.T) {
	st := openStation(t, atNoon)
	st.tell(updateTopic("a"), desired("k", 1))
	for _, payload := range []string{
		strings.Repeat("x", 1<<20), `{"state":{"desired":{"k":"` + strings.Repeat("x", 8192) + `"}}}`, nest(1000, `{"a":`, `}`),
		"\xff\xfe", `{"state":{"desired":{"k":2,"k":3}}}`, ``, `null`, `{"state":{"desired":{"k":[null]}}}`,
		`{"state":{},"version":0}`, `{"state":{},"version":1e999}`, `{"state":{},"version":99999999999999999999}`,
	} {
		if got := st.tell(updateTopic("a"), payload); !strings.HasPrefix(got, `update/rejected {"code":4`) {
			t.Errorf("%.50s: %.200s", payload, got)
		}
	}
	if got := st.tell("$aws/things/a/shadow/get", strings.Repeat("x", 1<<20)); !strings.Contains(got, `"desired":{"k":1}`) || !strings.Contains(got, `"version":1,`) {
		t.Errorf("get: %s", got)
	}
	if n := st.Stats().Rejected; n[413] != 2 || n[415] != 1 || n[409] != 1 || n[400] != 7 {
		t.Errorf("counted %v", n)
	}
}

// One thing's requests are answered in the order in which they came, whatever
// they are, and each receipt comes after its answers.
func TestOrder(t *testing.T) {
	st := openStation(t, func(_ *sqlite.Options, o *localshadow.Options) { o.Bounds.PendingPerThing = 1000 })
	var want []string
	var wait sync.WaitGroup
	version := 0
	for i := range 300 {
		topic, payload := updateTopic("a"), fmt.Sprintf(`{"state":{"desired":{"k":%d}},"clientToken":"%d"}`, i, i)
		token := fmt.Sprintf(`"clientToken":"%d"}`, i)
		switch i % 5 {
		case 1:
			payload = strings.Replace(payload, `"desired"`, `"wished"`, 1)
			want = append(want, "update/rejected "+token)
		case 2:
			topic = "$aws/things/a/shadow/get"
			want = append(want, fmt.Sprintf(`get/accepted "version":%d `, version)+token)
		case 3:
			payload = strings.TrimSuffix(payload, "}") + `,"version":0}`
			want = append(want, "update/rejected "+token)
		default:
			version++
			for _, answer := range []string{"delta", "documents", "accepted"} {
				want = append(want, fmt.Sprintf(`update/%s "version":%d `, answer, version)+token)
			}
		}
		want = append(want, fmt.Sprintf("settled %d", i))
		wait.Add(1)
		err := st.Deliver(topic, []byte(payload), device, func(err error) {
			st.mu.Lock()
			st.sent = append(st.sent, sent{"settled", fmt.Sprint(i)})
			st.mu.Unlock()
			wait.Done()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	wait.Wait()
	all := st.take()
	if len(all) != len(want) {
		t.Fatalf("%d messages, want %d", len(all), len(want))
	}
	for i, m := range all {
		got := strings.TrimPrefix(m.topic, "$aws/things/a/shadow/") + " " + m.payload
		for j, part := range strings.SplitAfter(want[i], " ") {
			if part = strings.TrimSpace(part); j == 0 && !strings.HasPrefix(got, part) || !strings.Contains(got, part) {
				t.Fatalf("message %d is %s, want %s", i, got, want[i])
			}
		}
	}
}

// What is told is in the database already: guarantee 4 of the design.
func TestCommitFirst(t *testing.T) {
	var st *station
	accepted := 0
	st = openStation(t, func(_ *sqlite.Options, o *localshadow.Options) {
		o.Publish = func(topic string, payload []byte) {
			if !strings.HasSuffix(topic, "/accepted") {
				return
			}
			accepted++
			d, err := st.Document(context.Background(), "a", "")
			if told := number(t, string(payload), "version"); err != nil || d.Version < told {
				t.Errorf("version %d is told, the store has %d, %v", told, d.Version, err)
			}
		}
	})
	for i := range 50 {
		if err := st.Deliver(updateTopic("a"), []byte(desired("n", i)), device, func(error) {}); err != nil {
			t.Fatal(err)
		}
	}
	st.stop()
	if accepted != 50 {
		t.Errorf("%d of 50 are told", accepted)
	}
}

// Many things at once: versions rise one by one, nothing is lost.
func TestConcurrent(t *testing.T) {
	st := openStation(t)
	const things, each = 20, 50
	var wait sync.WaitGroup
	for thing := range things {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := range each {
				if thing%2 == 0 {
					if _, err := st.Update(context.Background(), fmt.Sprint(thing), "", []byte(desired("k", i)), device); err != nil {
						t.Error(err)
					}
				} else if err := st.deliver(updateTopic(fmt.Sprint(thing)), desired("k", i)); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	wait.Wait()
	next := map[string]int64{}
	for _, m := range st.take() {
		if thing, ok := strings.CutSuffix(m.topic, "/update/accepted"); ok {
			next[thing]++
			if v := number(t, m.payload, "version"); v != next[thing] {
				t.Fatalf("%s: version %d, want %d", thing, v, next[thing])
			}
		}
	}
	if s := st.Stats(); s.Shadows != things || s.Accepted != things*each || s.Operations["update"] != things*each || s.Operations["get"] != 0 || s.Bytes != things*int64(len(`{"k":49}`)) || s.Waiting != 0 {
		t.Errorf("stats: %+v", s)
	}
}
