package main_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"greengate/configs/greengrassv1/testdata/factory"
	"greengate/sync/cloud/cloudtest"
)

// Groups of Greengrass V1 that move over. What plays AWS is the stand-in for its cloud:
// its CA has signed the certificates of the core and of all devices, and greengate has
// never seen that CA.

// importedSite is a site that an import is to make. Its devices have had their files for
// years.
type importedSite struct {
	*site
	aws *cloudtest.Cloud
}

func newImportedSite(t *testing.T) *importedSite {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "site")
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	s := &importedSite{
		site: &site{t: t, dir: dir, file: filepath.Join(dir, "group.yaml")},
		aws:  cloudtest.Start(t, cloudtest.Options{Limits: cloudtest.Limits{PublishRate: -1, ConnectRate: -1, Throughput: -1}}),
	}
	s.broker, s.discovery = freeAddress(t, host), freeAddress(t, host)
	return s
}

// issue gives a thing the certificate that AWS gave it, and returns its fingerprint,
// which is the id that AWS has for it.
func (s *importedSite) issue(thing string) string {
	s.t.Helper()
	if err := os.MkdirAll(s.folder(thing), 0o755); err != nil {
		s.t.Fatal(err)
	}
	files, err := s.aws.Files(s.folder(thing), thing)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := os.ReadFile(files.Certificate)
	if err != nil {
		s.t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	sum := sha256.Sum256(block.Bytes)
	s.put(filepath.Join(s.folder(thing), "root-ca.pem"), string(s.aws.CA()))
	return hex.EncodeToString(sum[:])
}

// put writes a file, in a folder that is made if it is missing.
func (s *importedSite) put(name, content string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// saved copies inputs of the importer's tests, with other words in them.
func (s *importedSite) saved(name string, words *strings.Replacer) string {
	s.t.Helper()
	from := filepath.Join("..", "..", "configs", "greengrassv1", "testdata", name)
	to := filepath.Join(filepath.Dir(s.dir), "saved")
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(from, path)
		s.put(filepath.Join(to, rel), words.Replace(string(text)))
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return to
}

// imports runs the import and the check, and makes of the result what a test can run.
func (s *importedSite) imports(args ...string) string {
	s.t.Helper()
	out := s.greengate(append(append([]string{"import", "greengrass-v1"}, args...), "--out", s.dir, "--key", "p-256")...)
	if checked := s.greengate("check"); !strings.Contains(checked, "is valid") {
		s.t.Errorf("check: %s", checked)
	}
	s.listenAt(s.broker, s.discovery)
	s.set(false, "discovery", "announce")
	s.set("", "admin", "listen")
	return out
}

// trust does on a device what the README of the import says: it appends the CA of the
// site to the root CA file that is there.
func (s *importedSite) trust(things ...string) {
	s.t.Helper()
	root, err := os.ReadFile(filepath.Join(s.dir, "pki", "root-ca.pem"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, thing := range things {
		name := filepath.Join(s.folder(thing), "root-ca.pem")
		had, err := os.ReadFile(name)
		if err != nil {
			s.t.Fatal(err)
		}
		s.put(name, string(had)+string(root))
	}
}

// The traffic light of the tutorial, with API answers one by one, config.json and its
// certificates: AWS's SDKs discover the gateway and do what they did before, with their
// old certificates, and the core is in the cloud with its own.
func TestImportedTrafficLight(t *testing.T) {
	t.Parallel()
	s := newImportedSite(t)
	core := s.issue("GG_TrafficLight_Core")
	inputs := s.saved("traffic-light", strings.NewReplacer(
		strings.Repeat("c0", 32), core, strings.Repeat("5a", 32), s.issue("GG_Switch"), strings.Repeat("7b", 32), s.issue(light),
		"a1b2c3d4e5f6g7-ats.iot.eu-west-1.amazonaws.com", s.aws.Name(), "/srv/cars", filepath.Join(s.folder(light), "cars")))
	if err := os.Mkdir(filepath.Join(s.folder(light), "cars"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range [][2]string{{"GG_TrafficLight_Core.cert.pem", "core.cert.pem"}, {"GG_TrafficLight_Core.private.key", "core.private.key"}, {"root-ca.pem", "root.ca.pem"}} {
		text, err := os.ReadFile(filepath.Join(s.folder("GG_TrafficLight_Core"), f[0]))
		if err != nil {
			t.Fatal(err)
		}
		s.put(filepath.Join(inputs, "certs", f[1]), string(text))
	}
	if out := s.imports(inputs, "--fold"); !strings.Contains(out, "9 subscriptions (9 taken over, 0 repeated, 0 left out)") {
		t.Errorf("the report: %s", out)
	}
	s.trust("GG_Switch", light)
	s.set(s.aws.Port(), "cloud", "port")
	s.lambda()

	// What the light showed last is in the cloud.
	if _, err := s.aws.UpdateShadow(light, "", []byte(`{"state":{"desired":{"property":"R"},"reported":{"property":"R"}}}`)); err != nil {
		t.Fatal(err)
	}
	at443 := s.at443()
	g := s.start()
	eventually(t, "the core is in the cloud with its own certificate", func() bool { return g.status().Cloud.Connected })
	cloud := &cloudSite{s.site, s.aws}
	cloud.equal(light, `{"desired":{"property":"R"},"reported":{"property":"R"}}`)

	if code, body := s.discover(s.identity(light), light); code != 200 || !strings.Contains(body, `"GGGroupId":"6b2b4f9e-63f6-4a31-9a63-3e0f7a3c9d10"`) {
		t.Errorf("discovery: %d %s", code, body)
	}
	if code, body := s.discover(foreign(t, light), light); code != 401 {
		t.Errorf("discovery with a forged certificate: %d %s", code, body)
	}
	greens := s.lights(at443)
	cloud.equal(light, `{"desired":{"property":"R"},"reported":{"property":"R"}}`)
	eventually(t, "the function has counted the green lights and told the cloud", func() bool {
		for _, m := range s.aws.Received() {
			if m.Topic == "traffic/cars" && string(m.Payload) == fmt.Sprintf(`{"green": %d}`, greens) {
				return true
			}
		}
		return false
	}, g.has("GG_Car_Aggregator"))

	// Nothing more than before: the switch's own shadow had no row.
	control := s.connect("GG_Switch")
	if code := control.publish(shadowTopic("GG_Switch", "", "update"), `{"state":{}}`); code != notAuthorized {
		t.Errorf("the switch updates its own shadow: %#x, want %#x", code, notAuthorized)
	}
}

// aggregator is a Lambda of the tutorial's kind. Its code is no part of the definitions.
const aggregator = `import json
import boto3

iot = boto3.client("iot-data")
green = 0


def colour(document):
    return ((document or {}).get("state", {}).get("reported") or {}).get("property")


def function_handler(event, context):
    global green
    if colour(event["current"]) == "G" and colour(event.get("previous")) != "G":
        green += 1
        iot.publish(topic="traffic/cars", qos=1, payload=json.dumps({"green": green}))
`

// lambda puts the code of the function where the report says.
func (s *importedSite) lambda() {
	s.t.Helper()
	s.put(filepath.Join(s.dir, "functions", "GG_Car_Aggregator", "carAggregator.py"), aggregator)
	text, err := os.ReadFile(s.file)
	if err != nil {
		s.t.Fatal(err)
	}
	// Debian's, which has Debian's boto3.
	s.write(strings.Replace(string(text), "command: [python3,", "command: [/usr/bin/python3,", 1))
}

// lights lets the switch ask for colours and the light show them, with both SDKs. It
// returns how often the light was green.
func (s *importedSite) lights(at443 bool) (greens int) {
	s.t.Helper()
	host, port := s.hostPort()
	play := func(remote *lineReader) {
		s.t.Helper()
		remote.until("ready")
		for _, colour := range []string{"G", "Y", "R"} {
			control := s.node("light.js", host, port, "GG_Switch", colour)
			control.says("ready", `accepted {"desired":{"property":"`+colour+`"}}`, "bye")
			control.end()
			remote.says(`accepted {"reported":{"property":"` + colour + `"}}`)
		}
		remote.says("bye")
		remote.end()
	}
	play(s.node("light.js", host, port, light, ""))
	if !at443 {
		s.t.Log("version 2 of the SDK asks on port 443 only, which this user may not listen on: left out")
		return 1
	}
	host443, port443, _ := net.SplitHostPort(s.discovery)
	play(s.node("light-v2.js", host443, port443, light, ""))
	return 2
}

// at443 moves discovery to port 443, where version 2 of the SDK looks, if this user may.
func (s *importedSite) at443() bool {
	s.t.Helper()
	host, _ := s.hostPort()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "443"))
	if errors.Is(err, syscall.EACCES) {
		return false
	}
	if err != nil {
		s.t.Fatal(err)
	}
	_ = l.Close()
	s.listenAt(s.broker, net.JoinHostPort(host, "443"))
	return true
}

// rowsWithout takes the rows out that hold a text.
func (s *importedSite) rowsWithout(word string) {
	s.t.Helper()
	text, err := os.ReadFile(s.file)
	if err != nil {
		s.t.Fatal(err)
	}
	var kept []string
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "- {from") || !strings.Contains(line, word) {
			kept = append(kept, line)
		}
	}
	s.write(strings.Join(kept, ""))
}

// Hello world, as a CloudFormation template whose parameters are asked for by name.
func TestImportedHelloWorld(t *testing.T) {
	t.Parallel()
	s := newImportedSite(t)
	template := filepath.Join("..", "..", "configs", "greengrassv1", "testdata", "hello-world", "template.yaml")
	out := s.fails(1, "import", "greengrass-v1", template, "--out", s.dir)
	for _, want := range []string{"template.yaml:48:1: Resources.DeviceDefinitionVersion.Properties.Devices[0].CertificateArn: PublisherCertificate has no value (--set 'PublisherCertificate=VALUE')", "SubscriberCertificate"} {
		if !strings.Contains(out, want) {
			t.Errorf("without its parameters it says %s, want %s", out, want)
		}
	}
	if _, err := os.Stat(s.dir); err == nil {
		t.Error("the import failed, and made the folder")
	}
	s.imports(template, "--set", "WithFunction=no",
		"--set", "PublisherCertificate="+s.issue("HelloWorld_Publisher"), "--set", "SubscriberCertificate="+s.issue("HelloWorld_Subscriber"))
	s.trust("HelloWorld_Publisher", "HelloWorld_Subscriber")
	g := s.start()
	publisher, subscriber := s.connect("HelloWorld_Publisher"), s.connect("HelloWorld_Subscriber")
	publisher.subscribe("#")
	subscriber.subscribe("hello/world/pubsub")
	if code := publisher.publish("hello/world/pubsub", "hello"); code != 0 {
		t.Errorf("publish: %#x", code)
	}
	subscriber.hears("hello/world/pubsub", "hello")
	if code := subscriber.publish("hello/world/pubsub", "back"); code != notAuthorized {
		t.Errorf("the way back has no row: %#x, want %#x", code, notAuthorized)
	}
	g.counts(ledger{Accepted: 2, Delivered: 1, Refused: 1})
	if code := s.refusal(s.identity("HelloWorld_Publisher"), "HelloWorld_Subscriber"); code < 0x80 {
		t.Errorf("the publisher is let in as the subscriber: %#x", code)
	}
	if out := s.fails(1, "import", "greengrass-v1", template, "--out", s.dir); !strings.Contains(out, "is there already, and import writes over nothing") {
		t.Errorf("a second import into the folder: %s", out)
	}
}

// A factory of 200 devices and 2,000 subscriptions runs, folded.
func TestImportedFactory(t *testing.T) {
	t.Parallel()
	s := newImportedSite(t)
	inputs := filepath.Join(filepath.Dir(s.dir), "saved")
	if err := os.MkdirAll(inputs, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := factory.Write(inputs); err != nil {
		t.Fatal(err)
	}
	all := filepath.Join(inputs, "all.json")
	text, err := os.ReadFile(all)
	if err != nil {
		t.Fatal(err)
	}
	things := []string{"press-2-07", "panel-06", "panel-07", "sensor-001"}
	var words []string
	for _, thing := range things {
		words = append(words, factory.Certificate(thing), s.issue(thing))
	}
	s.put(all, strings.NewReplacer(words...).Replace(string(text)))
	s.imports(inputs, "--fold")
	s.trust(things...)
	s.set([]string{}, "functions")
	s.rowsWithout("function:")
	s.start()
	press, panel, other := s.connect("press-2-07"), s.connect("panel-07"), s.connect("panel-06")
	press.subscribe("#")
	press.subscribe("$aws/things/press-2-07/shadow/get/+")
	if code := other.publish("factory/line/2/cmd/stop", "not mine"); code == notAuthorized {
		t.Errorf("panel-06 has a row for others of that line: %#x", code)
	}
	panel.publish("factory/line/2/cmd/stop", "now")
	press.publish("$aws/things/press-2-07/shadow/get", "")
	heard := map[string]string{}
	for range 2 {
		p := press.next()
		heard[p.Topic] = string(p.Payload)
	}
	if heard["factory/line/2/cmd/stop"] == "" || !strings.Contains(heard["$aws/things/press-2-07/shadow/get/rejected"], "404") {
		t.Errorf("the press heard %q", heard)
	}
	if code := press.publish("$aws/things/press-2-08/shadow/get", ""); code != notAuthorized {
		t.Errorf("the press asks for the shadow of another one: %#x, want %#x", code, notAuthorized)
	}
}
