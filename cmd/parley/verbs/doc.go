// Package verbs holds the verbs of the command line that talk to a Daemon and
// its Node: the same ones run once, as `parley status`, and inside `parley ui`.
// Source: gateways/uiv2/PROTOCOL.md.
package verbs
