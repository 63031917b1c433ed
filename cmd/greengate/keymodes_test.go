package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"greengate/configs"
	"greengate/sync/cloud"
)

func TestLooseKeys(t *testing.T) {
	key := filepath.Join(t.TempDir(), "core.private.key")
	c := &configs.Config{Cloud: &cloud.Config{Key: key}}
	if told := looseKeys(c); told != nil {
		t.Errorf("without a key: %q", told)
	}
	if err := os.WriteFile(key, []byte("key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, loose := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true, 0o604: true, 0o602: true} {
		if err := os.Chmod(key, mode); err != nil {
			t.Fatal(err)
		}
		told := looseKeys(c)
		if (len(told) == 1) != loose {
			t.Errorf("mode %04o: %q", mode, told)
		}
		if loose && !strings.Contains(told[0], key) {
			t.Errorf("the file is not named: %q", told)
		}
	}
	c.Cloud.Key = "pkcs11:token=t;object=k?pin-source=file:" + key
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if told := looseKeys(c); len(told) != 1 || !strings.Contains(told[0], "the PIN of the core's key "+key) || tightenKeys(c) != "chmod 600 "+key {
		t.Errorf("the PIN: %q, %s", told, tightenKeys(c))
	}
	c.Cloud.Key = "pkcs11:token=t;object=k"
	if told := looseKeys(c); told != nil {
		t.Errorf("a token without a PIN: %q", told)
	}
	if told := looseKeys(&configs.Config{}); told != nil {
		t.Errorf("without a cloud: %q", told)
	}
}
