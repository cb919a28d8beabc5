package uiv2

import (
	"math"

	"parley/messages/enclavepb"
	"parley/messages/uipb"
)

// The functions below read what people want of other people. Source: PROTOCOL.md,
// People.

// typeStatus says which statuses people can choose.
const typeStatus = "1, 2 or 3"

func command(r *uipb.Request, c *enclavepb.Command) { r.Body = &uipb.Request_Command{Command: c} }

func readContacts(r *uipb.Request, _ []byte) (flaw string) {
	command(r, &enclavepb.Command{Body: &enclavepb.Command_List{List: &enclavepb.List{}}})
	return ""
}

func readAddContact(r *uipb.Request, payload []byte) (flaw string) {
	t := texts{payload: payload}
	m := &enclavepb.Add{Address: t.must("address"), Name: t.may("name"), Notes: t.may("notes")}
	command(r, &enclavepb.Command{Body: &enclavepb.Command_Add{Add: m}})
	return t.flaw
}

func readAcceptContact(r *uipb.Request, payload []byte) (flaw string) {
	t := texts{payload: payload}
	m := &enclavepb.Accept{Address: t.must("address"), Name: t.may("name")}
	command(r, &enclavepb.Command{Body: &enclavepb.Command_Accept{Accept: m}})
	return t.flaw
}

func readIgnoreContact(r *uipb.Request, payload []byte) (flaw string) {
	t := texts{payload: payload}
	command(r, &enclavepb.Command{Body: &enclavepb.Command_Ignore{Ignore: &enclavepb.Ignore{Address: t.must("address")}}})
	return t.flaw
}

func readRemoveContact(r *uipb.Request, payload []byte) (flaw string) {
	t := texts{payload: payload}
	command(r, &enclavepb.Command{Body: &enclavepb.Command_Remove{Remove: &enclavepb.Remove{Address: t.must("address")}}})
	return t.flaw
}

func readSendMessage(r *uipb.Request, payload []byte) (flaw string) {
	t := texts{payload: payload}
	m := &enclavepb.Send{To: t.must("to")}
	id := t.may("id")
	raw := lookup(payload, "message")
	switch {
	case t.flaw != "":
		return t.flaw
	case raw == nil:
		return missing("message")
	}
	var ok bool
	if m.Message, ok = text(raw); !ok {
		return mistypedSecret("message", typeString)
	}
	command(r, &enclavepb.Command{Id: id, Body: &enclavepb.Command_Send{Send: m}})
	return ""
}

func readSetStatus(r *uipb.Request, payload []byte) (flaw string) {
	raw := lookup(payload, "status")
	if raw == nil {
		return missing("status")
	}
	n, ok := number(raw)
	if !ok || n < 1 || n > 3 {
		return mistyped("status", typeStatus, raw)
	}
	m := &enclavepb.SetStatus{Status: uint32(n)}
	if raw := lookup(payload, "statusMessage"); raw != nil && !isNull(raw) {
		s, ok := text(raw)
		if !ok {
			return mistyped("statusMessage", typeOptional, raw)
		}
		m.StatusMessage = &s
	}
	command(r, &enclavepb.Command{Body: &enclavepb.Command_Status{Status: m}})
	return ""
}

func readSetAlias(r *uipb.Request, payload []byte) (flaw string) {
	t := texts{payload: payload}
	command(r, &enclavepb.Command{Body: &enclavepb.Command_Alias{Alias: &enclavepb.SetAlias{Alias: t.must("alias")}}})
	return t.flaw
}

func readHistory(r *uipb.Request, payload []byte) (flaw string) {
	t := texts{payload: payload}
	m := &enclavepb.History{With: t.must("with")}
	if t.flaw != "" {
		return t.flaw
	}
	most, flaw := optionalCount(payload, "most")
	if flaw != "" {
		return flaw
	}
	m.Most = uint32(min(most, math.MaxUint32))
	if m.Before, flaw = optionalCount(payload, "before"); flaw != "" {
		return flaw
	}
	if m.Password, flaw = optionalSecret(payload, "dbPasswordOpt"); flaw != "" {
		return flaw
	}
	command(r, &enclavepb.Command{Body: &enclavepb.Command_History{History: m}})
	return ""
}

// optionalCount is a member that may be a number, null or absent: 0.
func optionalCount(object []byte, name string) (n uint64, flaw string) {
	raw := lookup(object, name)
	if raw == nil || isNull(raw) {
		return 0, ""
	}
	n, ok := number(raw)
	if !ok {
		return 0, mistyped(name, "u64 or null", raw)
	}
	return n, ""
}

// texts are the strings of a payload. The first that is wrong is its flaw.
type texts struct {
	payload []byte
	flaw    string
}

func (t *texts) must(name string) string {
	if t.flaw != "" {
		return ""
	}
	var s string
	s, t.flaw = required(t.payload, name)
	return s
}

// may is a string that may be null or absent: "".
func (t *texts) may(name string) string {
	raw := lookup(t.payload, name)
	if t.flaw != "" || raw == nil || isNull(raw) {
		return ""
	}
	s, ok := text(raw)
	if !ok {
		t.flaw = mistyped(name, typeOptional, raw)
	}
	return s
}
