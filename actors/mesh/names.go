package mesh

import (
	"strings"
)

// nameMost is the length of the longest name of a node, in bytes.
const nameMost = 64

// validName reports whether a node may be called that. Source:
// gateways/mesh/PROTOCOL.md, Names.
func validName(name string) bool {
	if name == "" || len(name) > nameMost {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// urlMost is the length of the longest address of a node that is believed, in
// bytes.
const urlMost = 512

// dialable returns a node's address as meshpb.Dial wants it; "": it is none.
func dialable(url string) string {
	if len(url) > urlMost || !strings.HasPrefix(url, "ws://") && !strings.HasPrefix(url, "wss://") {
		return ""
	}
	url = strings.TrimRight(url, "/")
	if _, host, _ := strings.Cut(url, "://"); host == "" {
		return ""
	}
	return url
}

// clip shortens what others say of themselves, for the log and for people.
func clip(text string) string { return text[:min(len(text), nameMost)] }
