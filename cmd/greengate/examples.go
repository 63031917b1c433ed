package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// examples are what help shows of each command that does not bring its own, by its
// path below greengate. They stand in one place so that a test can hold that none
// is missing.
var examples = map[string]string{
	"init": `greengate init mysite                              # makes mysite/group.yaml, pki/ and data/
greengate init mysite --group home --core homepi_Core`,
	"import": `greengate import greengrass-v1 saved/ --out mysite`,
	"import greengrass-v1": `greengate import greengrass-v1 group.json devices.json subscriptions.json --out mysite
greengate import greengrass-v1 /greengrass --fold --out mysite           # config.json, certificates, all that is there
greengate import greengrass-v1 template.yaml --set CoreName=home_Core --out mysite`,
	"import greengrass-v2": `greengate import greengrass-v2 deployment.json associated.json /greengrass/v2/config --out mysite`,
	"run":                  `greengate run --config mysite/group.yaml`,
	"reload":               `greengate reload      # as kill -HUP does, and tells the faults of the file here`,
	"check": `greengate check                           # every fault, with line and column
greengate check --lint                    # and what is legal but hardly meant
greengate check --print                   # what is in force where the file is silent`,
	"plan":   `greengate plan new.yaml                   # who gains and who loses what, before it is in force`,
	"apply":  `greengate apply new.yaml --probation 10m  # back to the old file if it does harm`,
	"doctor": `greengate doctor`,
	"audit": `greengate audit
greengate audit --last 3
greengate audit --json | jq .whole`,
	"backup":  `greengate backup /media/usb/home.backup   # asks for a passphrase`,
	"restore": `greengate restore home.backup --to /etc/greengate`,
	"bundle":  `greengate bundle report.tar.gz`,
	"device": `greengate device add GG_Switch --out keys
greengate device list`,
	"device add": `greengate device add GG_Switch --out keys
greengate device add Sensor1 --label sensor --out keys`,
	"device list": `greengate device list
greengate device list --json`,
	"device remove": `greengate device remove GG_Switch          # refuses while rows name it, and lists them
greengate device remove GG_Switch --rows   # takes these rows out too`,
	"device renew": `greengate device renew GG_Switch --out keys`,
	"status": `greengate status
greengate status --follow                  # again and again, with rates
greengate status --json | jq .faults`,
	"explain": `greengate explain --from GG_Switch --topic hello/world
greengate explain --from cloud --topic cmd/GG_Switch/on --to GG_Switch`,
	"watch": `greengate watch --verdict refused,dropped
greengate watch --from Sensor1 --topic 'sensors/#'
greengate watch --to -                     # what has no target
greengate watch --json | jq -r .topic`,
	"learn": `greengate learn start                      # for a day; now use the site as always
greengate learn show                       # rows to paste, and what they allow
greengate learn stop`,
	"learn start": `greengate learn start
greengate learn start --for 2h`,
	"learn stop": `greengate learn stop`,
	"learn show": `greengate learn show
greengate learn show --exact               # without + and #
greengate learn show --json | jq -r '.rows[].text'`,
	"shadow": `greengate shadow get GG_TrafficLight
greengate shadow history GG_TrafficLight`,
	"shadow get": `greengate shadow get GG_TrafficLight
greengate shadow get GG_TrafficLight --name setup`,
	"shadow update": `greengate shadow update GG_TrafficLight '{"state":{"desired":{"property":"R"}}}'
echo '{"state":{"desired":{"property":null}}}' | greengate shadow update GG_TrafficLight`,
	"shadow delete":   `greengate shadow delete GG_TrafficLight`,
	"shadow list":     `greengate shadow list`,
	"shadow history":  `greengate shadow history GG_TrafficLight`,
	"shadow diff":     `greengate shadow diff GG_TrafficLight`,
	"shadow revert":   `greengate shadow revert GG_TrafficLight 12`,
	"gpio":            "greengate gpio list\ngreengate gpio set red on",
	"gpio list":       `greengate gpio list`,
	"gpio set":        "greengate gpio set red on\ngreengate gpio set lamp 40",
	"gpio press":      "greengate gpio press bell\ngreengate gpio press bell --hold 2s",
	"gpio identify":   `greengate gpio identify red`,
	"gpio safe":       `greengate gpio safe`,
	"spool":           "greengate spool stats\ngreengate spool list",
	"spool stats":     `greengate spool stats`,
	"spool list":      `greengate spool list`,
	"spool export":    `greengate spool export > waiting.jsonl`,
	"spool discard":   `greengate spool discard --all`,
	"spool requeue":   `greengate spool requeue --all`,
	"cloud":           `greengate cloud policy`,
	"cloud policy":    `greengate cloud policy > policy.json`,
	"admin":           `greengate admin token`,
	"function":        `greengate function list`,
	"function list":   `greengate function list`,
	"function logs":   "greengate function logs car-aggregator\ngreengate function logs car-aggregator --follow -n 0",
	"function invoke": "greengate function invoke car-aggregator --event event.json\necho '{\"n\": 1}' | greengate function invoke car-aggregator --event - --topic test/n",
	"function test": `greengate watch --json --payload --to function:car-aggregator > seen.jsonl
greengate function test car-aggregator --message seen.jsonl`,
	"function quarantine":   "greengate function quarantine\ngreengate function quarantine car-aggregator --json",
	"function requeue":      "greengate function requeue 17 18\ngreengate function requeue --function car-aggregator",
	"function discard":      `greengate function discard --all`,
	"completion":            `source <(greengate completion bash)   # the package has installed it already`,
	"completion bash":       `greengate completion bash > /etc/bash_completion.d/greengate`,
	"completion fish":       `greengate completion fish > ~/.config/fish/completions/greengate.fish`,
	"completion powershell": `greengate completion powershell | Out-String | Invoke-Expression`,
	"completion zsh":        `greengate completion zsh > "${fpath[1]}/_greengate"`,
	"schema":                `greengate schema > group.schema.json`,
	"version":               `greengate version`,
}

// addExamples gives every command its examples and the completion of its names.
func addExamples(a *app, root *cobra.Command) {
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		path := strings.TrimPrefix(cmd.CommandPath(), root.Name()+" ")
		if text := examples[path]; text != "" && cmd.Example == "" {
			cmd.Example = "  " + strings.ReplaceAll(text, "\n", "\n  ")
		}
		a.completeNames(cmd, path)
		for _, c := range cmd.Commands() {
			visit(c)
		}
	}
	visit(root)
}
