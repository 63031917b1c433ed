package main

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"

	"greengate/configs"
	"greengate/core/token"
	"greengate/sync/cloud"
)

// The core's key for the cloud is in a file, or in a PKCS#11 token. A token is touched by
// the link at its attempts, and by check and doctor, and by nothing else: without it the
// gateway starts, and serves its site.

// tokenProgram is what talks to tokens: beside this program when that was built by `make
// build`, otherwise where the package has it.
func tokenProgram() string {
	const name, packaged = "greengate-token", "/usr/lib/greengate/greengate-token"
	if self, err := os.Executable(); err == nil {
		if beside := filepath.Join(filepath.Dir(self), name); isFile(beside) {
			return beside
		}
	}
	return packaged
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// tokenKey returns where the token of the core's key is; ok is false when the key is in a file, or
// there is no cloud.
func tokenKey(c *configs.Config) (u token.URI, ok bool) {
	if c.Cloud == nil || !token.IsURI(c.Cloud.Key) {
		return u, false
	}
	u, err := token.Parse(c.Cloud.Key) // which was checked with the file
	return u, err == nil
}

// secretFile is the file that makes its reader this gateway in the cloud, or helps him: that of the
// key or of the PIN. "" is none.
func secretFile(c *configs.Config) string {
	if c.Cloud == nil {
		return ""
	}
	if u, ok := tokenKey(c); ok {
		return u.PINFile
	}
	return c.Cloud.Key
}

// coreSigner returns what gives the core's key for a handshake; nil: it is in a file.
func coreSigner(c *configs.Config) func(context.Context, crypto.PublicKey) (crypto.Signer, error) {
	if _, inToken := tokenKey(c); !inToken {
		return nil
	}
	key, err := token.New(c.Cloud.Key, tokenProgram())
	if err != nil { // not of a file that was checked
		return func(context.Context, crypto.PublicKey) (crypto.Signer, error) { return nil, err }
	}
	return key.Signer
}

// corePair reads the core's certificate and key as the link does.
func corePair(ctx context.Context, c *configs.Config) (*tls.Certificate, error) {
	signer := coreSigner(c)
	if signer == nil {
		pair, err := tls.LoadX509KeyPair(c.Cloud.Certificate, c.Cloud.Key)
		return &pair, err
	}
	pair, err := cloud.LoadCertificate(c.Cloud.Certificate)
	if err != nil {
		return nil, err
	}
	pair.PrivateKey, err = signer(ctx, pair.Leaf.PublicKey)
	return pair, err
}

// checkToken makes what is wrong with the core's key, when that is in a token, one of the warnings
// of c. It is no fault: `run` serves the site without the key.
func checkToken(ctx context.Context, c *configs.Config) {
	if _, ok := tokenKey(c); !ok {
		return
	}
	_, err := corePair(ctx, c)
	if err == nil {
		return
	}
	problem, hint, tried := err.Error(), "", false
	if wrong := (*token.Error)(nil); errors.As(err, &wrong) {
		problem, hint, tried = wrong.Problem, wrong.Hint, !wrong.Absent
	}
	if !tried {
		problem = "the key was not tried: " + problem
	}
	c.Warnings = append(c.Warnings, warningAt(c, "cloud.key", problem, hint))
}
