package module

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/pkcs11"

	"greengate/core/token"
)

// proxies are where the proxy of p11-kit may be, in the order in which they count.
func proxies() []string {
	machine := map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu", "arm": "arm-linux-gnueabihf"}[runtime.GOARCH]
	return []string{filepath.Join("/usr/lib", machine, "p11-kit-proxy.so"), "/usr/lib64/p11-kit-proxy.so", "/usr/lib/p11-kit-proxy.so"}
}

// open loads the module of u and begins to use it.
func open(u token.URI) (*pkcs11.Ctx, error) {
	path := u.Module
	if path == "" {
		i := slices.IndexFunc(proxies(), exists)
		if i < 0 {
			return nil, absent("the proxy of p11-kit is not installed", "apt install p11-kit-modules, or add module-path=/PATH/OF/MODULE.so to the URI")
		}
		path = proxies()[i]
	}
	if _, err := os.Stat(path); err != nil {
		return nil, absent(fmt.Sprintf("the module cannot be read: %v", err), "install what the token needs, or mend module-path")
	}
	m := pkcs11.New(path)
	if m == nil {
		return nil, absent(fmt.Sprintf("%s is no PKCS#11 module for this machine (%s), or lacks a library", path, runtime.GOARCH), "`ldd "+path+"` tells more")
	}
	if err := m.Initialize(); err != nil {
		return nil, absent(fmt.Sprintf("start the module %s: %v", path, err), "may this user use it? (docs/certificates.md)")
	}
	return m, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// findToken returns the slot of the one token that u means.
func findToken(m *pkcs11.Ctx, u token.URI) (slot uint, info pkcs11.TokenInfo, err error) {
	slots, err := m.GetSlotList(true)
	if err != nil {
		return 0, info, absent(fmt.Sprintf("list the tokens: %v", err), "")
	}
	var there []string
	found := 0
	for _, s := range slots {
		i, err := m.GetTokenInfo(s)
		if err != nil || i.Flags&pkcs11.CKF_TOKEN_INITIALIZED == 0 {
			continue // of a reader that is empty again, or a token that nobody has set up
		}
		there = append(there, strconv.Quote(i.Label))
		if means(u, s, i) {
			slot, info, found = s, i, found+1
		}
	}
	switch {
	case found == 1:
		return slot, info, nil
	case found > 1:
		return 0, info, problem(fmt.Sprintf("%d tokens are meant by the URI", found), "add serial=NUMBER; `pkcs11-tool -L` shows it")
	case len(there) == 0:
		return 0, info, absent(fmt.Sprintf("the token %s is not there, nor any other", u.TokenName()), "plug it in; is this user allowed to use it?")
	}
	return 0, info, absent(fmt.Sprintf("the token %s is not there", u.TokenName()), "there are: "+strings.Join(there, ", "))
}

// means tells whether u is about this token.
func means(u token.URI, slot uint, i pkcs11.TokenInfo) bool {
	if u.Slot != nil && *u.Slot != slot {
		return false
	}
	for _, part := range []struct{ want, is string }{
		{u.Token, i.Label}, {u.Serial, i.SerialNumber}, {u.Model, i.Model}, {u.Manufacturer, i.ManufacturerID},
	} {
		// The token pads with spaces.
		if part.want != "" && strings.TrimRight(part.want, " ") != strings.TrimRight(part.is, " \x00") {
			return false
		}
	}
	return true
}
