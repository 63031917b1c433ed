package token

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"io"
	"sync"
	"time"
)

// answerTime is how long a token may take for one signature, with all that goes before it. A TPM
// needs less than a second, an old card with an RSA key three; the handshake around it
// has 30 s.
const answerTime = 20 * time.Second

// Key is one private key in a token. It holds nothing that would have to be closed.
type Key struct {
	uri     URI
	text    string // of the URI
	program string
	limit   time.Duration
	turn    chan struct{} // held while the program runs

	mu      sync.Mutex
	proven  crypto.PublicKey // the key in the token belonged to it when it was last used
	refused *Error           // the token did not take the PIN; for ever
}

// New makes a Key of a URI. program is the path of greengate-token. It touches no token.
func New(uri, program string) (*Key, error) {
	u, err := Parse(uri)
	if err != nil {
		return nil, err
	}
	return &Key{uri: u, text: uri, program: program, limit: answerTime, turn: make(chan struct{}, 1)}, nil
}

// Signer returns the private key that belongs to the public key of a certificate, for one
// handshake: the signer stops waiting for the token when ctx ends. The first time, and after
// anything that went wrong, it proves by a signature that the token is there and has
// that key. An error is an *Error, or that of ctx.
func (k *Key) Signer(ctx context.Context, public crypto.PublicKey) (crypto.Signer, error) {
	s := &signer{key: k, ctx: ctx, public: public}
	if k.isProven(public) {
		return s, nil
	}
	digest := sha256.Sum256([]byte("greengate asks whose key this is"))
	var opts crypto.SignerOpts = crypto.SHA256
	if _, ok := public.(*rsa.PublicKey); ok { // as TLS 1.3 wants it of RSA
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	}
	if _, err := s.Sign(nil, digest[:], opts); err != nil {
		return nil, err
	}
	return s, nil
}

func (k *Key) isProven(public crypto.PublicKey) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	known, ok := k.proven.(interface{ Equal(crypto.PublicKey) bool })
	return ok && known.Equal(public)
}

// signer is a Key as crypto/tls wants it. It lives as long as one handshake, which is why it
// may keep the context: crypto.Signer has no place for one.
type signer struct {
	key    *Key
	ctx    context.Context
	public crypto.PublicKey
}

var _ crypto.Signer = (*signer)(nil)

func (s *signer) Public() crypto.PublicKey { return s.public }

// Sign has the token sign a digest. The token has a source of randomness of its own. What
// comes back is checked, so that a key that is another's is no riddle of TLS.
func (s *signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, err := s.sign(digest, opts)
	s.key.mu.Lock()
	defer s.key.mu.Unlock()
	if s.key.proven = nil; err != nil {
		return nil, err
	}
	s.key.proven = s.public
	return signature, nil
}

func (s *signer) sign(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	scheme, err := schemeOf(s.public, opts)
	if err != nil {
		return nil, err
	}
	u := s.key.uri
	signature, err := s.key.ask(s.ctx, Request{URI: s.key.text, Scheme: scheme, Hash: opts.HashFunc().String(), Digest: digest})
	if err == nil && !verify(s.public, digest, signature, opts) {
		err = problem(fmt.Sprintf("the key %s of the token %s does not belong to the certificate", u.KeyName(), u.TokenName()),
			"get a certificate for this key, or name the key of the certificate")
	}
	return signature, err
}

// ask has the program ask the token, and waits for it for the limit at most.
func (k *Key) ask(ctx context.Context, r Request) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, k.limit)
	defer cancel()
	select {
	case k.turn <- struct{}{}:
	case <-limited.Done():
		return nil, k.late(ctx)
	}
	if err := k.pinRefused(nil); err != nil {
		<-k.turn
		return nil, err
	}
	type result struct {
		answer Answer
		err    error
	}
	done := make(chan result, 1)
	go func() {
		// A process that waits for a dead bus cannot be killed. It keeps the turn, so that
		// there is never a second one; nobody waits for it.
		defer func() { <-k.turn }()
		answer, err := run(limited, k.program, r)
		_ = k.pinRefused(answer.Error)
		done <- result{answer, err}
	}()
	select {
	case r := <-done:
		switch {
		case limited.Err() != nil:
			return nil, k.late(ctx)
		case r.err != nil:
			return nil, r.err
		case r.answer.Error != nil:
			return nil, r.answer.Error
		}
		return r.answer.Signature, nil
	case <-limited.Done():
		return nil, k.late(ctx)
	}
}

// late is the error of a use that took too long. Its text does not change with the time, so
// that it is logged once.
func (k *Key) late(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return absent(fmt.Sprintf("the token %s has not answered within %v", k.uri.TokenName(), k.limit),
		"is it plugged in, and does its service run (pcscd, tpm2-abrmd)?")
}

// pinRefused takes note of an error that says so, and returns it from then on.
func (k *Key) pinRefused(e *Error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refused == nil && e != nil && e.Refused {
		k.refused = e
	}
	if k.refused == nil {
		return nil
	}
	return k.refused
}
