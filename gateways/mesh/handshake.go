package mesh

import (
	"google.golang.org/protobuf/proto"

	"parley/messages/meshpb"
)

// handshake reads the first frame of a link, or says why it is none.
func (f *fields) handshake() (m proto.Message, reason string) {
	if name, _ := text(f.command); name != cmdHandshake {
		return nil, reasonHandshake
	}
	h := &meshpb.Handshake{}
	good := true
	whole := members(f.data, func(key, value []byte) bool {
		switch string(key) {
		case "name":
			h.Name, good = text(value)
		case "boot":
			h.Boot, good = integer(value)
		case "time":
			h.Time, good = integer(value)
		case "host":
			h.Host, good = text(value)
		case "links":
			h.Links, good = names(value, maxNames)
		case "chain":
			h.Chain, good = text(value)
		case "version":
			h.Version, good = text(value)
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
