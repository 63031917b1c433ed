package greengrassv1

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"greengate/configs"
)

func importV2(t *testing.T, paths []string, certificates map[string]string, o Options) *Result {
	t.Helper()
	files, err := Collect(paths)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ImportV2(files, certificates, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestV2(t *testing.T) {
	r := importV2(t, []string{"testdata/v2"}, map[string]string{"sensor-1": strings.Repeat("AB", 32)}, Options{})
	var rows []string
	for _, w := range r.Config.Subscriptions {
		rows = append(rows, w.Text)
	}
	want := `{from: "label:Sensors", topic: "clients/${from}/temp", to: cloud}
{from: cloud, topic: "cmd/${to}", to: "label:Sensors"}
{from: "label:Sensors", topic: "$aws/things/${from}/shadow/#", to: shadow}
{from: shadow, topic: "$aws/things/${to}/shadow/#", to: "label:Sensors"}
{from: "label:Sensors", topic: "clients/${from}/temp", to: "label:Panels"}`
	if got := strings.Join(rows, "\n"); got != want {
		t.Errorf("rows\n%s\nwant\n%s", got, want)
	}
	var devices []string
	for _, d := range r.Config.Devices {
		devices = append(devices, strings.Join([]string{d.Thing, strings.Join(d.Labels, " "), d.Shadow, d.Direction, d.Fingerprint()}, ","))
	}
	wantDevices := "sensor-1,Sensors,sync,up," + strings.Repeat("ab", 32) + "\nsensor-2,Sensors,local,both,\npanel-1,Panels,local,both,\npanel-2,Panels,local,both,"
	if got := strings.Join(devices, "\n"); got != wantDevices {
		t.Errorf("devices\n%s\nwant\n%s", got, wantDevices)
	}
	if c := r.Config; c.Core != "MyGreengrassCore" || c.Group != "greengrassV2-coreDevice-MyGreengrassCore" || c.OwnShadows ||
		c.Cloud.Endpoint != "a1b2c3d4e5f6g7-ats.iot.eu-west-1.amazonaws.com" || c.Cloud.Port != 443 || c.Cloud.Spool.MaxSize != 4<<20 {
		t.Errorf("core %s, group %s, cloud %+v", c.Core, c.Group, c.Cloud)
	}
	text := reportText(t, r)
	for _, say := range []string{
		"resource mqtt:topicfilter:odd*: a * that is not at the end after a / has no counterpart; left out",
		"mapping Component: clients/+/temp from LocalMqtt to Pubsub: components are no part of the table",
		"shadow of elsewhere: it is no client device, and so not synced",
		"component com.example.Dashboard 1.0.0:",
		"certificates of 3 client devices: Greengrass V2 does not say them",
	} {
		if !strings.Contains(text, say) {
			t.Errorf("the report does not say %q:\n%s", say, text)
		}
	}
	if strings.Contains(text, "subscription") {
		t.Errorf("the report speaks of subscriptions, which V2 has none of:\n%s", text)
	}
}

// What a deployment says of the core itself counts without effectiveConfig.yaml.
func TestV2Nucleus(t *testing.T) {
	deployment := func(target, nucleus string) string {
		return `{"targetArn":"arn:aws:iot:r:1:thing/` + target + `","components":{"aws.greengrass.Nucleus":{"componentVersion":"2.13.0","configurationUpdate":{"merge":` + nucleus + `}}}}`
	}
	const rest = `"mqtt":{"port":443,"spooler":{"maxSizeInBytes":5242880}},"networkProxy":{"proxy":{"url":"http://proxy.shop:3128"}}`
	const host = `"iotDataEndpoint":"a1-ats.iot.eu-west-1.amazonaws.com",`
	r, err := ImportV2(one(deployment("C", "{"+host+rest+"}")), nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c := r.Config.Cloud; r.Core != "C" || c == nil || c.Endpoint != "a1-ats.iot.eu-west-1.amazonaws.com" || c.Port != 443 ||
		c.Proxy != "http://proxy.shop:3128" || c.Spool.MaxSize != 5<<20 {
		t.Errorf("core %s, cloud %+v", r.Core, r.Config.Cloud)
	}
	if text := reportText(t, r); !strings.Contains(text, "certificate of the core: the deployment does not name it: put it to pki/core.cert.pem") {
		t.Errorf("the report\n%s", text)
	}
	// Without an endpoint the rest waits for it.
	if r, err = ImportV2(one(deployment("C", "{"+rest+"}")+deployment("D", "{}")), nil, Options{}); err != nil {
		t.Fatal(err)
	}
	text := reportText(t, r)
	for _, say := range []string{"endpoint of AWS IoT Core: the deployment names none", "deployment to D: it is for another core"} {
		if !strings.Contains(text, say) {
			t.Errorf("the report does not say %q:\n%s", say, text)
		}
	}
	for _, line := range []string{"#cloud:\n", "\n#  port: 443\n", "\n#  proxy: \"http://proxy.shop:3128\"\n", "\n#  spool: {max_size: 5MiB, when_full: drop_oldest}\n"} {
		if !strings.Contains(string(r.File), line) || r.Config.Cloud != nil {
			t.Errorf("the file does not have %q:\n%s", line, r.File)
		}
	}
}

// Rows with labels and placeholders stay what they are when they are folded.
func TestV2Folded(t *testing.T) {
	r := importV2(t, []string{"testdata/v2"}, nil, Options{Fold: true})
	var rows []string
	for _, w := range r.Config.Subscriptions {
		rows = append(rows, w.Text)
	}
	if got := strings.Join(rows, "\n"); !strings.Contains(got, `{from: "label:Sensors", topic: "clients/${from}/temp", to: [cloud, "label:Panels"]}`) || len(rows) != 4 {
		t.Errorf("rows\n%s", got)
	}
}

func TestMeet(t *testing.T) {
	for _, c := range []struct {
		a, b, both string
		sure       bool
	}{
		{"a/b", "a/b", "a/b", true}, {"a/+", "a/b", "a/b", true}, {"a/b", "a/+", "a/b", true}, {"a/b", "a/c", "", true},
		{"a/#", "a/b/c", "a/b/c", true}, {"a/#", "a", "a", true}, {"a/+/c", "a/#", "a/+/c", true}, {"a/+", "+/b", "a/b", true}, {"a/+/#", "a", "", true},
		{"#", "a/b", "a/b", true}, {"*", "*", "#", true}, {"*", "$aws/x", "$aws/x", true}, {"#", "$aws/x", "", true}, {"+/x", "$aws/x", "", true},
		{"$aws/things/${from}/shadow/#", shadowTopics, "$aws/things/${from}/shadow/#", true},
		{"a/${from}", "a/+", "a/${from}", true}, {"a/${from}", "a/b", "", false}, {"a/${from}", "a/${to}", "", true}, {"a/#", "a/${to}", "a/${to}", true},
	} {
		both, ok, sure := meet(c.a, c.b)
		if both != c.both || ok != (c.both != "") || sure != c.sure {
			t.Errorf("%s and %s meet in %q, %v, %v; want %q, %v", c.a, c.b, both, ok, sure, c.both, c.sure)
		}
	}
}

func TestV2Faults(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"something else", `{"a":1}`, "in:1:1: this is nothing that the import knows"},
		{"no core", `{"associatedClientDevices":[{"thingName":"a"}]}`, "the inputs do not name the core (add effectiveConfig.yaml"},
		{"a merge that is no JSON", "{\"components\":{\n\"aws.greengrass.ShadowManager\":{\"configurationUpdate\":{\"merge\":\"{x\"}}}}",
			`in:2:1: components["aws.greengrass.ShadowManager"].configurationUpdate.merge: this is no JSON`},
		{"a direction", `{"coreDeviceThingName":"c"}{"components":{"aws.greengrass.ShadowManager":{"configurationUpdate":{"merge":"{\"synchronize\":{\"direction\":\"sideways\"}}"}}}}`,
			`synchronize.direction: "sideways" is no direction (betweenDeviceAndCloud, deviceToCloud or cloudToDevice)`},
	} {
		_, err := ImportV2(one(c.in), nil, Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\nwant %s", c.name, err, c.want)
		}
	}
	if _, err := ImportV2(nil, map[string]string{"a": "12"}, Options{}); err == nil || !strings.Contains(err.Error(), "64 hex digits") {
		t.Errorf("a certificate of two digits: %v", err)
	}
}

// FuzzImportV2 is FuzzImport for Greengrass V2.
func FuzzImportV2(f *testing.F) {
	names, err := filepath.Glob("testdata/v2/*")
	if err != nil {
		f.Fatal(err)
	}
	all := []byte{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		if filepath.Ext(name) == ".json" {
			all = append(all, text...)
		}
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ImportV2([]File{{Name: "x", Data: data, Named: true}}, map[string]string{"one": strings.Repeat("1", 64)}, Options{Core: "core"})
		var faults configs.Faults
		if errors.As(err, &faults) {
			for _, f := range faults {
				if f.File == madeFile {
					t.Fatalf("the import made a wrong file: %v", f)
				}
			}
		}
		if err == nil {
			_ = r.Readme("x")
		}
	})
}
