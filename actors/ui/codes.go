package ui

import "parley/messages/uipb"

// Codes of errors, all there are. Source: gateways/uiv2/PROTOCOL.md, Errors.
const (
	CodeLaunch    uint64 = 1<<63 | 1 // a Node could not be launched
	CodeNoNode    uint64 = 1<<63 | 2 // no Node is running
	CodeRunning   uint64 = 1<<63 | 3 // a Node is running already
	CodeUnmarshal uint64 = 1<<63 | 4 // the request was not understood
	CodeSetup     uint64 = 1<<63 | 5 // the Setup space could not be changed
	CodeTimeout   uint64 = 1<<63 | 6 // the answer did not come in time

	CodeRead         uint64 = 1<<48 | 1    // the database could not be read
	CodeWrite        uint64 = 1<<48 | 2    // the database could not be written
	CodeBadPassword  uint64 = 1<<48 | 6    // the database has another password
	CodeUnknownName  uint64 = 1<<48 | 11   // no parameter has this name
	CodeUnparsable   uint64 = 1<<48 | 12   // the parameter cannot have this value
	CodeMissing      uint64 = 1<<48 | 13   // something that was needed is not there
	CodeUnknown      uint64 = 1<<48 | 14   // something of ours broke
	CodeNotPermitted uint64 = 0x50<<48 | 1 // the local user may not change things
	CodeTooMany      uint64 = 0x50<<48 | 2 // too many conversations, or too much at once
	CodeNode         uint64 = 0x50<<48 | 3 // a node of the mesh cannot be asked, or refused
	CodePeople       uint64 = 0x50<<48 | 4 // a command about people was refused
)

// Fault makes the error of a response. text says what happened and what to do.
func Fault(code uint64, text string) *uipb.Fault { return &uipb.Fault{Code: code, Message: text} }
