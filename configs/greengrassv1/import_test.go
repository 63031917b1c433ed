package greengrassv1

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

// one is an input with that content.
func one(text string) []File { return []File{{Name: "in", Data: []byte(text), Named: true}} }

// readAll reads the traffic light, file by file.
func readAll(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("testdata/traffic-light/*/*.json")
	if err != nil || len(names) < 8 {
		t.Fatalf("%v, %v", names, err)
	}
	files := map[string]string{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(name)] = string(text)
	}
	return files
}

// The same group in whatever form its owner has saved it is the same file.
func TestFormsOfInput(t *testing.T) {
	files := readAll(t)
	want := importFolder(t, "testdata/traffic-light", Options{}).File
	order := []string{"config.json", "core.json", "devices.json", "functions.json", "group-version.json", "lambda.json", "loggers.json", "resources.json", "subscriptions.json"}
	concatenated, slurped := "", []json.RawMessage{}
	for _, name := range order {
		concatenated += files[name]
		slurped = append(slurped, json.RawMessage(files[name]))
	}
	array, err := json.Marshal(slurped)
	if err != nil {
		t.Fatal(err)
	}
	units := utf16.Encode([]rune(concatenated))
	wide := []byte{0xFF, 0xFE}
	for _, u := range units {
		wide = append(wide, byte(u), byte(u>>8))
	}
	var zipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	for _, name := range order {
		w, err := z.Create("group/" + name)
		if err == nil {
			_, err = w.Write([]byte(files[name]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	yaml := ""
	for _, name := range order { // JSON is YAML, one document after the other
		yaml += "---\n# " + name + "\n" + files[name]
	}
	for form, data := range map[string][]byte{
		"concatenated": []byte(concatenated), "an array": array, "a byte order mark": append([]byte("\uFEFF"), concatenated...),
		"UTF-16, as PowerShell writes it": wide, "a zip": zipped.Bytes(), "YAML": []byte(yaml),
	} {
		name := filepath.Join(t.TempDir(), "input")
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		inputs, err := Collect([]string{name})
		if err != nil {
			t.Errorf("%s: %v", form, err)
			continue
		}
		r, err := Import(inputs, Options{})
		if err != nil {
			t.Errorf("%s: %v", form, err)
		} else if !bytes.Equal(r.File, want) {
			t.Errorf("%s makes another file:\n%s\nwant\n%s", form, r.File, want)
		}
	}
}

const (
	a1   = `{"Arn":"arn:aws:greengrass:r:a:/greengrass/definition/devices/1/versions/1","Id":"1","Version":"1","Definition":{"Devices":[`
	dev  = `{"Id":"i","ThingArn":"arn:aws:iot:r:a:thing/one","CertificateArn":"arn:aws:iot:r:a:cert/1111111111111111111111111111111111111111111111111111111111111111"}`
	dev2 = `{"Id":"j","ThingArn":"arn:aws:iot:r:a:thing/two","CertificateArn":"arn:aws:iot:r:a:cert/2222222222222222222222222222222222222222222222222222222222222222"}`
)

// Every fault says file, line, key and what to do.
func TestFaults(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"no JSON", "{\"Definition\": {\"Devices\": [}}", "in:1:28: this is no JSON: "},
		{"half a file", "{\"Definition\":\n {\"Devices\": [", "in:2:14: this is no JSON: it ends in the middle (save the answer of the AWS command line whole)"},
		{"no YAML", "a: [b\nc: d", "this is no YAML"},
		{"something else", `{"hello": "world"}`, "in:1:1: this is nothing that the import knows (known are the answers of aws greengrass get-group-version"},
		{"no text", "\xff\x00\x01", "in:1:1: this is no text in UTF-8"},
		{"a certificate that is none", "{\"Devices\": [\n{\"ThingArn\": \"arn:aws:iot:r:a:thing/x\",\n\"CertificateArn\": \"arn:aws:iot:r:a:cert/12\"}]}",
			`in:3:1: Devices[0].CertificateArn: "arn:aws:iot:r:a:cert/12" does not end in the id of a certificate (arn:aws:iot:REGION:ACCOUNT:cert/ and 64 hex digits)`},
		{"a thing that is none", `{"Devices": [{"ThingArn": "arn:aws:iot:r:a:policy/x", "CertificateArn": "arn:aws:iot:r:a:cert/` + strings.Repeat("1", 64) + `"}]}`, `Devices[0].ThingArn: "arn:aws:iot:r:a:policy/x" is no ARN of a thing`},
		{"a boolean", a1 + strings.Replace(dev, `"Id":"i"`, `"SyncShadow":"maybe"`, 1) + `]}}`, `Definition.Devices[0].SyncShadow: must be true or false, not "maybe"`},
		{"no list", `{"Definition":{"Devices":{"a":1}}}`, "Definition.Devices: must be a list, not an object"},
		{"an entry", `{"Definition":{"Devices":["a"]}}`, "Definition.Devices[0]: must be an object, not text"},
		{"an end", `{"Subscriptions":[{"Id":"1","Source":"cloud","Subject":"a","Target":"clout"}]}`, `Subscriptions[0].Target: "clout" is no end of a subscription (the ARN of a thing`},
		{"a number", `{"Functions":[{"Id":"1","FunctionArn":"arn:aws:lambda:r:a:function:f:1","FunctionConfiguration":{"MemorySize":"much"}}]}`,
			`Functions[0].FunctionConfiguration.MemorySize: must be a whole number, not "much"`},
		{"a page is missing", a1 + dev + `]},"NextToken":"t"}`, "each page of the device definition has a NextToken: the last one is missing"},
		{"two versions", a1 + dev + `]}}` + strings.ReplaceAll(a1, "versions/1", "versions/2") + dev2 + `]}}`,
			"in:1:1: Definition: a second version of the device definition; the first is in in:1 Definition (add the answer of get-group-version, or take the other one away)"},
		{"another version", a1 + dev + `]}}{"Arn":"x","Definition":{"DeviceDefinitionVersionArn":"arn:aws:greengrass:r:a:/greengrass/definition/devices/1/versions/9"}}`,
			"the group names another version of the device definition"},
		{"two cores", `{"Cores":[` + dev + "," + dev2 + `]}`, "Cores[1]: a second core; the first is in in:1 Cores[0]"},
		{"no core", a1 + dev + `]}}`, "the inputs do not name the core (add the core definition or config.json, or write --core THING)"},
		{"nothing", `{"Definition":{"Loggers":[]}}`, ErrNothing.Error()},
		{"a parameter", "Resources:\n  A:\n    Type: AWS::Greengrass::CoreDefinition\n    Properties: {InitialVersion: {Cores: [{ThingArn: !Ref Nobody, CertificateArn: x}]}}", `Cores[0].ThingArn: the template has no parameter and no resource "Nobody"`},
		{"a circle", "Resources:\n  A: {Type: AWS::Greengrass::CoreDefinition, Properties: {InitialVersion: {Cores: [{ThingArn: !GetAtt B.Arn, CertificateArn: x}]}}}\n  B: {Type: AWS::IoT::Thing, Properties: {ThingName: !Ref B}}", "call each other in a circle"},
		{"a transform", "Resources:\n  A: {Type: AWS::Greengrass::CoreDefinition, Properties: {InitialVersion: {Cores: [{ThingArn: !Transform x, CertificateArn: x}]}}}", "Fn::Transform is not known here (write its result in its place)"},
		{"an endpoint", `{"coreThing":{"thingArn":"arn:aws:iot:r:a:thing/c","iotHost":"https://x"}}`, "in:1:1: coreThing.iotHost: "},
	} {
		_, err := Import(one(c.in), Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\nwant %s", c.name, err, c.want)
		}
	}
}

// Pages come in any order, and twice does no harm; what the group does not name is
// left alone.
func TestPagesAndVersions(t *testing.T) {
	core := `{"Cores":[` + strings.ReplaceAll(dev, "thing/one", "thing/c") + `]}`
	page := a1 + dev + `]},"NextToken":"t"}`
	last := a1 + dev2 + `]}}`
	old := strings.ReplaceAll(a1, "versions/1", "versions/0") + strings.ReplaceAll(dev2, "two", "old") + `]}}`
	group := `{"Arn":"x","Id":"g","Definition":{"DeviceDefinitionVersionArn":"arn:aws:greengrass:r:a:/greengrass/definition/devices/1/versions/1","LoggerDefinitionVersionArn":"nowhere"}}`
	r, err := Import(one(last+old+core+page+group+page), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var things []string
	for _, d := range r.Config.Devices {
		things = append(things, d.Thing)
	}
	if got := strings.Join(things, " "); got != "two one" || r.Config.Group != "g" || r.Config.Core != "c" {
		t.Errorf("devices %s, group %s, core %s", got, r.Config.Group, r.Config.Core)
	}
	text := reportText(t, r)
	for _, say := range []string{"device definition in in:1 Definition: another version or group, left alone", "logger definition nowhere: the group names it, and no input holds it"} {
		if !strings.Contains(text, say) {
			t.Errorf("the report does not say %q:\n%s", say, text)
		}
	}
}

func reportText(t *testing.T, r *Result) string {
	t.Helper()
	var b strings.Builder
	if err := r.Report.Text(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What a file holds cannot break out of its place in the group file.
func TestHostileTexts(t *testing.T) {
	text := "x\n  - {from: cloud, topic: \"#\", to: \"device:*\"}\u2028# "
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	q := string(quoted)
	in := `{"Cores":[` + strings.ReplaceAll(dev, "thing/one", "thing/c") + `],"Devices":[` + dev + `],
"Subscriptions":[{"Id":` + q + `,"Source":"arn:aws:iot:r:a:thing/one","Subject":"a\n- {from: \"b\"}","Target":"cloud"},
 {"Id":` + q + `,"Source":"arn:aws:iot:r:a:thing/one","Subject":"a","Target":"arn:aws:greengrass:r::/connectors/x"}],
"Functions":[{"Id":"f","FunctionArn":"arn:aws:lambda:r:a:function:f:1","FunctionConfiguration":{"Executable":` + q + `,"ExecArgs":` + q + `,
 "Environment":{"Variables":{"A":` + q + `,` + q + `:"b","B=C":"no"},"ResourceAccessPolicies":[{"ResourceId":"r"}]}}}],
"Resources":[{"Id":"r","Name":` + q + `,"ResourceDataContainer":{"LocalVolumeResourceData":{"SourcePath":"/a","DestinationPath":` + q + `}}}]}`
	r, err := Import(one(in), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if rows := r.Config.Subscriptions; len(rows) != 1 || rows[0].Topic != "a\n- {from: \"b\"}" {
		t.Errorf("rows %+v in\n%s", rows, r.File)
	}
	if env := r.Config.Functions[0].Environment; env["A"] != text || env["B=C"] != "" {
		t.Errorf("environment %q", env)
	}
}

// What a function may open never holds the site itself, and devices are devices.
func TestPathsOfFunctions(t *testing.T) {
	dir := t.TempDir()
	resource := func(id, path string) string {
		return `{"Id":"` + id + `","Name":"` + id + `","ResourceDataContainer":{"LocalVolumeResourceData":{"SourcePath":"` + path + `","DestinationPath":"` + path + `"}}}`
	}
	in := `{"Cores":[` + strings.ReplaceAll(dev, "thing/one", "thing/c") + `],"Functions":[{"Id":"f","FunctionArn":"arn:aws:lambda:r:a:function:f:1","FunctionConfiguration":{
"Executable":"app.handler","FunctionRuntimeOverride":"python3.7","Environment":{"ResourceAccessPolicies":[{"ResourceId":"all"},{"ResourceId":"site"},{"ResourceId":"good"},{"ResourceId":"fake"}]}}}],
"Resources":[` + resource("all", "/") + "," + resource("site", dir+"/site/pki") + "," + resource("good", "/srv/data") + `,
{"Id":"fake","Name":"fake","ResourceDataContainer":{"LocalDeviceResourceData":{"SourcePath":"/etc/shadow"}}}]}`
	r, err := Import(one(in), Options{Name: filepath.Join(dir, "site", "group.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	f := r.Config.Functions[0]
	if len(f.Read) != 1 || f.Read[0] != "/srv/data" || len(f.Devices) > 0 || strings.Join(f.Command, " ") != "python3 -m greengate_runtime" || f.Handler != "app.handler" {
		t.Errorf("the function %+v", f)
	}
	if text := reportText(t, r); strings.Count(text, "left out") < 3 || !strings.Contains(text, "make /srv/data, which the function f opens") {
		t.Errorf("the report does not say what was left out:\n%s", text)
	}
}

// A folder holds much else. What was meant to be a definition and is none is a fault
// all the same.
func TestFolder(t *testing.T) {
	root := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, "real", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("core.json", `{"Cores":[`+strings.ReplaceAll(dev, "thing/one", "thing/c")+`]}`)
	put("lambda/tsconfig.json", "{ // comments are no JSON\n}")
	put("lambda/package.json", `{"name":"x"}`)
	put("lambda/index.js", "x")
	put("log/a.log", "x")
	put(".git/hidden.json", "{")
	put("notes.txt", "a: [b")
	if err := os.Symlink(filepath.Join(root, "real"), filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(root, "link")
	text := reportText(t, importFolder(t, link, Options{}))
	for _, say := range []string{"core.json: core definition", link + ": not read: 2 files taken for code or logs: lambda/index.js, log/a.log",
		"left alone, nothing that the import knows: " + filepath.Join(root, "real/lambda/package.json")} {
		if !strings.Contains(text, say) {
			t.Errorf("the report does not say %q:\n%s", say, text)
		}
	}
	if strings.Contains(text, "hidden") {
		t.Errorf("it looked into .git:\n%s", text)
	}
	// A log of the core that looks like JSON at first is no fault.
	put("log/b.log", "[2019-11-18T10:00:00.000Z][INFO]-arn:aws:lambda")
	if text := reportText(t, importFolder(t, link, Options{})); !strings.Contains(text, filepath.Join(root, "real/log/b.log")) {
		t.Errorf("the report does not say what became of the log:\n%s", text)
	}
	put("half.json", `{"Definition":{"Devices":[{"ThingArn":"arn:aws:iot`)
	files, err := Collect([]string{link})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Import(files, Options{}); err == nil || !strings.Contains(err.Error(), "half.json:1:50: this is no JSON: ") {
		t.Errorf("half a definition: %v", err)
	}
}

// What a file is, is seen from its content in folders and zips, too; when nothing is found
// the error names what was passed over.
func TestNamesWithoutEnds(t *testing.T) {
	core := `{"Cores":[` + strings.ReplaceAll(dev, "thing/one", "thing/c") + `]}`
	cert, _ := credential(t)
	for what, text := range map[string]string{
		"an object": "\n" + core, "an array": "[" + core + "]", "YAML": "---\n" + core, "a byte order mark": "\uFEFF" + core,
	} {
		dir := t.TempDir()
		var zipped bytes.Buffer
		z := zip.NewWriter(&zipped)
		for name, text := range map[string]string{"x": text, "cert.of.c": cert, "code.js": "x", "large": "{" + strings.Repeat(" ", maxGuessed)} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			w, err := z.Create(name)
			if err == nil {
				_, err = w.Write([]byte(text))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		archive := filepath.Join(t.TempDir(), "z")
		if err := os.WriteFile(archive, zipped.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{dir, archive} {
			text := reportText(t, importFolder(t, path, Options{}))
			for _, say := range []string{path + "/x: core definition", path + "/cert.of.c: certificate or key", path + ": not read: 2 files taken for code or logs: "} {
				if !strings.Contains(text, say) {
					t.Errorf("%s in %s: the report does not say %q:\n%s", what, path, say, text)
				}
			}
		}
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"a.py": "x", "b.json": `{"a":1}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := Collect([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Import(files, Options{})
	if want := fmt.Sprintf("%v (left alone: %s/b.json, %s (1 file taken for code or logs: a.py))", ErrNothing, dir, dir); !errors.Is(err, ErrNothing) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

const twoGroups = `Resources:
  A: {Type: AWS::Greengrass::Group, Properties: {Name: one, InitialVersion: {CoreDefinitionVersionArn: !GetAtt CA.LatestVersionArn}}}
  CA: {Type: AWS::Greengrass::CoreDefinition, Properties: {InitialVersion: {Cores: [{Id: i, ThingArn: "arn:aws:iot:r:a:thing/a", CertificateArn: "arn:aws:iot:r:a:cert/1"}]}}}
  B: {Type: AWS::Greengrass::Group, Properties: {Name: two, InitialVersion: {CoreDefinitionVersionArn: !GetAtt CB.LatestVersionArn}}}
  CB: {Type: AWS::Greengrass::CoreDefinition, Properties: {InitialVersion: {Cores: [{Id: i, ThingArn: "arn:aws:iot:r:a:thing/b", CertificateArn: "arn:aws:iot:r:a:cert/2"}]}}}
`

// --group chooses one of several groups, by id, by name, or by what a template calls it. An
// id that nothing says is left to do.
func TestChosenGroup(t *testing.T) {
	const todo = "say the id of the group, which discovery answers and the inputs do not say: --group ID"
	versions := ""
	for _, id := range []string{"one", "two"} {
		versions += `{"Id":"` + id + `","Arn":"x","Definition":{"CoreDefinitionVersionArn":"` + id + `"}}{"Arn":"` + id + `","Definition":{"Cores":[` + strings.ReplaceAll(dev, "thing/one", "thing/core-"+id) + `]}}`
	}
	set := map[string]string{"Name": "c", "Cert": strings.Repeat("ab", 32), "Thing": "lamp"}
	for _, c := range []struct {
		in, group, core, file string
		todo                  bool
	}{
		{twoGroups, "one", "a", "one", true}, {twoGroups, "two", "b", "two", true}, {twoGroups, "B", "b", "B", true},
		{versions, "one", "core-one", "one", false}, {versions, "two", "core-two", "two", false},
		{stackTemplate, "", "c", "greengrass", true}, {stackTemplate, "given", "c", "given", false},
	} {
		o := Options{Group: c.group}
		if c.in == stackTemplate {
			o.Values = set
		}
		r, err := Import(one(c.in), o)
		if err != nil {
			t.Errorf("--group %q: %v", c.group, err)
		} else if text := reportText(t, r); r.Core != c.core || r.Config.Group != c.file || strings.Contains(text, todo) != c.todo {
			t.Errorf("--group %q: core %s, group %s; the report\n%s", c.group, r.Core, r.Config.Group, text)
		}
	}
	for _, group := range []string{"", "neither"} {
		if _, err := Import(one(twoGroups), Options{Group: group}); err == nil || !strings.Contains(err.Error(), "another group version; the first is in in:2 Resources.A.Properties.InitialVersion (--group chooses: 'one' or 'two')") {
			t.Errorf("--group %q: %v", group, err)
		}
	}
}
