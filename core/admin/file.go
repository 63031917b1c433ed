package admin

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"sync"
)

// page is the live page, with its style and its script: one file, which asks for
// nothing but the answers of this package.
//
//go:embed page.html
var page []byte

type pageFile struct{ policy string }

// file returns the policy of the page. Only the style and the script that stand in the
// file are let run, by their hashes: what devices have made never is. The page writes
// text by textContent only, and trusted types make the browser refuse any other way.
var file = sync.OnceValue(func() pageFile {
	return pageFile{policy: "default-src 'none'; script-src " + hashes(page, "script") + "; style-src " + hashes(page, "style") +
		"; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"}
})

// hashes returns the source of a policy that allows the one element of that name.
func hashes(html []byte, element string) string {
	_, rest, _ := bytes.Cut(html, []byte("<"+element+">"))
	inside, _, found := bytes.Cut(rest, []byte("</"+element+">"))
	if !found {
		return "'none'"
	}
	sum := sha256.Sum256(inside)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func (p *Page) serveFile(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(page) // a caller who has gone needs no answer
}
