// Package token owns private keys that live in a PKCS#11 token: a TPM, a security key, a
// smart card, an HSM, or a stand-in for one in software. Such a key never leaves its token:
// who copies the disk does not have it.
//
// Begin with Parse, which reads the RFC 7512 URI of a key, and New; a Key gives a
// crypto.Signer to whoever makes a TLS handshake. The room makes no keys and no certificates:
// the tools of the token's maker do (docs/certificates.md has the commands).
//
// It imports nothing of ours. configs (to check a URI) and cmd may import it.
//
// # Another process
//
// What knows a token is its module, a shared library in C. It is loaded by a program of its own,
// greengate-token (core/token/module), which is started for each signature, reads one
// Request, writes one Answer, and ends. A module that crashes, leaks, writes to stderr, or keeps
// descriptors open does so there. One that hangs is killed. And greengate itself can stay a
// static program, which cannot load libraries of another C library than its own.
//
// Nothing is kept open between two signatures, so nothing can go stale: a token that was
// unplugged, reset or filled anew is found as it is, and others may use it meanwhile. A
// handshake with the cloud is rare, and all of it takes from 20 ms (SoftHSM, a TPM) to a second
// or two (a card).
//
// # The PIN
//
// It is read from its file by that program, for each signature, and never comes here. A wrong one is
// tried once in the life of a Key: tokens lock themselves after three or so. For the same
// reason none is tried when the token says that it is the last try.
//
// Concurrency: all methods may be called from any goroutine. A Key has one process at a time.
package token
