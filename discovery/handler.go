package discovery

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// discoverPath is where the API stands; the name of the thing follows (AWS,
// "Greengrass Discovery RESTful API").
const discoverPath = "/greengrass/discover/thing/"

// The answer of discovery. The names of the fields are AWS's.
type (
	discovered struct {
		GGGroups []group
	}
	group struct {
		GGGroupId string
		Cores     []core
		CAs       []string // PEM; the one in use first, since clients take the first
	}
	core struct {
		ThingArn     string `json:"thingArn"`
		Connectivity []connectivity
	}
)

type thingKey struct{}

// ThingFrom returns the thing that a request of Options.Data comes from. The
// context of any other request has none.
func ThingFrom(ctx context.Context) (thing string, ok bool) {
	thing, ok = ctx.Value(thingKey{}).(string)
	return thing, ok
}

// handle is the one handler of all listeners: who are you, and then discovery
// or data. The identity is asked for anew with every request, since a device
// may have been removed meanwhile.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	thing, err := s.o.Identities.Identify(r.TLS.PeerCertificates)
	if err != nil {
		s.stats.refuse(refusal{thing: thing, reason: reasonOf(err), remote: r.RemoteAddr, err: err})
		w.Header().Set("Connection", "close") // a stranger holds no connection
		writeError(w, http.StatusUnauthorized, "this certificate is not known to the group")
		return
	}
	asked, found := thingOf(r.URL)
	switch {
	case found:
		s.discover(w, r, thing, asked)
	case s.o.Data != nil:
		// Before: what the request does is done under this certificate.
		s.o.Identities.Used(thing, r.TLS.PeerCertificates[0])
		s.o.Data.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), thingKey{}, thing)))
	default:
		s.stats.refuse(refusal{thing: thing, reason: reasonUnknownPath, remote: r.RemoteAddr, err: fmt.Errorf("nothing is at %.100q", r.URL.Path)})
		writeError(w, http.StatusNotFound, "there is nothing at this path")
	}
}

// discover tells thing how to reach the core, when it asks for itself.
func (s *Server) discover(w http.ResponseWriter, r *http.Request, thing, asked string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.stats.refuse(refusal{thing: thing, reason: reasonMethod, remote: r.RemoteAddr, err: fmt.Errorf("method %.20q", r.Method)})
		w.Header().Set("Allow", "GET, HEAD")
		writeError(w, http.StatusMethodNotAllowed, "discovery is asked with GET")
		return
	}
	if asked != thing {
		s.stats.refuse(refusal{thing: thing, reason: reasonOtherThing, remote: r.RemoteAddr, err: fmt.Errorf("it asked for %.100q", asked)})
		writeError(w, http.StatusForbidden, "this certificate is that of another thing")
		return
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	remote, _ := netip.ParseAddrPort(r.RemoteAddr)
	writeJSON(w, http.StatusOK, discovered{GGGroups: []group{{
		GGGroupId: s.o.Group,
		Cores: []core{{
			ThingArn:     s.o.CoreARN,
			Connectivity: entries(*s.hosts.Load(), addrOf(local), remote.Addr(), s.o.MQTTPort),
		}},
		CAs: []string{string(s.o.RootPEM())},
	}}})
	s.stats.serve()
	s.o.Identities.Used(thing, r.TLS.PeerCertificates[0])
}

// thingOf returns the thing that a discovery request is about, and whether u is
// one. Clients put the name into the path as it is, colons and all; an escaped
// one is read too. The path is taken as it was sent, so that an escaped slash
// is no slash.
func thingOf(u *url.URL) (thing string, ok bool) {
	rest, ok := strings.CutPrefix(u.EscapedPath(), discoverPath)
	if !ok || rest == "" || strings.Contains(rest, "/") {
		return "", false
	}
	thing, err := url.PathUnescape(rest)
	return thing, err == nil
}
