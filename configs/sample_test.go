package configs

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"greengate/functions"
	"greengate/gpio"
	"greengate/subscriptions"
	"greengate/sync/cloud"
)

func TestSampleIsTheDefaults(t *testing.T) {
	data, err := Sample(SampleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c := mustParse(t, string(data))
	want := Default()
	want.Version, want.Group, want.Core = 1, "home", "gateway_Core"
	if got := essence(c); !reflect.DeepEqual(got, essence(&want)) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if len(c.Warnings) != 0 {
		t.Errorf("warnings %v", c.Warnings)
	}
	if first, _, _ := strings.Cut(string(data), "\n"); first != "# yaml-language-server: $schema="+SchemaFile {
		t.Errorf("editors do not find the schema: %s", first)
	}
}

func TestSampleOptions(t *testing.T) {
	data, err := Sample(SampleOptions{
		Group: "the shop: \"1\"", Core: "0123", Data: "/var/lib/greengate", PKI: "my pki",
		Broker: []string{"127.0.0.1:0"}, Discovery: []string{"127.0.0.1:0", "[::1]:443"}, Quiet: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := mustParse(t, string(data))
	if c.Group != "the shop: \"1\"" || c.Core != "0123" || c.Data != "/var/lib/greengate" || c.PKI.Dir != "my pki" ||
		len(c.Broker.Listen) != 1 || len(c.Discovery.Listen) != 2 || c.Discovery.Announce {
		t.Errorf("got %+v", c)
	}
	if _, err := Sample(SampleOptions{Core: "a b"}); err == nil || !strings.Contains(err.Error(), "core: ") {
		t.Errorf("a core that is no thing name: %v", err)
	}
}

// Who takes the # from every line that is meant for it has a good file that
// uses every section.
func TestSampleTeachesEveryKey(t *testing.T) {
	data, err := Sample(SampleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// Prose has one blank behind the #, or three.
	text := regexp.MustCompile(`(?m)^#((?:  )*[a-z-])`).ReplaceAllString(string(data), "$1")
	c := mustParse(t, text)
	if len(c.Warnings) != 0 {
		t.Errorf("warnings: %v", c.Warnings)
	}
	if c.GPIO == nil || len(c.Functions) != 2 || c.Cloud == nil || len(c.Devices) != 3 || len(c.Subscriptions) != 8 {
		t.Errorf("got %+v", c)
	}
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		t.Fatal(err)
	}
	words := flow(root.Content[0])
	for _, typ := range []reflect.Type{reflect.TypeFor[Config](), reflect.TypeFor[Device](), reflect.TypeFor[subscriptions.Row](),
		reflect.TypeFor[gpio.Config](), reflect.TypeFor[gpio.Output](), reflect.TypeFor[gpio.PWM](), reflect.TypeFor[gpio.Servo](), reflect.TypeFor[gpio.Button](),
		reflect.TypeFor[gpio.Input](), reflect.TypeFor[gpio.Counter](), reflect.TypeFor[gpio.Sensor](), reflect.TypeFor[gpio.Calibration](), reflect.TypeFor[functions.Config](), reflect.TypeFor[functions.Queue](), reflect.TypeFor[cloud.Config]()} {
		for _, key := range describe(typ).names {
			if !strings.Contains(words, key+": ") {
				t.Errorf("the sample does not show %s of %s", key, typ)
			}
		}
	}
}
