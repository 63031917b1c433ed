package configs

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"greengate/core/message"
	"greengate/core/token"
	"greengate/sync/cloud"
)

func (k *checker) cloud() {
	c := k.c.Cloud
	endpoint := path{"cloud", "endpoint"}
	if k.needIn(endpoint, c.Endpoint, "write the data endpoint: `aws iot describe-endpoint --endpoint-type iot:Data-ATS` prints it") {
		if !isHost(c.Endpoint) {
			k.check(endpoint, fmt.Sprintf("%q is no host name", clip(c.Endpoint)), "write the name alone, without https:// and port")
		}
	}
	if c.Port < 1 || c.Port > 65535 {
		k.check(path{"cloud", "port"}, fmt.Sprintf("%d is no port", c.Port), "write 8883 or 443")
	}
	for _, f := range []struct{ key, value string }{{"certificate", c.Certificate}, {"key", c.Key}, {"ca", c.CA}} {
		p := path{"cloud", f.key}
		if k.need(p, "name the PEM file") {
			k.filled(p, f.value, "name the PEM file")
		}
	}
	if token.IsURI(c.Key) {
		k.tokenKey(path{"cloud", "key"}, c.Key)
	}
	k.oneOf(path{"cloud", "mqtt"}, c.MQTT, "5", "3.1.1")
	if err := cloud.CheckProxy(c.Proxy); err != nil {
		k.checkSecret(path{"cloud", "proxy"}, err.Error(), "")
	}
	if c.KeepAlive < 30*time.Second || c.KeepAlive > 1200*time.Second {
		k.check(path{"cloud", "keep_alive"}, fmt.Sprintf("%v is out of range", c.KeepAlive), "write 30s to 1200s, as AWS takes it")
	}
	k.atLeast(path{"cloud", "spool", "max_size"}, c.Spool.MaxSize, 1<<20)
	k.oneOf(path{"cloud", "spool", "when_full"}, c.Spool.WhenFull, "drop_oldest", "drop_newest")
	for i, file := range c.Spool.Decrypt {
		k.filled(path{"cloud", "spool", "decrypt", i}, file, "name the file of a key")
	}
	if c.Rate.Messages < 1 {
		k.check(path{"cloud", "rate", "messages"}, fmt.Sprintf("%d messages a second is too few", c.Rate.Messages), "write at least 1")
	}
	k.atLeast(path{"cloud", "rate", "bytes"}, c.Rate.Bytes, 1<<10)
}

// tokenKey checks the URI of a key in a token.
func (k *checker) tokenKey(p path, uri string) {
	_, err := token.Parse(uri)
	if wrong := (*token.Error)(nil); errors.As(err, &wrong) {
		k.checkSecret(p, wrong.Problem, wrong.Hint)
	}
}

// topic checks a topic to publish to.
func (k *checker) topic(p path, topic string) {
	if !k.needIn(p, topic, "write `topic: TOPIC`") {
		return
	}
	if err := message.CheckTopic(topic); err != nil {
		k.check(p, err.Error(), "")
	}
}

func (k *checker) within(p path, t, low, high time.Duration) {
	if t < low || t > high {
		k.check(p, fmt.Sprintf("%s is out of range", formatDuration(t)), fmt.Sprintf("write %s to %s", formatDuration(low), formatDuration(high)))
	}
}

func (k *checker) atLeast(p path, size, low int64) {
	if size < low {
		k.check(p, formatSize(size)+" is too small", "write at least "+formatSize(low))
	}
}

// to returns the path of a key of p's value.
func (p path) to(key string) path { return append(slices.Clone(p), key) }

// DidYouMean is the hint for a word that is none of the known.
func DidYouMean(word string, known []string, otherwise string) string {
	if near := nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return otherwise
}
