package dlog

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// hostSet is a set of hosts by name, by domain and by network.
type hostSet struct {
	names   map[string]bool
	domains []string // with the leading dot
	nets    []netip.Prefix
}

// privateDomains are names that the public name system promises never to hold (RFC 6761, RFC 6762, ICANN's reservation of .internal), and the
// usual one inside Kubernetes.
var privateDomains = []string{".localhost", ".local", ".internal", ".cluster.local"}

// Inside reports whether tokens may be sent to a host ("payments:8080"): loopback and private addresses, names without a dot or of a private domain,
// and what Config.Inside names.
func (c *Client) Inside(host string) bool { return c != nil && c.inside.has(host) }

// Trusted reports whether tokens are accepted from a peer ("10.0.0.7:4711", as in http.Request.RemoteAddr): loopback and private
// addresses, and what Config.Proxies names. An address that is a path or empty, as of a Unix socket, is local.
func (c *Client) Trusted(peer string) bool {
	if c == nil {
		return false
	}
	return peer == "" || peer == "@" || peer[0] == '/' || c.proxies.has(peer)
}

// parseHosts reads a list of the configuration.
func parseHosts(key string, list []string) (hostSet, error) {
	s, err := hostsOf(list)
	if err != nil {
		return s, fmt.Errorf("%s: %w", key, err)
	}
	return s, nil
}

func hostsOf(list []string) (hostSet, error) {
	s := hostSet{names: make(map[string]bool)}
	for _, h := range list {
		h = strings.ToLower(strings.TrimSpace(h))
		switch {
		case h == "" || h == "." || strings.ContainsAny(h, " @"):
			return s, fmt.Errorf("%q is no host, domain or network", h)
		case strings.Contains(h, "/"):
			p, err := netip.ParsePrefix(h)
			if err != nil {
				return s, fmt.Errorf("%q is no network: %w", h, err)
			}
			s.nets = append(s.nets, p.Masked())
		case h[0] == '.':
			s.domains = append(s.domains, h)
		default:
			s.names[strings.Trim(h, "[]")] = true
		}
	}
	return s, nil
}

// has reports whether a host, with or without a port, is loopback, private or in the set. Names are not resolved: who answers for a name may
// change it.
func (s *hostSet) has(host string) bool {
	host = strings.ToLower(hostOf(host))
	if s.names[host] {
		return true
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return s.hasAddr(addr.Unmap().WithZone(""))
	}
	if host != "" && !strings.Contains(host, ".") {
		return true
	}
	return hasSuffix(host, privateDomains) || hasSuffix(host, s.domains)
}

func hasSuffix(host string, domains []string) bool {
	return slices.ContainsFunc(domains, func(d string) bool { return strings.HasSuffix(host, d) })
}

func (s *hostSet) hasAddr(a netip.Addr) bool {
	if a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() {
		return true
	}
	for _, n := range s.nets {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

func hostOf(hostport string) string {
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		return h
	}
	return strings.Trim(hostport, "[]")
}
