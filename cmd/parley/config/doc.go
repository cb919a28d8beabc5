// Package config is the one typed table of Parley's options and all that is
// made from it: the configuration file, the environment, the flags, the verbs
// of "parley config", shell completion and OPTIONS.md.
//
// A value comes from the last of these that names it: default, file (TOML),
// environment PARLEY_<NAME>, flag; for a Node under a Daemon, from the Setup
// space instead of the last three (SetupSpace, LoadOptions.Settings). Every
// layer is checked, also what a later one overrides, and all problems of one
// Load are reported together in a UsageError. A new option is one entry in
// table*.go and one field in Node; the tests fail until both are there and
// OPTIONS.md is written anew (go test ./cmd/parley/config -update).
//
// Nothing here opens a socket or looks up a name: "parley config check" is
// safe beside a running node.
package config
