package greengrassv1

import (
	"net/url"
	"strconv"
	"strings"
)

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// config reads config.json of the core.
func (r *reader) config(n *node) *coreConfig {
	t := n.get("coreThing")
	c := &coreConfig{
		host:     r.text(t, "iotHost"),
		mqttPort: r.number(t, "iotMqttPort"), localPort: r.number(t, "ggMqttPort"), keepAlive: r.number(t, "keepAlive"),
		functionsAsRoot: r.boolean(n.get("runtime"), "allowFunctionsToRunAsRoot", false),
		maxWorkItems:    r.number(n.get("runtime"), "maxWorkItemCount"), at: n,
	}
	c.hostAt, c.proxyAt = t.get("iotHost"), t.find("networkProxy", "proxy", "url")
	if t.get("thingArn") != nil {
		c.thing = r.thing(t, "thingArn")
	}
	// The form of the first versions, and that of later ones.
	c.certificate, c.key, c.ca = r.text(t, "certPath"), r.text(t, "keyPath"), r.text(t, "caPath")
	if p := n.find("crypto", "principals", "IoTCertificate"); p != nil {
		if v := r.text(p, "certificatePath"); v != "" {
			c.certificate = v
		}
		if v := r.text(p, "privateKeyPath"); v != "" {
			c.key = v
		}
	}
	if v := r.text(n.get("crypto"), "caPath"); v != "" {
		c.ca = v
	}
	if p := t.find("networkProxy", "proxy"); p != nil {
		c.proxy, c.proxyUser, c.proxyPassword = r.text(p, "url"), r.text(p, "username"), r.text(p, "password")
	}
	return c
}

// filePath returns the path of a file:// URI, or the text itself when it is a path. ok
// is false for another scheme, such as pkcs11.
func filePath(s string) (path string, ok bool) {
	if !strings.Contains(s, ":") {
		return s, true
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "file" {
		return s, false
	}
	if u.Opaque != "" { // file:relative
		return u.Opaque, true
	}
	return u.Host + u.Path, true
}
