// Package vault does what is slow or secret. The vault hashes passwords, off
// the actors and behind everything else. The safe keeps what the database
// password protects:
//
//	password ─argon2id─▶ key ─unwraps─▶ data key ─opens─▶ secrets
//
// The data key is random, and wrapped in one record of the store, "lock", with
// the parameters and the salt of argon2id. A new password rewrites that record
// and nothing else: after a crash the old one is right or the new one, never
// neither. Each secret is a record below "secret/".
//
// While no password is set, secrets are kept in memory and nowhere else.
package vault
