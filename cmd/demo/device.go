package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
)

// device is what a customer's device is born with: its name, its certificate,
// the CA of the group, and the address to ask for everything else.
type device struct {
	thing     string
	discovery string // HOST:PORT
	cert      tls.Certificate
	roots     *x509.CertPool
}

// broker is what discovery tells: where the core listens, and which CAs may
// have signed its certificate.
type broker struct {
	group, host string
	port        int
	cas         *x509.CertPool
}

// runDevice reads the flags and files of a device and lets it work until ctx
// ends.
func runDevice(ctx context.Context, args []string, work func(context.Context, *device) error) error {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	thing := flags.String("thing", "", "thing `NAME` of the device")
	certs := flags.String("certs", ".", "`FOLDER` that `greengate device add --out` filled")
	address := flags.String("discovery", "127.0.0.1:8443", "`ADDRESS` of the discovery service")
	if err := flags.Parse(args); err != nil {
		return err
	}
	d, err := loadDevice(*certs, *thing, *address)
	if err != nil {
		return err
	}
	return work(ctx, d)
}

// loadDevice reads what `greengate device add --out folder` wrote.
func loadDevice(folder, thing, discovery string) (*device, error) {
	cert, err := tls.LoadX509KeyPair(filepath.Join(folder, thing+".cert.pem"), filepath.Join(folder, thing+".private.key"))
	if err != nil {
		return nil, fmt.Errorf("read the device's certificate: %w", err)
	}
	root := filepath.Join(folder, "root-ca.pem")
	pem, err := os.ReadFile(root)
	if err != nil {
		return nil, fmt.Errorf("read the group CA: %w", err)
	}
	d := &device{thing: thing, discovery: discovery, cert: cert, roots: x509.NewCertPool()}
	if !d.roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the group CA: no certificate in %s", root)
	}
	return d, nil
}

// refused is the answer of a discovery service that does not want us.
type refused struct {
	status int
	body   string
}

func (r *refused) Error() string { return fmt.Sprintf("discovery answered %d: %s", r.status, r.body) }

// discover asks the Greengrass discovery API for the core of the device's
// group. A refusal is a *refused.
func (d *device) discover(ctx context.Context) (*broker, error) {
	client := http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{RootCAs: d.roots, Certificates: []tls.Certificate{d.cert}},
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet,
		"https://"+d.discovery+"/greengrass/discover/thing/"+url.PathEscape(d.thing), nil)
	if err != nil {
		return nil, fmt.Errorf("ask discovery: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask discovery: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read the answer of discovery: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &refused{resp.StatusCode, string(body)}
	}
	return readGroups(body)
}

// readGroups takes the first address of the first core of the first group, as
// AWS's own samples do.
func readGroups(body []byte) (*broker, error) {
	var answer struct {
		GGGroups []struct {
			GGGroupId string
			Cores     []struct {
				Connectivity []struct {
					HostAddress string
					PortNumber  int
				}
			}
			CAs []string
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("read the answer of discovery: %w", err)
	}
	for _, g := range answer.GGGroups {
		b := broker{group: g.GGGroupId, cas: x509.NewCertPool()}
		for _, pem := range g.CAs {
			b.cas.AppendCertsFromPEM([]byte(pem))
		}
		for _, c := range g.Cores {
			for _, at := range c.Connectivity {
				b.host, b.port = at.HostAddress, at.PortNumber
				return &b, nil
			}
		}
	}
	return nil, errors.New("discovery names no core for this device")
}

// find asks for the core until there is an answer, or ctx ends. It says why it
// still waits each time the reason changes.
func (d *device) find(ctx context.Context) (*broker, error) {
	said := ""
	for {
		b, err := d.discover(ctx)
		if err == nil {
			say("discovered group %s: its core is at %s", b.group, b.address())
			return b, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err.Error() != said {
			said = err.Error()
			say("%s (trying again every second)", said)
		}
		if err := pause(ctx, time.Second); err != nil {
			return nil, err
		}
	}
}

func (b *broker) address() string { return net.JoinHostPort(b.host, strconv.Itoa(b.port)) }

func (b *broker) tls(cert tls.Certificate) *tls.Config {
	return &tls.Config{RootCAs: b.cas, Certificates: []tls.Certificate{cert}, ServerName: b.host}
}

// connect keeps the device connected until ctx ends. up runs after each
// CONNACK, heard for each message.
func (d *device) connect(ctx context.Context, b *broker, up func(*autopaho.ConnectionManager), heard func(*paho.Publish)) (*autopaho.ConnectionManager, error) {
	return autopaho.NewConnection(ctx, autopaho.ClientConfig{
		ServerUrls:       []*url.URL{{Scheme: "mqtts", Host: b.address()}},
		TlsCfg:           b.tls(d.cert),
		KeepAlive:        20,
		ReconnectBackoff: func(int) time.Duration { return time.Second },
		OnConnectionUp: func(m *autopaho.ConnectionManager, _ *paho.Connack) {
			say("connected to %s with its certificate", b.address())
			up(m)
		},
		OnConnectError: func(err error) { say("not connected: %v", err) },
		ClientConfig: paho.ClientConfig{
			ClientID: d.thing,
			OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
				heard(p.Packet)
				return true, nil
			}},
			OnServerDisconnect: func(p *paho.Disconnect) { say("the core closed the connection: 0x%02X", p.ReasonCode) },
		},
	})
}

// say prints one line; `demo site` puts the device's name before it.
func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// pause waits for d, or returns the error of ctx when that ends first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
