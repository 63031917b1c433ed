package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"sync"

	"greengate/configs"
	"greengate/core/admin"
	"greengate/core/admin/client"
)

// tokenName is the file in the data folder with the hash of the token of those who may
// act at the page.
const tokenName = "admin-token"

func tokenFile(c *configs.Config) string { return filepath.Join(c.Data, tokenName) }

// openPage opens the status page. When its port is taken, a gateway whose file names the
// port does not start; one that has it by default goes on, says so, and tries again:
// the page is not worth the traffic of a site that never asked for it.
func (g *gateway) openPage(c *configs.Config) error {
	if c.Admin.Listen == "" {
		return nil
	}
	secure := g.server.TLSConfig()
	secure.ClientAuth = tls.NoClientCert // people have no certificate
	g.page = admin.NewPage(admin.PageOptions{
		Listen: c.Admin.Listen, TLS: secure, Admit: g.admitToPage, Token: tokenFile(c), Watch: g.subscribe,
		MaxConns: shareDescriptors(c).page, Log: g.log,
	})
	g.page.Register(g.admin)
	g.admin.Register(g.page)
	g.servePage()
	g.checkParts()
	g.collectFigures()
	err := g.page.Listen()
	switch {
	case err == nil:
		g.log.Info("The status page is served", "component", "admin", "address", g.page.Addr().String())
	case c.PageAsked():
		return portError(c, "admin.listen", err)
	default:
		g.log.Error("The status page is not served; it is tried again every 30 seconds", "component", "admin", "err", err,
			"next_step", `write another address in admin.listen ("" for none), or stop who has this one`)
	}
	return nil
}

// admitToPage has the handshakes at the page be part of what an address may cost at all
// doors. Nobody there is known, so each counts.
func (g *gateway) admitToPage(conn net.Conn) bool {
	_, ok := g.handshakes.Begin(conn)
	return ok
}

// servePage hangs on the page what the control socket answers too.
func (g *gateway) servePage() {
	g.page.Handle("GET /api/explain", http.HandlerFunc(g.answerExplain))
	g.page.Handle("GET /api/shadow", http.HandlerFunc(g.answerGetShadow))
	g.page.Handle("GET /api/allow", http.HandlerFunc(g.answerMayAllow))
	g.page.HandleActing("POST /api/allow", http.HandlerFunc(g.answerAllow))
	g.page.HandleActing("POST /api/shadow", http.HandlerFunc(g.answerDesire))
	g.page.HandleActing("POST /api/gpio/press", http.HandlerFunc(g.answerPagePress))
}

// answerDesire sets desired values: the page acts as an application does, and never
// says what a device has to report.
func (g *gateway) answerDesire(w http.ResponseWriter, r *http.Request) {
	desired, err := readRequest(r.Body)
	if err != nil {
		admin.Refuse(w, http.StatusRequestEntityTooLarge, fmt.Errorf("read the desired values: %w", err))
		return
	}
	// The whole of it is one object: it cannot end early and go on with what is reported.
	if text := bytes.TrimSpace(desired); !json.Valid(text) || text[0] != '{' {
		admin.Refuse(w, http.StatusBadRequest, errors.New(`the desired values are a JSON object, such as {"property": "G"}`))
		return
	}
	thing, name := shadowOf(r)
	request := fmt.Appendf(nil, `{"state":{"desired":%s}}`, desired)
	// To the end, even when the one who asked has gone: the log is to say what took place.
	accepted, err := g.shadows.Update(context.WithoutCancel(r.Context()), thing, name, request, operator)
	g.auditPage(r, "shadow", "update", err, "thing", thing, "shadow", name)
	answerShadow(w, accepted, err)
}

// answerPagePress presses a simulated input once, for as long as a finger does.
func (g *gateway) answerPagePress(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	p, err := g.findPin(name)
	if err == nil {
		err = g.pressPin(r.Context(), p, url.Values{"hold": {"100ms"}})
	}
	g.auditPage(r, "gpio", "press", err, "pin", name)
	if err != nil {
		admin.Refuse(w, pinCode(err), err)
		return
	}
	if now, err := g.findPin(p.Name); err == nil {
		p = now
	}
	admin.Answer(w, http.StatusOK, p)
}

// auditPage tells the log of an act at the page, as audit does of a command.
func (g *gateway) auditPage(r *http.Request, component, op string, err error, about ...any) {
	about = append([]any{"component", component, "op", op, "by", "status page", "address", r.RemoteAddr}, about...)
	if err != nil {
		g.log.Info("did not carry out what was asked at the status page", append(about, "err", err)...)
		return
	}
	g.log.Info("carried out what was asked at the status page", about...)
}

// checkParts tells /healthz and /readyz of the parts.
func (g *gateway) checkParts() {
	if g.notify.watchdog > 0 { // otherwise nobody makes the check
		g.page.Check("message path", admin.Alive, g.pulse.last)
	}
	for _, st := range g.stores {
		g.page.Check("store of "+st.component, admin.Ready, func() error { return st.db.Stats().Failure })
	}
	g.page.Check("mqtt", admin.Ready, func() error {
		if g.broker == nil || len(g.broker.Addrs()) == 0 {
			return errors.New("no listener is open")
		}
		return nil
	})
	g.page.Check("discovery", admin.Ready, func() error {
		if g.discovery == nil || len(g.discovery.Addrs()) == 0 {
			return errors.New("no listener is open")
		}
		return nil
	})
	g.page.Check("cloud", admin.Worth, g.checkCloud)
	g.page.Check("faults", admin.Worth, g.checkFaults)
}

func (g *gateway) checkCloud() error {
	if g.uplink == nil {
		return nil
	}
	if c := g.uplink.cloudStatus(); !c.Connected {
		return admin.Problem{Fault: client.Fault{Message: "not connected: " + c.Error, NextStep: "`greengate doctor` looks for the reason"}}
	}
	return nil
}

// checkFaults is well while the status has no fault.
func (g *gateway) checkFaults() error {
	faults := g.page.Status().Faults
	if len(faults) == 0 {
		return nil
	}
	first := faults[0]
	if more := len(faults) - 1; more > 0 {
		first.Message += fmt.Sprintf(" (and %d more)", more)
	}
	return admin.Problem{Fault: first}
}

// lastPulse keeps what the check of the watchdog found.
type lastPulse struct {
	mu  sync.Mutex
	err error // guarded by mu
}

// keep is check, and keeps its result.
func (l *lastPulse) keep(check func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		err := check(ctx)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.err = err
		return err
	}
}

func (l *lastPulse) last() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
