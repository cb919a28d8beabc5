package mesh

import (
	"google.golang.org/protobuf/proto"

	"parley/gateways/jsonwalk"
	"parley/messages/meshpb"
)

// handshake reads the first frame of a link, or says why it is none.
func (f *fields) handshake() (m proto.Message, reason string) {
	if name, _ := jsonwalk.Text(f.command); name != cmdHandshake {
		return nil, reasonHandshake
	}
	h := &meshpb.Handshake{}
	good := true
	whole := jsonwalk.Members(f.data, func(key, value []byte) bool {
		switch string(key) {
		case "name":
			h.Name, good = jsonwalk.Text(value)
		case "boot":
			h.Boot, good = integer(value)
		case "time":
			h.Time, good = integer(value)
		case "host":
			h.Host, good = jsonwalk.Text(value)
		case "links":
			h.Links, good = names(value, maxNames)
		case "chain":
			h.Chain, good = jsonwalk.Text(value)
		case "version":
			h.Version, good = jsonwalk.Text(value)
		case "encodings":
			h.Encodings, good = names(value, maxEncodings)
		}
		return good
	})
	if !whole || !goodHandshake(h) {
		return nil, reasonHandshake
	}
	return h, ""
}

func goodHandshake(h *meshpb.Handshake) bool {
	for _, s := range append([]string{h.GetHost(), h.GetChain(), h.GetVersion()}, h.GetEncodings()...) {
		if len(s) > maxText || !printable(s) {
			return false
		}
	}
	return goodName(h.GetName()) && goodNames(h.GetLinks())
}

// appendHandshake leaves out what is not said.
func appendHandshake(dst []byte, h *meshpb.Handshake) []byte {
	dst = quote(append(dst, `{"command":"handshake","data":{"name":`...), h.GetName())
	dst = appendUnlessZero(dst, `,"boot":`, h.GetBoot())
	dst = appendUnlessZero(dst, `,"time":`, h.GetTime())
	dst = quoteUnlessEmpty(dst, `,"host":`, h.GetHost())
	if len(h.GetLinks()) > 0 {
		dst = quoteList(append(dst, `,"links":`...), h.GetLinks())
	}
	dst = quoteUnlessEmpty(dst, `,"chain":`, h.GetChain())
	dst = quoteUnlessEmpty(dst, `,"version":`, h.GetVersion())
	if len(h.GetEncodings()) > 0 {
		dst = quoteList(append(dst, `,"encodings":`...), h.GetEncodings())
	}
	return append(dst, "}}"...)
}

func quoteUnlessEmpty(dst []byte, key, s string) []byte {
	if s == "" {
		return dst
	}
	return quote(append(dst, key...), s)
}
