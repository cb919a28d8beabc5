package vault

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/storepb"
	"parley/messages/vaultpb"
)

// Limits of what is kept in memory: the first password seals it all in one
// write of the store.
const (
	plainMost  = 128 << 10 // bytes, names and seals included
	plainCount = 500
	sealCost   = 64 // bytes that a seal adds
)

// rekeyed answers a RekeyRequest, or notes what became of Initial.
func (s *safe) rekeyed(ctx actor.Context, a *ask, o vaultpb.RekeyResponse_Outcome, why string) {
	if a.asker != nil {
		ctx.Send(a.asker, &vaultpb.RekeyResponse{Outcome: o, Reason: why, Serial: a.serial})
		return
	}
	s.trouble = why
	s.useUp()
	s.settled = true // the end of the change answers who waits
}

// rekey makes a lock for the new password. The old one was right, or there is
// none.
func (s *safe) rekey(ctx actor.Context, m *member, a *ask) {
	r, _ := a.m.(*vaultpb.RekeyRequest)
	lock := newLock(s.spec.Cost)
	s.derive(ctx, lock, r.GetNewPassword(), func(ctx actor.Context, key []byte) {
		write, data, err := s.newRecords(lock, key)
		if err != nil {
			s.rekeyed(ctx, a, vaultpb.RekeyResponse_OUTCOME_NOT_WRITTEN, err.Error())
			s.finish(ctx, m)
			return
		}
		s.write(ctx, write, func(ctx actor.Context, failure string) { s.onRekeyed(ctx, m, a, lock, data, failure) })
	})
}

// newRecords makes what a change writes: the lock, and with the first password
// all secrets that were in memory only. data is the data key, if it is new.
func (s *safe) newRecords(lock *vaultpb.Lock, key []byte) (write *storepb.Write, data *Secret, err error) {
	write = &storepb.Write{}
	known := s.key
	if s.lock == nil {
		b := make([]byte, keyBytes)
		_, _ = rand.Read(b) // it never fails: the process would end
		if data, err = NewSecret(b); err != nil {
			return nil, nil, err
		}
		known = data
		for _, name := range slices.Sorted(maps.Keys(s.plain)) {
			sealed, err := sealSecret(known, name, s.plain[name])
			if err != nil {
				data.Close()
				return nil, nil, err
			}
			write.Puts = append(write.Puts, &storepb.Record{Key: secretRoot + name, Value: sealed})
		}
	}
	if err := wrap(lock, key, known); err != nil {
		data.Close()
		return nil, nil, err
	}
	record, err := proto.Marshal(lock)
	if err != nil {
		data.Close()
		return nil, nil, fmt.Errorf("vault: %w", err)
	}
	write.Puts = append(write.Puts, &storepb.Record{Key: lockKey, Value: record})
	return write, data, nil
}

// onRekeyed ends a change: the store has it, or has refused it.
func (s *safe) onRekeyed(ctx actor.Context, m *member, a *ask, lock *vaultpb.Lock, data *Secret, failure string) {
	log := tree.Log(ctx.ActorSystem())
	if failure != "" {
		data.Close()
		log.Error("database password not changed", slog.String("reason", failure))
		s.rekeyed(ctx, a, vaultpb.RekeyResponse_OUTCOME_NOT_WRITTEN, "vault: the password was not changed: "+failure)
		s.finish(ctx, m)
		return
	}
	if data != nil {
		s.key.Close()
		s.key = data
		s.forgetPlain()
	}
	s.lock, s.wrong = lock, false
	for _, other := range s.members.byID {
		other.proven = other == m
	}
	log.Info("database password changed", slog.Bool("first", data != nil))
	s.rekeyed(ctx, a, vaultpb.RekeyResponse_OUTCOME_DONE, "")
	s.finish(ctx, m)
}

// seal keeps a secret.
func (s *safe) seal(ctx actor.Context, from *actor.PID, m *vaultpb.SealRequest) {
	name, value := m.GetSecret().GetName(), m.GetSecret().GetValue()
	if why := checkSecret(m.GetSecret()); why != "" {
		refuse(ctx, from, m, why)
		return
	}
	switch {
	case s.flaw != "":
		refuse(ctx, from, m, s.flaw)
	case len(s.errands) >= errandsMost:
		refuse(ctx, from, m, "vault: too many secrets wait to be written: try again")
	case s.lock == nil:
		if !s.fits(name, value) {
			refuse(ctx, from, m, fmt.Sprintf("vault: more than %d KiB of secrets, and no password to store them under: set one", plainMost>>10))
			return
		}
		clear(s.plain[name])
		s.plain[name] = slices.Clone(value)
		ctx.Send(from, &vaultpb.SealResponse{Serial: m.GetSerial()})
	case s.key == nil:
		refuse(ctx, from, m, "vault: the database has a password, and it is not known: start with db-password, or check the password once")
	default:
		sealed, err := sealSecret(s.key, name, value)
		if err != nil {
			refuse(ctx, from, m, err.Error())
			return
		}
		write := &storepb.Write{Puts: []*storepb.Record{{Key: secretRoot + name, Value: sealed}}}
		s.write(ctx, write, func(ctx actor.Context, failure string) {
			ctx.Send(from, &vaultpb.SealResponse{Stored: failure == "", Error: failure, Serial: m.GetSerial()})
		})
	}
}

// fits tells whether memory holds one more secret.
func (s *safe) fits(name string, value []byte) bool {
	size, count := len(secretRoot)+len(name)+len(value)+sealCost, 1
	for other, v := range s.plain {
		if other != name {
			size += len(secretRoot) + len(other) + len(v) + sealCost
			count++
		}
	}
	return size <= plainMost && count <= plainCount
}

// wanted tells whether somebody asked for a secret.
func wanted(m *vaultpb.RevealRequest, name string) bool {
	return len(m.GetNames()) == 0 || slices.Contains(m.GetNames(), name)
}

// reveal opens what was found in the store.
func (s *safe) reveal(m *vaultpb.RevealRequest, found *storepb.ReadResponse) *vaultpb.RevealResponse {
	r := &vaultpb.RevealResponse{Matches: true, Serial: m.GetSerial()}
	if found.GetError() != "" {
		r.Error = "vault: the secrets could not be read: " + found.GetError()
		return r
	}
	for _, key := range found.GetCorrupt() {
		if name := strings.TrimPrefix(key, secretRoot); wanted(m, name) {
			r.Corrupt = append(r.Corrupt, name)
		}
	}
	for _, record := range found.GetRecords() {
		name := strings.TrimPrefix(record.GetKey(), secretRoot)
		if !wanted(m, name) {
			continue
		}
		value, err := openSecret(s.key, name, record.GetValue())
		if err != nil {
			r.Corrupt = append(r.Corrupt, name)
			continue
		}
		r.Secrets = append(r.Secrets, &vaultpb.Secret{Name: name, Value: value})
	}
	slices.Sort(r.Corrupt)
	return r
}
