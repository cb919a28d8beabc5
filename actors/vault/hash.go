package vault

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"runtime"

	"golang.org/x/sys/unix"

	"parley/messages/vaultpb"
)

const (
	rounds     = 32768 // of PBKDF2. Source: gateways/relay/PROTOCOL.md, Passwords; about 16 ms
	politeness = 15    // nice value of hashing threads: they get what nobody else wants
)

// Hash is the hash of a channel password: PBKDF2-HMAC-SHA-256, salted with the
// channel's name; 32 bytes. It takes about 16 ms of a core.
func Hash(channel, password string) []byte {
	return stretch(sha256.New, sha256.Size, channel, password)
}

// LongHash is the hash that wsrelay makes: Hash with SHA-512; 64 bytes. It takes
// up to three times as long.
func LongHash(channel, password string) []byte {
	return stretch(sha512.New, sha512.Size, channel, password)
}

func stretch[H hash.Hash](kind func() H, size int, channel, password string) []byte {
	h, err := pbkdf2.Key(kind, password, []byte(channel), rounds, size)
	if err != nil { // only for parameters that are not these
		panic("vault: " + err.Error())
	}
	return h
}

// politeHash is Hash or LongHash on a thread of low priority, which ends with it.
func politeHash(m *vaultpb.HashRequest) []byte {
	runtime.LockOSThread() // never unlocked: the thread is not used again
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), politeness)
	if m.GetLong() {
		return LongHash(m.GetChannel(), m.GetPassword())
	}
	return Hash(m.GetChannel(), m.GetPassword())
}
