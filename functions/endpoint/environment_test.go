package endpoint_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"greengate/functions/endpoint"
)

func TestEnv(t *testing.T) {
	h := open(t, func(o *endpoint.Options) {
		o.Dir, o.Handler, o.Region, o.Account, o.Memory, o.Encoding = "/srv/car", "car.handler", "eu-west-1", "123456789012", 20<<20, "binary"
		o.Shims = "/lib/shims"
		o.Environment = map[string]string{"STAGE": "shop", "AWS_REGION": "local", "AWS_SECRET_ACCESS_KEY": "mine", "AWS_LAMBDA_RUNTIME_API": "elsewhere",
			"PYTHONPATH": "lib", "HTTP_PROXY": "http://proxy", "NO_PROXY": "here"}
	})
	host, port, _ := strings.Cut(h.Address(), ":")
	for name, want := range map[string]string{
		"AWS_LAMBDA_RUNTIME_API":          h.Address(), // not the group file's
		"AWS_ENDPOINT_URL_IOT_DATA_PLANE": "http://" + h.Address(),
		"AWS_REGION":                      "local",
		"AWS_DEFAULT_REGION":              "eu-west-1",
		"AWS_LAMBDA_FUNCTION_NAME":        "car",
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "20",
		"LAMBDA_TASK_ROOT":                "/srv/car",
		"_HANDLER":                        "car.handler",
		"STAGE":                           "shop",
		"MY_FUNCTION_ARN":                 "arn:aws:lambda:eu-west-1:123456789012:function:car",
		"ROUTER_FUNCTION_ARN":             "arn:aws:lambda:::function:GGRouter",
		"SHADOW_FUNCTION_ARN":             "arn:aws:lambda:::function:GGShadowService",
		"ENCODING_TYPE":                   "binary",
		"GG_DAEMON_PORT":                  port,
		"PYTHONPATH":                      "lib:" + filepath.Join("/lib/shims", "python"),
		"NODE_PATH":                       filepath.Join("/lib/shims", "node"),
		"NO_PROXY":                        "here," + host,
		"no_proxy":                        host,
	} {
		wantText(t, name, h.variable(t, name), want)
	}
	for name, length := range map[string]int{"AWS_ACCESS_KEY_ID": 20, "AWS_SECRET_ACCESS_KEY": 40, "AWS_SESSION_TOKEN": 64, "AWS_CONTAINER_AUTHORIZATION_TOKEN": 40} {
		value := h.variable(t, name)
		if len(value) != length || value == open(t, nil).variable(t, name) {
			t.Errorf("%s is %q", name, value)
		}
	}
	if env := h.Env(); !slices.IsSorted(env) || !strings.HasPrefix(host, "127.") || host == "127.0.0.1" {
		t.Errorf("%s: %q", host, env)
	}
}
