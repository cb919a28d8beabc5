package config

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// accountsFile lists the users of this machine, one a line: name, password, uid, gid, comment,
// home and shell between colons. Source: passwd(5).
const accountsFile = "/etc/passwd"

// nobody owns nothing: what a Node becomes when root starts it and sudo does not
// say for whom.
const (
	nobody     = "nobody"
	nobodyID   = 65534
	nobodyHome = "/nonexistent"
)

// maxID bounds numbers of users and groups: the largest means "leave as it is"
// to the kernel. Source: setresuid(2).
const maxID = math.MaxUint32 - 1

// userName is what useradd and its like take. Source: useradd(8), passwd(5).
var userName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,31}\$?$`)

// account is one user of this machine.
type account struct {
	uid, gid uint32
	home     string
}

// accounts are the users of this machine by name; frozen.
type accounts map[string]account

func readAccounts() ([]byte, error) { return os.ReadFile(accountsFile) }

// parseAccounts takes what it understands; of two lines with one name the first counts.
func parseAccounts(content []byte) accounts {
	all := accounts{}
	for line := range strings.Lines(string(content)) {
		fields := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(fields) < 6 {
			continue
		}
		uid, uidErr := strconv.ParseUint(fields[2], 10, 32)
		gid, gidErr := strconv.ParseUint(fields[3], 10, 32)
		if _, known := all[fields[0]]; known || uidErr != nil || gidErr != nil {
			continue
		}
		all[fields[0]] = account{uint32(uid), uint32(gid), fields[5]}
	}
	return all
}

// home gives the home directory of a user; blank: none is known.
func (a accounts) home(uid uint32) string {
	for _, one := range a {
		if one.uid == uid && filepath.IsAbs(one.home) {
			return one.home
		}
	}
	return ""
}

// resolve gives the numbers of users, sorted, each once, and the first of them
// that this machine does not know.
func (a accounts) resolve(users []string) (uids []uint32, unknown string) {
	uids = []uint32{}
	for _, user := range users {
		uid, isNumber := parseID(user)
		if !isNumber {
			known, ok := a[user]
			if !ok && unknown == "" {
				unknown = user
			}
			if !ok {
				continue
			}
			uid = known.uid
		}
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	return slices.Compact(uids), unknown
}

// unknownUser says that no user of this machine is called name.
func unknownUser(name string) *fault {
	return &fault{name, "is not a user of this machine", `write a name that stands in ` + accountsFile + `, or the number that "id -u NAME" prints`}
}

// parseID reads the number of a user or group as it is printed.
func parseID(text string) (uint32, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n > maxID || strconv.FormatUint(n, 10) != text {
		return 0, false
	}
	return uint32(n), true
}

// checkUser gives the cause why text is neither a name nor a number of a user, or "".
func checkUser(text string) string {
	if strings.Trim(text, "0123456789") == "" {
		if _, ok := parseID(text); !ok {
			return fmt.Sprintf("is not a user's number, 0 to %d", maxID)
		}
		return ""
	}
	if !userName.MatchString(text) {
		return "is not a user's name"
	}
	return ""
}

// checkRealUser gives the cause why no Node may become text, or "".
func checkRealUser(text string) string {
	_, _, _, cause := parseRealUser(text)
	return cause
}

// parseRealUser reads <uid>:<gid>:<home>. Root, by user or group, is refused.
func parseRealUser(text string) (uid, gid uint32, home, cause string) {
	fields := strings.SplitN(text, ":", 3)
	if len(fields) < 3 {
		return 0, 0, "", "is not <uid>:<gid>:<home>"
	}
	uid, uidOK := parseID(fields[0])
	gid, gidOK := parseID(fields[1])
	switch home = fields[2]; {
	case !uidOK || !gidOK:
		return 0, 0, "", fmt.Sprintf("does not begin with two numbers, 1 to %d", maxID)
	case uid == 0 || gid == 0:
		return 0, 0, "", "is root, whose powers a Node must not have"
	case !filepath.IsAbs(home) || filepath.Clean(home) != home:
		return 0, 0, "", "has no full path of a directory after its second colon"
	}
	return uid, gid, home, ""
}

// defaultRealUser gives who a Node becomes under a Daemon that runs as uid: for root the
// caller of sudo, else nobody; for others blank, it stays who it is.
func defaultRealUser(uid int, getenv func(string) string, known accounts) string {
	if uid != 0 {
		return ""
	}
	caller, callerOK := parseID(getenv("SUDO_UID"))
	group, groupOK := parseID(getenv("SUDO_GID"))
	if callerOK && groupOK && caller != 0 && group != 0 {
		home := known.home(caller)
		if home == "" {
			home = nobodyHome
		}
		if text := realUser(caller, group, home); checkRealUser(text) == "" {
			return text
		}
	}
	if one, ok := known[nobody]; ok {
		if text := realUser(one.uid, one.gid, one.home); checkRealUser(text) == "" {
			return text
		}
	}
	return realUser(nobodyID, nobodyID, nobodyHome)
}

func realUser(uid, gid uint32, home string) string { return fmt.Sprintf("%d:%d:%s", uid, gid, home) }

// defaultDataDirectory gives where a process of uid keeps what it knows; blank:
// it has no home. Source: XDG Base Directory Specification, XDG_DATA_HOME.
func defaultDataDirectory(uid int, getenv func(string) string, known accounts) string {
	if uid == 0 {
		return "/var/lib/parley"
	}
	if data := getenv("XDG_DATA_HOME"); filepath.IsAbs(data) { // a relative one is to be ignored
		return filepath.Join(data, "parley")
	}
	home := getenv("HOME")
	if !filepath.IsAbs(home) {
		home = known.home(uint32(uid))
	}
	if home == "" {
		return ""
	}
	return filepath.Join(home, ".local", "share", "parley")
}
