package uiv2

import (
	"strconv"

	"parley/messages/uipb"
)

// The functions below read the payload of one or more opcodes. payload is a
// valid object; keys that they do not know are passed over. Source:
// PROTOCOL.md, Daemon messages and Node messages.

var empty = &uipb.Request_Empty{Empty: &uipb.Empty{}} // shared: a sent message is frozen

func readEmpty(r *uipb.Request, _ []byte) (flaw string) {
	r.Body = empty
	return ""
}

func readSetup(r *uipb.Request, payload []byte) (flaw string) {
	values, n, flaw := list(payload, "values", true)
	if flaw != "" {
		return flaw
	}
	m := &uipb.SetupRequest{Changes: make([]*uipb.SetupChange, 0, n)}
	changes, texts := make([]uipb.SetupChange, n), make([]string, n) // two allocations, not two a change
	for c := walk(values); c.element(); {
		i := len(m.Changes)
		if flaw := readChange(&changes[i], &texts[i], c.value, i); flaw != "" {
			return flaw
		}
		m.Changes = append(m.Changes, &changes[i])
	}
	r.Body = &uipb.Request_Setup{Setup: m}
	return ""
}

// readChange reads one of the values of setup. Any of them may be a secret.
func readChange(change *uipb.SetupChange, room *string, raw []byte, i int) (flaw string) {
	if raw[0] != '{' {
		return mistypedSecret(element("values", i), typeObject)
	}
	name := lookup(raw, "name")
	if name == nil {
		return missing(element("values", i) + ".name")
	}
	var ok bool
	if change.Name, ok = text(name); !ok {
		return mistyped(element("values", i)+".name", typeString, name)
	}
	value := lookup(raw, "value")
	if value == nil || isNull(value) {
		return ""
	}
	if *room, ok = text(value); !ok {
		return mistypedSecret(element("values", i)+".value", typeOptional)
	}
	change.Value = room
	return ""
}

func readSubscribe(r *uipb.Request, payload []byte) (flaw string) {
	opcodes, n, flaw := list(payload, "opcodes", false)
	if flaw != "" {
		return flaw
	}
	m := &uipb.SubscribeRequest{}
	if n > 0 {
		m.Opcodes = make([]string, 0, n)
		for c := walk(opcodes); c.element(); {
			opcode, ok := text(c.value)
			if !ok {
				return mistyped(element("opcodes", len(m.Opcodes)), typeString, c.value)
			}
			m.Opcodes = append(m.Opcodes, opcode)
		}
	}
	if level := lookup(payload, "minLogLevel"); level != nil {
		s, _ := text(level)
		switch s {
		case "Error", "Warn", "Info", "Debug", "Trace":
			m.MinLogLevel = s
		default:
			return mistyped("minLogLevel", typeLevel, level)
		}
	}
	r.Body = &uipb.Request_Subscribe{Subscribe: m}
	return ""
}

func readPassword(r *uipb.Request, payload []byte) (flaw string) {
	password, flaw := optionalSecret(payload, "dbPasswordOpt")
	if flaw == "" {
		r.Body = &uipb.Request_Password{Password: &uipb.PasswordRequest{Password: password}}
	}
	return flaw
}

func readChangePassword(r *uipb.Request, payload []byte) (flaw string) {
	old, flaw := optionalSecret(payload, "oldPasswordOpt")
	if flaw != "" {
		return flaw
	}
	raw := lookup(payload, "newPassword")
	if raw == nil {
		return missing("newPassword")
	}
	password, ok := text(raw)
	if !ok {
		return mistypedSecret("newPassword", typeString)
	}
	r.Body = &uipb.Request_ChangePassword{ChangePassword: &uipb.ChangePasswordRequest{OldPassword: old, NewPassword: password}}
	return ""
}

func readSetConfiguration(r *uipb.Request, payload []byte) (flaw string) {
	name, flaw := required(payload, "name")
	if flaw != "" {
		return flaw
	}
	value, flaw := required(payload, "value")
	if flaw != "" {
		return flaw
	}
	r.Body = &uipb.Request_SetConfiguration{SetConfiguration: &uipb.SetConfigurationRequest{Name: name, Value: value}}
	return ""
}

func readCrash(r *uipb.Request, payload []byte) (flaw string) {
	actor, flaw := required(payload, "actor")
	if flaw != "" {
		return flaw
	}
	message, flaw := required(payload, "panicMessage")
	if flaw != "" {
		return flaw
	}
	r.Body = &uipb.Request_Crash{Crash: &uipb.CrashRequest{Actor: actor, PanicMessage: message}}
	return ""
}

func readStats(r *uipb.Request, payload []byte) (flaw string) {
	m := &uipb.StatsRequest{}
	if raw := lookup(payload, "node"); raw != nil && !isNull(raw) {
		var ok bool
		if m.Node, ok = text(raw); !ok {
			return mistyped("node", typeOptional, raw)
		}
	}
	r.Body = &uipb.Request_Stats{Stats: m}
	return ""
}

func readChannels(r *uipb.Request, payload []byte) (flaw string) {
	m := &uipb.ChannelsRequest{}
	if raw := lookup(payload, "scope"); raw != nil {
		switch s, _ := text(raw); s {
		case "node":
		case "network":
			m.Network = true
		default:
			return mistyped("scope", "node or network", raw)
		}
	}
	r.Body = &uipb.Request_Channels{Channels: m}
	return ""
}

// required is a member that must be a string.
func required(object []byte, name string) (value, flaw string) {
	raw := lookup(object, name)
	if raw == nil {
		return "", missing(name)
	}
	value, ok := text(raw)
	if !ok {
		return "", mistyped(name, typeString, raw)
	}
	return value, ""
}

// optionalSecret is a member that may be a string, null or absent: nil. "" is
// a string like others.
func optionalSecret(object []byte, name string) (value *string, flaw string) {
	raw := lookup(object, name)
	if raw == nil || isNull(raw) {
		return nil, ""
	}
	s, ok := text(raw)
	if !ok {
		return nil, mistypedSecret(name, typeOptional)
	}
	return &s, ""
}

// list is a member that must be a list, and how many elements it has.
func list(object []byte, name string, must bool) (raw []byte, n int, flaw string) {
	raw = lookup(object, name)
	switch {
	case raw == nil && must:
		return nil, 0, missing(name)
	case raw == nil:
		return nil, 0, ""
	case raw[0] != '[':
		return nil, 0, mistypedSecret(name, typeList)
	}
	for c := walk(raw); c.element(); {
		n++
	}
	return raw, n, ""
}

func element(name string, i int) string { return name + "[" + strconv.Itoa(i) + "]" }
