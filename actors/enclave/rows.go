package enclave

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages/enclavepb"
	"parley/messages/storepb"
)

// Records of chronicle. Those below saidPrefix and sentPrefix expire.
const (
	saidPrefix      = "said/"              // address and serial → Entry or Sealed; what does not fit goes on below that key
	sentPrefix      = "sent/"              // address, run of this node and number of a message of our own → Entry with its delivery only
	chroniclePrefix = "chronicle/"         // all that stays
	lastPrefix      = "chronicle/last/"    // address → Entry with its last serial only
	publicKey       = "chronicle/key"      // that entries are sealed to
	sweptKey        = "chronicle/swept"    // there are no entries left that are not sealed
	partMost        = 60 << 10             // bytes of an entry in one record
	entryMost       = 120 << 10            // bytes of a message: what is longer is cut
	forEver         = uint64(253402300799) // Unix s: the end of the year 9999
	rowBytes        = 300                  // of an entry, besides its message and id
)

// row is what is written together. Of records with the same key the last counts.
type row struct {
	address  string
	entry    *enclavepb.Entry // nil: there is none
	fresh    bool             // entry is a new one: its serial is the last one
	id       string           // of a message of our own; empty: none
	delivery enclavepb.Delivery
	expires  uint64 // of entry and delivery, Unix s
	others   []*storepb.Record
	then     func(ctx actor.Context, stored bool) // nil: nobody waits
	follows  []consequence                        // oldest first
	joined   bool                                 // goes into the same write as the next
}

// empty reports that there is nothing to store, though somebody may wait.
func (r *row) empty() bool { return r.entry == nil && r.id == "" && len(r.others) == 0 }

// replaces reports that a row says all that an older one says.
func (r *row) replaces(old *row) bool {
	return r.bare() && old.bare() && r.others[0].GetKey() == old.others[0].GetKey()
}

// bare reports that there is nothing but one record.
func (r *row) bare() bool { return r.entry == nil && r.id == "" && len(r.others) == 1 }

// await has somebody told when the row is stored.
func (r *row) await(then func(ctx actor.Context, stored bool)) {
	first := r.then
	if first == nil {
		r.then = then
		return
	}
	r.then = func(ctx actor.Context, stored bool) {
		first(ctx, stored)
		then(ctx, stored)
	}
}

func (r *row) size() int {
	n := rowBytes + len(r.address)
	if r.entry != nil {
		n += len(r.entry.GetMessage()) + len(r.entry.GetId())
	}
	for _, o := range r.others {
		n += len(o.GetKey()) + len(o.GetValue())
	}
	return n
}

// compose makes the Write of some rows; sealed, unless there is no sealer.
func compose(rows []*row, sealer *sealer) *storepb.Write {
	w := &storepb.Write{}
	at := map[string]int{}
	put := func(r *storepb.Record) {
		if i, ok := at[r.GetKey()]; ok {
			w.Puts[i] = r
			return
		}
		at[r.GetKey()] = len(w.Puts)
		w.Puts = append(w.Puts, r)
	}
	for _, r := range rows {
		if r.entry != nil {
			for _, one := range entryRecords(r, sealer) {
				put(one)
			}
		}
		if r.fresh {
			put(&storepb.Record{Key: lastPrefix + r.address, Value: marshal(&enclavepb.Entry{Serial: r.entry.GetSerial()})})
		}
		if key := sentKey(r.address, r.id); key != "" {
			put(&storepb.Record{Key: key, Value: marshal(&enclavepb.Entry{Delivery: r.delivery}), Expires: r.expires})
		}
		for _, o := range r.others {
			put(o)
		}
	}
	return w
}

// entryRecords are the records of a row's entry.
func entryRecords(r *row, sealer *sealer) (all []*storepb.Record) {
	value := marshal(r.entry)
	if sealer != nil {
		value = marshal(&enclavepb.Sealed{Box: sealer.seal(value)})
	}
	key := saidKey(r.address, r.entry.GetSerial())
	for part := range slices.Chunk(value, partMost) {
		all = append(all, &storepb.Record{Key: key, Value: part, Expires: r.expires})
		key = saidKey(r.address, r.entry.GetSerial()) + "/" + strconv.Itoa(len(all))
	}
	return all
}

func marshal(m proto.Message) []byte {
	value, err := proto.Marshal(m)
	if err != nil {
		panic("enclave: " + err.Error())
	}
	return value
}

func saidKey(address string, serial uint64) string {
	return saidPrefix + address + "/" + serialKey(serial)
}

// sentKey is the record of how far a message of our own has come. "": its id is
// none that this node gives.
func sentKey(address, id string) string {
	run, n, ok := splitID(id)
	if !ok {
		return ""
	}
	return sentRun(address, run) + serialKey(n)
}

func sentRun(address, run string) string { return sentPrefix + address + "/" + run + "/" }

// stored is an entry as the store has it.
type stored struct {
	serial  uint64
	value   []byte // Entry or Sealed
	expires uint64 // Unix s
}

// joinParts makes entries of the records below a conversation's prefix, which are
// sorted by key.
func joinParts(records []*storepb.Record, prefix string) (all []*stored) {
	for _, r := range records {
		text, part, parted := strings.Cut(strings.TrimPrefix(r.GetKey(), prefix), "/")
		serial, err := strconv.ParseUint(text, 16, 64)
		if err != nil {
			continue
		}
		if !parted {
			all = append(all, &stored{serial, r.GetValue(), r.GetExpires()})
			continue
		}
		n, err := strconv.Atoi(part)
		if last := len(all) - 1; err == nil && last >= 0 && all[last].serial == serial && len(all[last].value) == n*partMost {
			all[last].value = append(slices.Clip(all[last].value), r.GetValue()...)
		}
	}
	return all
}

// sealedIn is the box in an entry's value; nil: it is not sealed. An Entry has a
// number where a Sealed has its box, so that each is told from the other.
func sealedIn(value []byte) []byte {
	s := &enclavepb.Sealed{}
	if proto.Unmarshal(value, s) != nil {
		return nil
	}
	return s.GetBox()
}

// open reads an entry. ok is false when it is not what was written, or sealed and
// there is no key, or another one.
func (s *stored) open(key *opener) (e *enclavepb.Entry, ok bool) {
	value := s.value
	if sealed := sealedIn(value); sealed != nil {
		if value, ok = key.open(sealed); !ok {
			return nil, false
		}
	}
	e = &enclavepb.Entry{}
	if proto.Unmarshal(value, e) != nil {
		return nil, false
	}
	return e, e.GetSerial() == s.serial
}

// expiry is when what is said now is gone by itself, in Unix s.
func (o *Options) expiry() uint64 {
	if o.Retention == 0 {
		return forEver
	}
	return uint64(o.Now().Add(o.Retention + time.Second - 1).Unix())
}

// shorten cuts a message to what the store takes.
func shorten(text string) string {
	if len(text) <= entryMost {
		return text
	}
	return strings.ToValidUTF8(text[:entryMost], "") + "…"
}
