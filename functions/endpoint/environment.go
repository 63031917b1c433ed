package endpoint

import (
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The local functions of Greengrass V1 that its SDKs call, by their ARN.
const (
	routerARN  = "arn:aws:lambda:::function:GGRouter"
	shadowARN  = "arn:aws:lambda:::function:GGShadowService"
	secretsARN = "arn:aws:lambda:::function:GGSecretManager"
)

func arnPrefix(region, account string) string {
	return "arn:aws:lambda:" + region + ":" + account + ":function:"
}

// Env returns the environment of the instance, as NAME=value, in the order of the
// names: what the group file gives it, and what a function in AWS finds. PATH,
// HOME and TMPDIR are not in it unless the group file sets them.
func (e *Endpoint) Env() []string {
	env := e.defaults()
	maps.Copy(env, e.o.Environment)
	maps.Copy(env, e.ours())
	for name, dir := range e.shims() { // those of the function come first
		env[name] = strings.Trim(env[name]+":"+dir, ":")
	}
	e.bypassProxies(env)
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// defaults are what the group file may set otherwise.
func (e *Endpoint) defaults() map[string]string {
	return map[string]string{
		"_HANDLER":                        e.o.Handler,
		"AWS_REGION":                      e.o.Region,
		"AWS_DEFAULT_REGION":              e.o.Region,
		"AWS_EC2_METADATA_DISABLED":       "true", // there is none, and SDKs wait for it
		"AWS_LAMBDA_FUNCTION_NAME":        e.o.Function,
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.FormatInt(max(e.o.Memory>>20, 1), 10), // MiB
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + e.o.Function,
		"AWS_LAMBDA_LOG_STREAM_NAME":      e.o.Function,
		"LAMBDA_TASK_ROOT":                e.o.Dir,
		"PYTHONUNBUFFERED":                "1", // what is printed is in the log at once
	}
}

// ours are what the function needs to come home.
func (e *Endpoint) ours() map[string]string {
	encoding := "json"
	if e.o.Encoding == "binary" {
		encoding = "binary"
	}
	_, port, _ := strings.Cut(e.Address(), ":")
	return map[string]string{
		"AWS_LAMBDA_RUNTIME_API":          e.Address(),
		"AWS_ENDPOINT_URL_IOT_DATA_PLANE": "http://" + e.Address(),
		"AWS_ACCESS_KEY_ID":               e.keys.id,
		"AWS_SECRET_ACCESS_KEY":           e.keys.secret,
		"AWS_SESSION_TOKEN":               e.keys.session,
		// Greengrass V1
		"AWS_CONTAINER_AUTHORIZATION_TOKEN": e.keys.token,
		"GG_DAEMON_PORT":                    port,
		"ENCODING_TYPE":                     encoding,
		"MY_FUNCTION_ARN":                   e.arn,
		"ROUTER_FUNCTION_ARN":               routerARN,
		"SHADOW_FUNCTION_ARN":               shadowARN,
		"SECRETS_MANAGER_FUNCTION_ARN":      secretsARN,
	}
}

// bypassProxies has SDKs that were told of a proxy come here without it.
func (e *Endpoint) bypassProxies(env map[string]string) {
	host, _, _ := strings.Cut(e.Address(), ":")
	for _, name := range []string{"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"} {
		if env[name] == "" {
			continue
		}
		for _, bypass := range []string{"no_proxy", "NO_PROXY"} {
			env[bypass] = strings.Trim(env[bypass]+","+host, ",")
		}
		return
	}
}

// shims are the folders of the shims, by the variable that has runtimes look
// there.
func (e *Endpoint) shims() map[string]string {
	if e.o.Shims == "" {
		return nil
	}
	return map[string]string{
		"PYTHONPATH": filepath.Join(e.o.Shims, "python"),
		"NODE_PATH":  filepath.Join(e.o.Shims, "node"),
	}
}
