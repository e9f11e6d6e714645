package config

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Listener is NAME://host:port. An empty Host is every interface.
type Listener struct {
	Name, Host string
	Port       int
}

// Address is host:port as net.Listen and net.Dial take it.
func (l Listener) Address() string { return net.JoinHostPort(l.Host, strconv.Itoa(l.Port)) }

// String is NAME://host:port.
func (l Listener) String() string { return l.Name + "://" + l.Address() }

// Loopback tells whether only this machine can reach the listener. A host
// name other than localhost is not looked up and counts as reachable.
func (l Listener) Loopback() bool {
	if strings.EqualFold(l.Host, "localhost") {
		return true
	}
	ip := net.ParseIP(l.Host)
	return ip != nil && ip.IsLoopback()
}

// wildcard tells whether the host means every interface.
func (l Listener) wildcard() bool {
	ip := net.ParseIP(l.Host)
	return l.Host == "" || ip != nil && ip.IsUnspecified()
}

// ParseListener reads NAME://host:port. Host may be empty or an address in
// brackets; the port is 0 to 65535.
func ParseListener(text string) (Listener, error) {
	name, address, ok := strings.Cut(strings.TrimSpace(text), "://")
	if !ok || name == "" {
		return Listener{}, fmt.Errorf("%w: listener %q is not NAME://host:port", ErrInvalid, text)
	}
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return Listener{}, fmt.Errorf("%w: listener %q is not NAME://host:port", ErrInvalid, text)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return Listener{}, fmt.Errorf("%w: listener %q: the port must be 0 to 65535", ErrInvalid, text)
	}
	if strings.ContainsAny(host, " \t/@,") {
		return Listener{}, fmt.Errorf("%w: listener %q: %q is not a host", ErrInvalid, text, host)
	}
	return Listener{Name: strings.ToUpper(name), Host: host, Port: int(port)}, nil
}

// parseListeners reads a comma-separated list; names and (but for port 0) ports must differ.
func parseListeners(key, text string) ([]Listener, error) {
	var all []Listener
	for _, part := range SplitList(text) {
		l, err := ParseListener(part)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		for _, other := range all {
			if other.Name == l.Name {
				return nil, fmt.Errorf("%w: %s names the listener %s twice", ErrInvalid, key, l.Name)
			}
			if key == "listeners" && other.Port == l.Port && l.Port != 0 && (other.Host == l.Host || other.wildcard() || l.wildcard()) {
				return nil, fmt.Errorf("%w: %s uses port %d twice", ErrInvalid, key, l.Port)
			}
		}
		all = append(all, l)
	}
	return all, nil
}

// listen fills Listeners and AdvertisedListeners from the text settings.
func (n *Node) listen() error {
	all, err := parseListeners("listeners", n.text("listeners"))
	if err != nil {
		return err
	}
	protocols, err := protocolMap(n.text("listener.security.protocol.map"))
	if err != nil {
		return err
	}
	controllers := SplitList(strings.ToUpper(n.text("controller.listener.names")))
	for _, l := range all {
		if slices.Contains(controllers, l.Name) {
			n.warn("controller.listener.names", fmt.Sprintf("the listener %s belongs to the controller; it is not opened", l))
			continue
		}
		switch protocol := protocols[l.Name]; protocol {
		case "PLAINTEXT":
		case "":
			return fmt.Errorf("%w: listener %s has no entry in listener.security.protocol.map", ErrInvalid, l.Name)
		default:
			return fmt.Errorf("%w: listener %s asks for %s, which is not built; only PLAINTEXT is", ErrInvalid, l.Name, protocol)
		}
		if !l.Loopback() && !n.Insecure {
			return fmt.Errorf("%w: %s would let other machines in without authentication; use 127.0.0.1, or allow it with --insecure (fluxmq.insecure=true)", ErrUnsafe, l)
		}
		n.Listeners = append(n.Listeners, l)
	}
	if len(n.Listeners) == 0 {
		return fmt.Errorf("%w: listeners=%s leaves none to open", ErrInvalid, n.text("listeners"))
	}
	return n.advertise(controllers)
}

// advertise fills AdvertisedListeners, one for each of Listeners, in its order.
func (n *Node) advertise(controllers []string) error {
	given, err := parseListeners("advertised.listeners", n.text("advertised.listeners"))
	if err != nil {
		return err
	}
	byName := map[string]Listener{}
	for _, l := range given {
		if slices.Contains(controllers, l.Name) {
			continue
		}
		if l.wildcard() {
			return fmt.Errorf("%w: advertised.listeners: clients cannot connect to %q", ErrInvalid, l)
		}
		if !slices.ContainsFunc(n.Listeners, func(open Listener) bool { return open.Name == l.Name }) {
			return fmt.Errorf("%w: advertised.listeners names %s, which listeners does not open", ErrInvalid, l.Name)
		}
		byName[l.Name] = l
	}
	for _, l := range n.Listeners {
		if as, ok := byName[l.Name]; ok {
			l = as
		} else if l.wildcard() {
			if l.Host, err = os.Hostname(); err != nil {
				return fmt.Errorf("advertised.listeners is not set and this machine has no name: %w", err)
			}
		}
		n.AdvertisedListeners = append(n.AdvertisedListeners, l)
	}
	return nil
}

// protocolMap reads NAME:PROTOCOL pairs.
func protocolMap(text string) (map[string]string, error) {
	protocols := map[string]string{}
	for _, pair := range SplitList(text) {
		name, protocol, ok := strings.Cut(pair, ":")
		name, protocol = strings.ToUpper(strings.TrimSpace(name)), strings.ToUpper(strings.TrimSpace(protocol))
		if !ok || name == "" || !oneOf("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL").Allows(protocol) {
			return nil, fmt.Errorf("%w: listener.security.protocol.map: %q is not NAME:PROTOCOL with PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL", ErrInvalid, pair)
		}
		protocols[name] = protocol
	}
	return protocols, nil
}
