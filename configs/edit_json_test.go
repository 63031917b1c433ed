package configs

import (
	"encoding/json"
	"testing"
)

// jsonFiles are one site as people and programs write JSON.
var jsonFiles = map[string]string{
	"in a line":    `{"version": 1, "group": "g", "core": "c", "devices": [{"thing": "A"}, {"thing": "B"}], "subscriptions": []}`,
	"compact":      `{"version":1,"group":"g","core":"c","devices":[{"thing":"A"},{"thing":"B"}],"subscriptions":[{"from":"A","topic":"t","to":"B"}]}`,
	"without rows": `{"version": 1, "group": "g", "core": "c", "devices": [{"thing": "A"}, {"thing": "B"}]}`,
	"a device a line": `{
  "version": 1, "group": "g", "core": "c",
  "devices": [
    {"thing": "A"},
    {"thing": "B"}
  ]
}
`,
	"a key a line": `{
  "version": 1,
  "group": "g",
  "core": "c",
  "devices": [
    {
      "thing": "A"
    },
    {
      "thing": "B"
    }
  ],
  "subscriptions": [
    {
      "from": ["A", "B"],
      "topic": "t",
      "to": "B"
    }
  ]
}
`,
}

// A file that is JSON is JSON after each command that edits it, too: other programs
// read it.
func TestEditsKeepJSON(t *testing.T) {
	for name, before := range jsonFiles {
		t.Run(name, func(t *testing.T) {
			text := []byte(before)
			edited := func(what string, err error) {
				t.Helper()
				if err != nil || !json.Valid(text) {
					t.Fatalf("%s: %v\n%s", what, err, text)
				}
			}
			var err error
			text, err = AddDevice(text, DeviceEdit{Thing: "New", Labels: []string{"light", "on"}, Certificate: "sha256:" + aFingerprint})
			edited("device add", err)
			for _, row := range []string{
				`- {from: A, topic: "state/${from}/\a\U0001F600", to: [cloud, "device:New"]}`,
				"- {from: A, shadow: New, may: [get, watch]}",
				`{from: "label:light", topic: 'it''s', to: cloud, priority: low, ttl: 72h, live_share: 20, overtake: true}`,
				"- {from: New, topic: 5, to: A}",
			} {
				text, _, err = AddRow(text, row)
				edited("row "+row, err)
			}
			for _, thing := range []string{"New", "B", "A"} {
				text, _, err = RemoveDevice(text, thing, true)
				edited("device remove "+thing, err)
			}
			text, err = AddDevice(text, DeviceEdit{Thing: "A"})
			edited("device add to an empty list", err)
		})
	}
}
