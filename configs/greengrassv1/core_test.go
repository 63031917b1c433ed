package greengrassv1

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// credential makes a certificate and its key, PEM.
func credential(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "AWS IoT Certificate"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", raw)
}

// The files that config.json names are found among the inputs, beside it, and where it
// says; what is not there is named, with where it belongs.
func TestCoreFiles(t *testing.T) {
	config := readAll(t)["config.json"]
	cert, key := credential(t)
	_, otherKey := credential(t)
	pems := func(key string) []File {
		return []File{{Name: "z/core.cert.pem", Data: []byte(cert)}, {Name: "z/core.private.key", Data: []byte(key)}, {Name: "z/root.ca.pem", Data: []byte(cert)}}
	}
	disk := func(name string) func(string) ([]byte, error) {
		return func(path string) ([]byte, error) {
			if path == name {
				return []byte(cert), nil
			}
			return nil, fs.ErrNotExist
		}
	}
	for _, c := range []struct {
		name, config string
		files        []File
		read         func(string) ([]byte, error)
		copies       int
		say          string
	}{
		{"among the inputs", config, pems(key), nil, 3, "certificate and key of the core: copied to pki/core.cert.pem and pki/core.private.key"},
		{"a key of another", config, pems(otherKey), nil, 3, "find the key that belongs to the certificate of the core: pki/core.private.key"},
		{"nowhere", config, nil, nil, 0, "copy /greengrass/certs/core.private.key of the old core to pki/core.private.key, mode 600"},
		{"where it says", config, nil, disk("/greengrass/certs/core.cert.pem"), 1, "copy /greengrass/certs/core.private.key of the old core"},
		{"beside it", config, nil, disk("gg/certs/core.cert.pem"), 1, "curl -o pki/AmazonRootCA1.pem https://www.amazontrust.com"},
		{"in hardware", strings.ReplaceAll(config, "file:///greengrass/certs/core.private.key", "pkcs11:object=iotkey;type=private"), pems(key), nil, 2,
			"name it, its module and its PIN in cloud.key (docs/certificates.md)"},
		{"the first form", strings.ReplaceAll(config, `"crypto"`, `"other"`), nil, disk("/greengrass/certs/core.cert.pem"), 1, "copy core.private.key of the old core to pki/core.private.key"},
	} {
		r, err := Import(append([]File{{Name: "gg/config/config.json", Data: []byte(c.config)}}, c.files...), Options{Read: c.read})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if len(r.Copies) != c.copies || !strings.Contains(reportText(t, r), c.say) {
			t.Errorf("%s: %d copies, want %d, and %q in\n%s", c.name, len(r.Copies), c.copies, c.say, reportText(t, r))
		}
		for _, f := range r.Copies {
			if f.Secret != strings.Contains(f.Name, "private") {
				t.Errorf("%s: %s is secret: %v", c.name, f.Name, f.Secret)
			}
		}
		if cloud := r.Config.Cloud; cloud == nil || cloud.Endpoint != "a1b2c3d4e5f6g7-ats.iot.eu-west-1.amazonaws.com" || r.Core != "GG_TrafficLight_Core" {
			t.Errorf("%s: core %s, cloud %+v", c.name, r.Core, cloud)
		}
	}
}

func TestCloudSettings(t *testing.T) {
	config := readAll(t)["config.json"]
	for _, c := range []struct {
		name, old, with, want string
	}{
		{"the old endpoint", "a1b2c3d4e5f6g7-ats.iot", "a1b2c3d4e5f6g7.iot", "endpoint: a1b2c3d4e5f6g7-ats.iot.eu-west-1.amazonaws.com"},
		{"port 443", `"keepAlive"`, `"iotMqttPort": "443", "keepAlive"`, "port: 443"},
		{"keep-alive", `"keepAlive": 600`, `"keepAlive": 90`, "keep_alive: 90s"},
		{"a port for the devices", `"keepAlive"`, `"ggMqttPort": 9000, "keepAlive"`, `listen: ["0.0.0.0:9000"]`},
		{"a proxy", `"keepAlive"`, `"networkProxy": {"proxy": {"url": "http://proxy.shop:3128", "username": "me", "password": "a:b"}}, "keepAlive"`, `proxy: "http://me:a%3Ab@proxy.shop:3128"`},
		{"a proxy with a login", `"keepAlive"`, `"networkProxy": {"proxy": {"url": "http://me:a%3Ab@proxy.shop"}}, "keepAlive"`, `proxy: "http://me:a%3Ab@proxy.shop:80"`},
		{"a proxy with TLS", `"keepAlive"`, `"networkProxy": {"proxy": {"url": "https://me:a%3Ab@proxy.shop"}}, "keepAlive"`, "cloud:"},
		{"a proxy that is none", `"keepAlive"`, `"networkProxy": {"proxy": {"url": "http://me:a%3Ab/@x@proxy shop"}}, "keepAlive"`, "cloud:"},
		{"a proxy without its scheme", `"keepAlive"`, `"networkProxy": {"proxy": {"url": "me:a%3Ab@proxy.shop:80"}}, "keepAlive"`, "cloud:"},
	} {
		text := strings.ReplaceAll(config, c.old, c.with)
		r, err := Import(one(text), Options{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if !strings.Contains(string(r.File), c.want) || text == config {
			t.Errorf("%s: want %s in\n%s", c.name, c.want, r.File)
		}
		if err == nil && strings.Contains(reportText(t, r), "a%3Ab") {
			t.Errorf("%s: the report shows the password", c.name)
		}
	}
}

const stackTemplate = `Parameters:
  Name: {Type: String, NoEcho: true, Description: what the core is called}
  Cert: {Type: "AWS::SSM::Parameter::Value<String>", Default: /path/of/it}
Resources:
  Thing: {Type: AWS::IoT::Thing}
  CoreDefinition:
    Type: AWS::Greengrass::CoreDefinition
    Properties:
      InitialVersion:
        Cores:
          - {Id: c, ThingArn: !Sub "arn:aws:iot:${AWS::Region}:1:thing/${Name}", CertificateArn: !Sub "arn:aws:iot:r:1:cert/${Cert}"}
  DeviceDefinition:
    Type: AWS::Greengrass::DeviceDefinition
    Properties:
      InitialVersion:
        Devices:
          - {Id: d, ThingArn: !GetAtt Thing.Arn, CertificateArn: !Sub "arn:aws:iot:r:1:cert/${Cert}"}
`

// What a template does not say is asked for once, and taken from what is known of its
// stack.
func TestTemplateValues(t *testing.T) {
	cert := strings.Repeat("ab", 32)
	var asked []string
	answers := map[string]string{"Name": "core_1", "Cert": cert, "Thing": "lamp"}
	ask := func(name, description string, secret bool) (string, error) {
		asked = append(asked, name)
		if (name == "Name") != secret || name == "Name" && description != "what the core is called" {
			t.Errorf("asked for %s (%s), secret %v", name, description, secret)
		}
		return answers[name], nil
	}
	r, err := Import(one(stackTemplate), Options{Ask: ask})
	if err != nil || r.Core != "core_1" || r.Config.Devices[0].Thing != "lamp" || r.Config.Devices[0].Fingerprint() != cert {
		t.Fatalf("%v, %+v", err, r)
	}
	if got := strings.Join(asked, " "); got != "Name Thing Cert" {
		t.Errorf("asked for %s; the region is not needed", got)
	}
	if _, err := Import(one(stackTemplate), Options{Ask: func(string, string, bool) (string, error) { return "", errors.New("no answer") }}); err == nil || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("a question without an answer: %v", err)
	}

	stack := `{"Stacks":[{"Parameters":[{"ParameterKey":"Name","ParameterValue":"core_2"},{"ParameterKey":"Cert","ParameterValue":"/path/of/it","ResolvedValue":"` + cert + `"}]}]}
{"StackResources":[{"LogicalResourceId":"Thing","ResourceType":"AWS::IoT::Thing","PhysicalResourceId":"lamp2"}]}`
	answer, err := os.ReadFile(filepath.Join("testdata", "get-template.json"))
	if err != nil {
		t.Fatal(err)
	}
	for form, text := range map[string]string{"a template": stackTemplate, "get-template": string(answer)} {
		r, err = Import([]File{{Name: "t", Data: []byte(text)}, {Name: "s", Data: []byte(stack)}}, Options{Values: map[string]string{"Name": "core_3"}})
		if err != nil || r.Core != "core_3" || r.Config.Devices[0].Thing != "lamp2" {
			t.Errorf("%s: %v, %+v", form, err, r)
		}
	}
}

// A value that no template wants is a wrong name.
func TestUselessValues(t *testing.T) {
	cert := strings.Repeat("ab", 32)
	for _, c := range []struct{ in, name, want string }{
		{stackTemplate, "Nope", `--set: no template has the parameter or resource "Nope" (parameters are Name, Cert)`},
		{stackTemplate, "Nothing.Arn", `"Nothing.Arn"`},
		{stackTemplate, "Thing.Arn", ""}, {stackTemplate, "AWS::Region", ""},
		{`{"Cores":[` + strings.ReplaceAll(dev, "thing/one", "thing/c") + `]}`, "Name", `(parameters are none)`},
	} {
		values := map[string]string{c.name: "x"}
		if c.in == stackTemplate {
			values["Name"], values["Cert"], values["Thing"] = "core_1", cert, "lamp"
		}
		if c.name == "Thing.Arn" {
			values["Thing.Arn"] = "arn:aws:iot:r:1:thing/lamp"
		}
		_, err := Import(one(c.in), Options{Values: values})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
