package guard

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// Reasons for which somebody is turned away: labels of one counter each, and
// "reason" in the body of a refused request.
const (
	ReasonHostMissing      = "host_missing"          // no Host, or an empty one
	ReasonHostMalformed    = "host_malformed"        // neither a name nor an address, each with an optional port
	ReasonHostPort         = "host_port"             // the right name with the port of another listener
	ReasonHostNotAllowed   = "host_not_allowed"      // well formed, not ours
	ReasonOriginRepeated   = "origin_repeated"       // more than one Origin header
	ReasonOriginNotAllowed = "origin_not_allowed"    // an Origin that is not listed
	ReasonSubprotocol      = "subprotocol_missing"   // the one subprotocol of the listener was not offered
	ReasonUserUnknown      = "user_unknown"          // the local user at the other end could not be told
	ReasonUserNotAllowed   = "user_not_allowed"      // a local user who may not connect
	ReasonMaxConns         = "max_connections"       // Limits.MaxConns reached, newcomer reset
	ReasonHalfOpenAddress  = "half_open_per_address" // Limits.HalfOpenPerAddress reached, newcomer reset
	ReasonHalfOpenTotal    = "half_open_total"       // Limits.HalfOpenTotal reached, oldest half-open connection reset
	ReasonRate             = "rate"                  // Limits.Rate exceeded, newcomer reset
	ReasonNoFiles          = "no_files"              // accept failed: out of descriptors or memory; retried
	ReasonAcceptError      = "accept_error"          // accept failed for the connection that came; retried
	ReasonOther            = "other"                 // a Refusal made elsewhere, with a reason that is not in this list
)

// Reasons lists every reason in a fixed order: all the labels that Counts can
// ever return.
func Reasons() []string {
	return []string{
		ReasonHostMissing, ReasonHostMalformed, ReasonHostPort, ReasonHostNotAllowed,
		ReasonOriginRepeated, ReasonOriginNotAllowed, ReasonSubprotocol,
		ReasonUserUnknown, ReasonUserNotAllowed,
		ReasonMaxConns, ReasonHalfOpenAddress, ReasonHalfOpenTotal, ReasonRate,
		ReasonNoFiles, ReasonAcceptError, ReasonOther,
	}
}

// Refusal is the answer to a request that may not come in.
type Refusal struct {
	Status int    // HTTP status
	Reason string // one of Reasons
	Text   string // for a person: what was wrong, and what to set; foreign values are quoted in ASCII and clipped
}

// refusalBody is the JSON that a refused client gets.
type refusalBody struct {
	OK     bool   `json:"ok"`
	Reason string `json:"reason"`
	Help   string `json:"help"`
}

// Header values of every refusal, shared: nobody writes into them, and a flood
// of refusals should cost little.
var (
	contentJSON     = []string{"application/json"}
	noSniff         = []string{"nosniff"}
	closeConnection = []string{"close"}
)

// WriteTo answers with Status and the body {"ok":false,"reason":…,"help":…},
// and has the connection closed: a client that is refused again and again on
// one connection would never meet the limits of the Door. It counts nothing;
// Door.Refuse does both.
func (r *Refusal) WriteTo(w http.ResponseWriter) {
	h := w.Header()
	h["Content-Type"] = contentJSON
	h["X-Content-Type-Options"] = noSniff
	h["Connection"] = closeConnection
	w.WriteHeader(r.Status)
	// Fails only when the client is gone, who is refused either way.
	_ = json.NewEncoder(w).Encode(refusalBody{Reason: r.Reason, Help: r.Text})
}

const (
	// maxShownBytes bounds a foreign value in a text: enough for any real name.
	maxShownBytes = 128
	// textBytes is room for nearly every text; a longer one costs an allocation.
	textBytes = 1024
)

// appendShown quotes a foreign value in ASCII, so that control and bidi
// characters reach no terminal, and clips it.
func appendShown(text []byte, s string) []byte {
	if len(s) > maxShownBytes {
		return append(strconv.AppendQuoteToASCII(text, s[:maxShownBytes]), "…"...)
	}
	return strconv.AppendQuoteToASCII(text, s)
}

// appendAdvice names the option and the line that lets value in, unless there is
// no such option or value could not stand in a configuration file.
func appendAdvice(text []byte, option, value string) []byte {
	if option == "" || !listable(value) {
		return text
	}
	text = append(text, " If it is yours, allow it with the option "...)
	text = append(text, option...)
	text = append(text, "; the line for the configuration file (several values are separated by commas): "...)
	text = append(text, option...)
	text = append(text, " = \""...)
	text = append(text, value...)
	return append(text, '"')
}

// listable tells whether value can be written into a comma list in quotes
// without any escape.
func listable(value string) bool {
	if value == "" || len(value) > maxShownBytes {
		return false
	}
	for i := range len(value) {
		switch c := value[i]; {
		case c <= ' ', c >= 0x7f, c == '"', c == '\\', c == ',':
			return false
		}
	}
	return true
}
