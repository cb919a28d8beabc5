package vault

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"runtime"

	"golang.org/x/sys/unix"
)

const (
	rounds     = 32768 // of PBKDF2. Source: gateways/relay/PROTOCOL.md, Passwords; about 16 ms
	hashBytes  = 32
	politeness = 15 // nice value of hashing threads: they get what nobody else wants
)

// Hash is the hash of a channel password: PBKDF2-HMAC-SHA-256, salted with the
// channel's name. It takes about 16 ms of a core.
func Hash(channel, password string) []byte {
	h, err := pbkdf2.Key(sha256.New, password, []byte(channel), rounds, hashBytes)
	if err != nil { // only for parameters that are not these
		panic("vault: " + err.Error())
	}
	return h
}

// politeHash is Hash on a thread of low priority, which ends with it.
func politeHash(channel, password string) []byte {
	runtime.LockOSThread() // never unlocked: the thread is not used again
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), politeness)
	return Hash(channel, password)
}
