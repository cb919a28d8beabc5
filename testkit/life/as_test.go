package life_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/gateways/uiv2"
	"parley/gateways/ws"
)

// Other users do things by this very program, started once more with what to do
// in its environment.
const (
	deedVariable = "PARLEY_LIFE_DEED"
	withVariable = "PARLEY_LIFE_WITH" // one a line
)

// deeds are what others can do. They print what came of it.
var deeds = map[string]func() int{"ask": askDeed, "read": readDeed}

func with() []string { return strings.Split(os.Getenv(withVariable), "\n") }

// askDeed asks at a port: opcode, payload.
func askDeed() int {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	w := with()
	c, err := ws.DialProtocol(ctx, "ws://127.0.0.1:"+w[0]+"/", 1<<20, uiv2.Subprotocol)
	if r := (*ws.Refused)(nil); errors.As(err, &r) {
		fmt.Printf("%s %s\n", r.Status, r.Body)
		return 0
	}
	if err == nil {
		err = c.Say([]byte(fmt.Sprintf(`{"opcode":%q,"contextId":1,"payload":%s}`, w[1], w[2])))
	}
	for err == nil {
		var b []byte
		if b, err = c.Hear(); bytes.Contains(b, []byte(`"contextId":1,`)) {
			fmt.Printf("%s\n", b)
			_ = c.Close()
			return 0
		}
	}
	fmt.Println(err)
	return 1
}

// readDeed reads one byte of each file.
func readDeed() int {
	for _, path := range with() {
		f, err := os.Open(path)
		if err == nil {
			if strings.HasSuffix(path, "/mem") { // nothing is mapped at 0
				err = syscall.EACCES
				if f, e := os.OpenFile(path, os.O_RDWR, 0); e == nil {
					err = f.Close()
				}
			} else {
				_, err = f.Read(make([]byte, 1))
			}
			_ = f.Close()
		}
		fmt.Println(path, err)
	}
	return 0
}

// as has a local user do something, and returns what came of it. Only root can
// have others do it; anybody can do it themselves.
func as(t *testing.T, uid int, deed string, with ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience+10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe") // its folder may be closed to others
	cmd.Dir, cmd.Env = "/", []string{"GORACE=atexit_sleep_ms=0", deedVariable + "=" + deed, withVariable + "=" + strings.Join(with, "\n")}
	if uid != os.Getuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("uid %d, %s %q: %v\n%s", uid, deed, with, err, out)
	}
	return string(out)
}
