package config

import (
	"slices"
	"strconv"
)

// optStartBlock can be changed while a Node runs, and is nothing else: it is inert and no
// parameter of the Setup space.
const optStartBlock = "start-block"

// mostHops bounds min-hops. Source: the configuration of MASQNode-UIv2.
const mostHops = 6

// Runtime names what a user interface can change while a Node runs, sorted.
func Runtime() []string {
	names := []string{optStartBlock}
	for i := range parley.options {
		if parley.options[i].Runtime {
			names = append(names, parley.options[i].Name)
		}
	}
	slices.Sort(names)
	return names
}

// CheckRuntime gives what is kept for a new value of a running Node, or what is
// wrong with it, for people. known tells whether name is one of Runtime.
func CheckRuntime(name, value string) (stored, problem string, known bool) {
	if name == optStartBlock {
		if value != "latest" && value != "none" && !isCount(value) {
			return "", quote(value) + " is not a block; write a whole number, latest or none", true
		}
		return value, "", true
	}
	o := parley.byName[name]
	if o == nil || !o.Runtime {
		return "", "", false
	}
	if o.Inert && !isCount(value) {
		return "", quote(value) + " is not a whole number; write one of 0 or more", true
	}
	if n, _ := strconv.ParseUint(value, 10, 64); name == optMinHops && (n < 1 || n > mostHops) {
		return "", quote(value) + " is out of range; allowed are 1 to " + strconv.Itoa(mostHops), true
	}
	stored, bad := o.stored(value, nil)
	if bad != nil {
		return "", o.problem(bad), true
	}
	return stored, "", true
}

// isCount tells whether text is a whole number as it is printed, 0 or more.
func isCount(text string) bool {
	n, err := strconv.ParseUint(text, 10, 64)
	return err == nil && strconv.FormatUint(n, 10) == text
}

// problem says what is wrong with a value, for people.
func (o *Option) problem(bad *fault) string {
	return Problem{Value: o.masked(bad.value), Cause: bad.cause, Next: bad.next}.text()
}
