package vault

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/store"
	"parley/actors/tree"
	"parley/messages/vaultpb"
)

// How another process of this test program is told to change passwords.
const (
	dirEnv  = "VAULT_TEST_DIR"
	fromEnv = "VAULT_TEST_FROM"
)

var quiet = slog.New(slog.DiscardHandler)

// cheap is the least that argon2id can cost.
var cheap = Cost{Memory: memoryLeast, Passes: 1, Lanes: 1}

// house is a vault and a safe on a real database.
type house struct {
	db    *store.DB
	sys   *actor.ActorSystem
	store *actor.PID
	vault *actor.PID
	safe  *actor.PID
}

func newHouse(dir string) (*house, error) {
	db, err := store.Open(dir, store.OpenOptions{Log: quiet})
	if err != nil {
		return nil, err
	}
	h := &house{db: db, sys: tree.New(tree.Options{Log: quiet})}
	h.store = store.Spawn(h.sys.Root, "store", store.Options{DB: db})
	h.vault = Spawn(h.sys.Root, Limits{Workers: 1, Queue: 1})
	h.safe = SpawnSafe(h.sys.Root, "safe", SafeSpec{Store: h.store, Vault: h.vault, Cost: cheap})
	return h, nil
}

// ask waits for an answer.
func (h *house) ask(m proto.Message) (any, error) {
	const most = time.Minute // longer than any machine takes
	return h.sys.Root.RequestFuture(h.safe, m, most).Result()
}

func (h *house) close() error {
	for _, pid := range []*actor.PID{h.safe, h.vault, h.store} {
		_ = h.sys.Root.StopFuture(pid).Wait()
	}
	h.sys.Shutdown()
	return h.db.Close()
}

// numbered is the n-th password.
func numbered(n int) *string {
	if n == 0 {
		return nil
	}
	return pw(fmt.Sprint("password ", n))
}

// changePasswords changes the password again and again, and says which is safe.
func changePasswords() {
	h, err := newHouse(os.Getenv(dirEnv))
	n, _ := strconv.Atoi(os.Getenv(fromEnv))
	for ; err == nil; n++ {
		if n == 0 {
			_, err = h.ask(keep("token", "Xyzzy-4711"))
		}
		m, failed := h.ask(rekey(1, numbered(n), *numbered(n + 1)))
		if r, ok := m.(*vaultpb.RekeyResponse); failed != nil || !ok || r.GetOutcome() != vaultpb.RekeyResponse_OUTCOME_DONE {
			err = fmt.Errorf("password %d: %v, %w", n+1, m, failed)
			break
		}
		fmt.Println(n + 1)
	}
	fmt.Println(err)
}

// TestKill kills a process that changes passwords as fast as it can, again and
// again, a hundred changes apart on average: the last password that was safe is
// right, or the one behind it, and it opens the secret that the first one sealed.
// "make cycles" does so for a hundred thousand changes.
func TestKill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	rng := rand.New(rand.NewPCG(5, 6))
	now := 0
	for range killings(t, 8) {
		safe := killed(t, dir, now, rng.IntN(200))
		h, err := newHouse(dir)
		if err != nil {
			t.Fatal(err)
		}
		right := 0
		for i, n := range []int{safe, safe + 1} {
			m, err := h.ask(reveal(uint64(i), numbered(n)))
			r, ok := m.(*vaultpb.RevealResponse)
			if err != nil || !ok || r.GetError() != "" {
				t.Fatalf("password %d: %v, %v", n, m, err)
			}
			if !r.GetMatches() {
				continue
			}
			right++
			now = n
			if n > 0 && (len(r.GetSecrets()) != 1 || string(r.GetSecrets()[0].GetValue()) != "Xyzzy-4711") {
				t.Errorf("password %d opens %d secrets, corrupt are %v", n, len(r.GetSecrets()), r.GetCorrupt())
			}
		}
		if right != 1 {
			t.Fatalf("password %d was safe; of it and the next one %d are right", safe, right)
		}
		if err := h.close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d passwords", now)
}

// killings is how often a test kills, few unless PARLEY_CYCLES says so.
func killings(t *testing.T, few int) int {
	t.Helper()
	text := os.Getenv("PARLEY_CYCLES")
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("PARLEY_CYCLES is %q, want a number from 1 on", text)
	}
	return n
}

// killed starts a process that changes passwords, kills it, and returns the
// number of the last one that it said to be safe.
func killed(t *testing.T, dir string, from, after int) (safe int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"=change", dirEnv+"="+dir, fromEnv+"="+strconv.Itoa(from))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	safe = from
	lines := bufio.NewReader(out)
	for i := 0; ; i++ {
		if i == after {
			_ = cmd.Process.Kill() // and read on: what it said before counts
		}
		line, err := lines.ReadString('\n')
		if err != nil {
			_ = cmd.Wait()
			return safe
		}
		if safe, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
			t.Fatalf("the other process says %q", line)
		}
	}
}

// TestDamagedFile flips each byte of a sealed secret in the database's files: it
// is named, the other one is there, and the password is as it was.
func TestDamagedFile(t *testing.T) {
	from := filepath.Join(t.TempDir(), "from")
	h, err := newHouse(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []proto.Message{keep("alpha", "a"), keep("beta", "b"), rekey(1, nil, "right")} {
		if _, err := h.ask(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	path, at, size := find(t, from)
	for i := range size {
		dir := filepath.Join(t.TempDir(), "copy")
		if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		b[at+i] ^= 1 << (i % 8)
		if err := os.WriteFile(filepath.Join(dir, path), b, 0o600); err != nil {
			t.Fatal(err)
		}
		h, err := newHouse(dir)
		if err != nil {
			t.Fatal(err)
		}
		m, err := h.ask(reveal(1, pw("right")))
		r, ok := m.(*vaultpb.RevealResponse)
		if err != nil || !ok || !r.GetMatches() || len(r.GetSecrets()) != 1 || r.GetSecrets()[0].GetName() != "beta" || fmt.Sprint(r.GetCorrupt()) != "[alpha]" {
			t.Errorf("byte %d: %v, %v", i, m, err)
		}
		if err := h.close(); err != nil {
			t.Fatal(err)
		}
	}
}

// find returns where the sealed secret is: behind its key, its version,
// marks and expiry, and the store's own envelope.
func find(t *testing.T, dir string) (path string, at, size int) {
	t.Helper()
	const before, sealed = 3 + 25, 1 + 24 + 1 + 16
	err := fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(p, ".sst") {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, p))
		if i := bytes.Index(b, []byte("secret/alpha")); i >= 0 { // first of the three in order of keys, but for the lock
			path, at = p, i
		} else if i := bytes.Index(b, []byte("alpha")); i >= 0 {
			path, at = p, i-len("secret/")
		}
		return err
	})
	if err != nil || path == "" {
		t.Fatalf("the secret is nowhere: %v", err)
	}
	return path, at + len("secret/alpha") + 8 + before, sealed
}
