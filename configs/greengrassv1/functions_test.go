package greengrassv1

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"greengate/functions"
)

// importFunction imports one function with those settings.
func importFunction(t *testing.T, settings map[string]any) (functions.Config, string) {
	t.Helper()
	configuration, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Import(one(`{"Cores":[`+strings.ReplaceAll(dev, "thing/one", "thing/c")+`],"Functions":[
{"Id":"f","FunctionArn":"arn:aws:lambda:r:a:function:f:1","FunctionConfiguration":`+string(configuration)+`}]}`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r.Config.Functions[0], reportText(t, r)
}

func TestCommands(t *testing.T) {
	const python, node, java = "python3 -m greengate_runtime", "node -e require('greengate-runtime')", "java -cp ./*:. com.amazonaws.services.lambda.runtime.api.client.AWSLambda"
	for _, c := range []struct{ runtime, executable, args, command, handler, say string }{
		{"python3.8", "app.handler", "--rate 5", python + "|--rate|5", "app.handler", ""},
		{"python3.8", "sub/my app.handler", "", python, "sub/my app.handler", ""},
		{"python2.7", "", "", python, "lambda_function.lambda_handler", "handler of f: nothing says it; lambda_function.lambda_handler is the usual one"},
		{"nodejs12.x", "app.handler", `--name "two words" 'a "b"' c\ d ""`, node + `|--|--name|two words|a "b"|c d|`, "app.handler", ""},
		{"nodejs12.x", "app.handler", "", node, "app.handler", ""},
		{"java8", "com.acme.B::handle", "x", java + "|com.acme.B::handle|x", "com.acme.B::handle", ""},
		{"java8", "", "", java + "|Handler", "Handler", "handler of f: nothing says it; Handler is the usual one"},
		{"", "my program", "it's so", "./my program|it's|so", "", "ExecArgs of f: a quote does not end"},
		{"", "bin/program", "", "./bin/program", "", "executable bin/program of f: command: ./bin/program; "},
		{"", "/usr/bin/program", "", "./program", "", "executable /usr/bin/program of f: command: ./program; "},
		{"", "../../program", "", "./program", "", "command: ./program"},
		{"", "com.acme.B::handle", "", "./bootstrap", "com.acme.B::handle", "runtime of f: the group does not say it"},
	} {
		for _, encoding := range []string{"json", "binary"} {
			f, text := importFunction(t, map[string]any{"FunctionRuntimeOverride": c.runtime, "Executable": c.executable, "ExecArgs": c.args, "EncodingType": encoding})
			want := strings.ReplaceAll(c.command, "|", "\x00")
			for _, whole := range []string{python, node, java} {
				if strings.HasPrefix(want, whole) {
					want = strings.Replace(want, whole, strings.ReplaceAll(whole, " ", "\x00"), 1)
				}
			}
			if got := strings.Join(f.Command, "\x00"); got != want || f.Handler != c.handler || f.Encoding != encoding || !strings.Contains(text, c.say) {
				t.Errorf("%+v, %s: command %q, handler %q, encoding %s; the report\n%s", c, encoding, f.Command, f.Handler, f.Encoding, text)
			}
		}
	}
}

// What is changed is told.
func TestChangedSettings(t *testing.T) {
	f, text := importFunction(t, map[string]any{"Executable": "app.handler", "Timeout": 2147483647, "EncodingType": "BINARY"})
	if f.Timeout != 24*time.Hour || f.Encoding != "binary" || !strings.Contains(text, "Timeout of f: timeout: 86400s in place of 2147483647s") {
		t.Errorf("timeout %v, encoding %s; the report\n%s", f.Timeout, f.Encoding, text)
	}
	f, text = importFunction(t, map[string]any{"Executable": "app.handler", "EncodingType": "utf-7"})
	if f.Encoding != "json" || !strings.Contains(text, "EncodingType utf-7 of f: ") {
		t.Errorf("encoding %s; the report\n%s", f.Encoding, text)
	}
}
