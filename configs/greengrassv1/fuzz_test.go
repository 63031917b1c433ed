package greengrassv1

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"greengate/configs"
	"greengate/configs/greengrassv1/testdata/factory"
)

// FuzzImport: whatever the bytes, the import ends, and either says what is wrong with
// them or makes a group file that configs accepts. What it makes itself is never wrong.
func FuzzImport(f *testing.F) {
	for _, pattern := range []string{"testdata/traffic-light/*/*.json", "testdata/hello-world/*", "testdata/v2/*"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	dir := f.TempDir()
	if err := factory.Write(dir); err != nil {
		f.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "all.json")); err == nil {
		f.Add(text)
	}
	for _, text := range []string{
		`{"Cores":[{"ThingArn":"arn:aws:iot:r:a:thing/c","CertificateArn":"arn:aws:iot:r:a:cert/c"}],"Devices":[{"ThingArn":"arn:aws:iot:r:a:thing/d","CertificateArn":"x"}]}`,
		`{"Subscriptions":[{"Id":"a\n- x","Source":"cloud","Subject":"a/#","Target":"GGShadowService"}]}`,
		`{"coreThing":{"thingArn":"arn:aws:iot:r:a:thing/c","iotHost":"h:1","ggMqttPort":8443,"keepAlive":1,"certPath":"a","networkProxy":{"proxy":{"url":"http://[::1]"}}}}`,
		"Resources:\n  A: {Type: AWS::Greengrass::CoreDefinition, Properties: {InitialVersion: {Cores: [{ThingArn: !Ref B, CertificateArn: !Sub '${A.Arn}'}]}}}\n  B: {Type: AWS::IoT::Thing, Properties: {ThingName: !Ref B}}\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, fold := range []bool{false, true} {
			r, err := Import([]File{{Name: "x", Data: data, Named: true}}, Options{
				Core: "core", Fold: fold, Values: map[string]string{"P": "v"},
			})
			var faults configs.Faults
			if errors.As(err, &faults) {
				for _, f := range faults {
					if f.File == madeFile && f.Path != "group" && f.Path != "core" {
						t.Fatalf("the import made a wrong file: %v", f)
					}
				}
			}
			if err == nil {
				if _, err := configs.Parse("", r.File); err != nil {
					t.Fatalf("%v in\n%s", err, r.File)
				}
				_ = r.Readme("x")
				for _, n := range r.Report.Missing {
					if n.What == "--fold" {
						t.Fatalf("folding changed the table: %+v", n)
					}
				}
			}
		}
	})
}
