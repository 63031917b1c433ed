package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"path/filepath"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
)

// serveMochiCommand as the first argument makes this program the bare mochi.
const serveMochiCommand = "serve-mochi"

// serveMochi runs mochi as it comes until ctx ends: everything is allowed, its log
// goes nowhere, TLS is set as greengate sets it. The keys are those in pki.
func serveMochi(ctx context.Context, address, pki string) error {
	config, err := serverTLS(pki)
	if err != nil {
		return err
	}
	s := mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler)})
	if err := s.AddHook(new(auth.AllowHook), nil); err != nil {
		return err
	}
	if err := s.AddListener(listeners.NewTCP(listeners.Config{ID: "bench", Address: address, TLSConfig: config})); err != nil {
		return err
	}
	if err := s.Serve(); err != nil {
		return err
	}
	<-ctx.Done()
	return nil // its own end of thousands of connections takes longer than ours
}

// serverTLS are greengate's TLS settings, with the keys in pki.
func serverTLS(pki string) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(filepath.Join(pki, "server.pem"), filepath.Join(pki, "server.key"))
	if err != nil {
		return nil, fmt.Errorf("read the server's key: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert}, nil
}
