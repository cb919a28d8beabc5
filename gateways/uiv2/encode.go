package uiv2

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"parley/gateways/link"
	"parley/messages/linkpb"
	"parley/messages/uipb"
)

// appendResponse appends a whole frame: opcode, contextId if there is one, and
// a payload or an error.
func appendResponse(dst []byte, m *uipb.Response) ([]byte, error) {
	if m.GetBody() == nil {
		return dst, link.ErrNotOnWire
	}
	if d := m.GetMissed(); d != nil {
		return appendDropped(dst, d), nil
	}
	dst = quote(append(dst, `{"opcode":`...), m.GetOpcode())
	if m.Context != nil {
		dst = strconv.AppendUint(append(dst, `,"contextId":`...), m.GetContext(), 10)
	}
	if f := m.GetFault(); f != nil {
		dst = strconv.AppendUint(append(dst, `,"error":{"code":`...), f.GetCode(), 10)
		dst = quote(append(dst, `,"message":`...), f.GetMessage())
		return append(dst, "}}"...), nil
	}
	return append(appendBody(append(dst, `,"payload":`...), m), '}'), nil
}

func appendBody(dst []byte, m *uipb.Response) []byte {
	switch b := m.GetBody().(type) {
	case *uipb.Response_Setup:
		return appendSetup(dst, b.Setup)
	case *uipb.Response_Started:
		return appendStarted(dst, b.Started)
	case *uipb.Response_Redirect:
		return appendRedirect(dst, b.Redirect)
	case *uipb.Response_Undelivered:
		return appendText(dst, `{"opcode":`, b.Undelivered.GetOpcode())
	case *uipb.Response_Crashed:
		return appendCrashed(dst, b.Crashed)
	case *uipb.Response_UnmarshalError:
		dst = quote(append(dst, `{"message":`...), b.UnmarshalError.GetMessage())
		dst = quote(append(dst, `,"badData":`...), b.UnmarshalError.GetBadData())
		return append(dst, '}')
	case *uipb.Response_Descriptor_:
		if b.Descriptor_.Descriptor_ == nil {
			return append(dst, `{"nodeDescriptorOpt":null}`...)
		}
		return appendText(dst, `{"nodeDescriptorOpt":`, b.Descriptor_.GetDescriptor_())
	case *uipb.Response_Stage:
		return appendText(dst, `{"stage":`, b.Stage.GetStage())
	case *uipb.Response_Graph:
		return appendText(dst, `{"graph":`, b.Graph.GetGraph())
	case *uipb.Response_PasswordMatch:
		return append(strconv.AppendBool(append(dst, `{"matches":`...), b.PasswordMatch.GetMatches()), '}')
	case *uipb.Response_Configuration:
		return appendConfiguration(dst, b.Configuration)
	case *uipb.Response_Log:
		return appendLog(dst, b.Log.GetText(), b.Log.GetLevel())
	case *uipb.Response_NodeStats:
		return appendNodeStats(dst, b.NodeStats)
	case *uipb.Response_HostStats:
		return appendHostStats(dst, b.HostStats)
	case *uipb.Response_Channels:
		return appendChannels(dst, b.Channels)
	case *uipb.Response_Peers:
		return appendPeers(dst, b.Peers)
	case *uipb.Response_StarPeers:
		return appendStarPeers(dst, b.StarPeers)
	case *uipb.Response_Result:
		return appendResult(dst, m.GetOpcode(), b.Result)
	case *uipb.Response_Event:
		return appendEvent(dst, b.Event)
	}
	return append(dst, "{}"...) // Done
}

func appendSetup(dst []byte, m *uipb.SetupResponse) []byte {
	dst = strconv.AppendBool(append(dst, `{"running":`...), m.GetRunning())
	dst = append(dst, `,"values":[`...)
	for i, v := range m.GetValues() {
		dst = quote(append(comma(dst, i), `{"name":`...), v.GetName())
		dst = quote(append(dst, `,"value":`...), v.GetValue())
		dst = append(quote(append(dst, `,"status":`...), v.GetStatus()), '}')
	}
	dst = append(dst, `],"errors":[`...)
	for i, e := range m.GetErrors() {
		dst = quote(append(comma(dst, i), '['), e.GetName())
		dst = append(quote(append(dst, ','), e.GetText()), ']')
	}
	return append(dst, "]}"...)
}

func appendStarted(dst []byte, m *uipb.Started) []byte {
	dst = appendCount(dst, `{"newProcessId":`, uint64(m.GetNewProcessId()))
	return append(appendCount(dst, `,"redirectUiPort":`, uint64(m.GetRedirectUiPort())), '}')
}

// appendRedirect gives the payload back as a string: its bytes are not
// interpreted here, so that nobody sees another payload than the Node will.
func appendRedirect(dst []byte, m *uipb.Redirect) []byte {
	dst = appendCount(dst, `{"port":`, uint64(m.GetPort()))
	dst = quote(append(dst, `,"opcode":`...), m.GetOpcode())
	dst = append(dst, `,"contextId":`...)
	if m.Context == nil {
		dst = append(dst, "null"...)
	} else {
		dst = strconv.AppendUint(dst, m.GetContext(), 10)
	}
	return append(quote(append(dst, `,"payload":`...), m.GetPayload()), '}')
}

func appendCrashed(dst []byte, m *uipb.Crashed) []byte {
	dst = appendCount(dst, `{"processId":`, uint64(m.GetProcessId()))
	dst = appendReason(append(dst, `,"crashReason":`...), m)
	dst = append(dst, `,"exitCode":`...)
	if m.ExitCode == nil {
		dst = append(dst, "null"...)
	} else {
		dst = strconv.AppendInt(dst, int64(m.GetExitCode()), 10)
	}
	dst = append(dst, `,"signal":`...)
	if m.GetSignal() == "" {
		dst = append(dst, "null"...)
	} else {
		dst = quote(dst, m.GetSignal())
	}
	dst = strconv.AppendBool(append(dst, `,"requested":`...), m.GetRequested())
	return append(quoteList(append(dst, `,"lastLines":`...), m.GetLastLines()), '}')
}

// appendReason says why a Node ended, in the three forms that user interfaces
// of this protocol can read.
func appendReason(dst []byte, m *uipb.Crashed) []byte {
	switch {
	case m.GetWaitFailure() != "":
		return appendText(dst, `{"ChildWaitFailure":`, m.GetWaitFailure())
	case len(m.GetLastLines()) > 0:
		return appendText(dst, `{"Unrecognized":`, strings.Join(m.GetLastLines(), "\n"))
	case m.ExitCode != nil && m.GetSignal() == "":
		return appendText(dst, `{"Unrecognized":`, "exit code "+strconv.Itoa(int(m.GetExitCode())))
	}
	return append(dst, `"NoInformation"`...)
}

// levels are the log levels on the wire. What has none is told as Info.
var levels = map[uipb.LogLevel]string{
	uipb.LogLevel_LOG_LEVEL_ERROR: "Error",
	uipb.LogLevel_LOG_LEVEL_WARN:  "Warn",
	uipb.LogLevel_LOG_LEVEL_INFO:  "Info",
	uipb.LogLevel_LOG_LEVEL_DEBUG: "Debug",
	uipb.LogLevel_LOG_LEVEL_TRACE: "Trace",
}

func appendLog(dst []byte, line string, level uipb.LogLevel) []byte {
	name, ok := levels[level]
	if !ok {
		name = "Info"
	}
	dst = quote(append(dst, `{"msg":`...), line)
	dst = append(dst, `,"logLevel":"`...)
	return append(append(dst, name...), `"}`...)
}

// opcodeLog is the broadcast that every user interface understands.
const opcodeLog = "logBroadcast"

// appendDropped tells a user interface about broadcasts that it, or this node, was
// too slow for: about log lines in the only form that every one understands, a log
// line. It subscribed to all others.
func appendDropped(dst []byte, m *linkpb.Dropped) []byte {
	if source := m.GetSource(); source != "" && source != opcodeLog {
		dst = quote(append(dst, `{"opcode":"missed","payload":{"opcode":`...), source)
		return append(appendCount(dst, `,"count":`, m.GetCount()), "}}"...)
	}
	what := " log lines were left out here, because this user interface reads too slowly: subscribe to a higher minLogLevel, or read faster"
	if m.GetCount() == 1 {
		what = " log line was left out here, because this user interface reads too slowly: subscribe to a higher minLogLevel, or read faster"
	}
	dst = append(dst, `{"opcode":"logBroadcast","payload":`...)
	dst = appendLog(dst, strconv.FormatUint(m.GetCount(), 10)+what, uipb.LogLevel_LOG_LEVEL_WARN)
	return append(dst, '}')
}

// appendText appends an object of one string; key is all that stands before it.
func appendText(dst []byte, key, s string) []byte {
	return append(quote(append(dst, key...), s), '}')
}

// appendCount appends a member; key is all that stands before the number.
func appendCount(dst []byte, key string, n uint64) []byte {
	return strconv.AppendUint(append(dst, key...), n, 10)
}

func quoteList(dst []byte, all []string) []byte {
	dst = append(dst, '[')
	for i, s := range all {
		dst = quote(comma(dst, i), s)
	}
	return append(dst, ']')
}

// comma separates element i from the one before it.
func comma(dst []byte, i int) []byte {
	if i > 0 {
		return append(dst, ',')
	}
	return dst
}

// quote appends s as a JSON string; what is not UTF-8 in it is replaced.
func quote[S string | []byte](dst []byte, s S) []byte {
	out, _ := jsontext.AppendQuote(dst, s)
	return out
}
