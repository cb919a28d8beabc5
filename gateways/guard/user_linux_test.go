package guard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// nobody is the uid of the stranger in these tests.
const nobody = 65534

// dialVariable makes this test binary dial the address it names, and hold the
// connection until its standard input ends.
const dialVariable = "GUARD_TEST_DIAL"

func init() {
	address := os.Getenv(dialVariable)
	if address == "" {
		return
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = c.Close()
	os.Exit(0)
}

func listen(t testing.TB, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func accept(t testing.TB, l net.Listener) *net.TCPConn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

// connected is both ends of a connection.
func connected(t testing.TB, l net.Listener) (server, client *net.TCPConn) {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return accept(t, l), c.(*net.TCPConn)
}

// userOf asks as a server does.
func userOf(c net.Conn) (uint32, error) {
	return LocalUser(c.RemoteAddr().(*net.TCPAddr).AddrPort(), c.LocalAddr().(*net.TCPAddr).AddrPort())
}

// here is the uid of this process.
func here() uint32 { return uint32(os.Getuid()) }

func TestLocalUser(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0", "127.9.8.7:0"} {
		server, client := connected(t, listen(t, address))
		if uid, err := userOf(server); uid != here() || err != nil {
			t.Errorf("%s: %d, %v", address, uid, err)
		}
		if uid, err := userOf(client); uid != here() || err != nil {
			t.Errorf("%s, asked by the client: %d, %v", address, uid, err)
		}
	}
}

// TestLocalUserMapped: either end may be an IPv6 socket that talks IPv4.
func TestLocalUserMapped(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::]:0"} {
		l := listen(t, address)
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		to := &unix.SockaddrInet6{Port: l.Addr().(*net.TCPAddr).Port, Addr: netip.MustParseAddr("::ffff:127.0.0.1").As16()}
		if err := unix.Connect(fd, to); err != nil {
			t.Fatal(err)
		}
		server := accept(t, l)
		remote, local := server.RemoteAddr().(*net.TCPAddr).AddrPort(), server.LocalAddr().(*net.TCPAddr).AddrPort()
		mapped := func(a netip.AddrPort) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
		}
		for _, pair := range [][2]netip.AddrPort{{remote, local}, {mapped(remote), local}, {remote, mapped(local)}, {mapped(remote), mapped(local)}} {
			if uid, err := LocalUser(pair[0], pair[1]); uid != here() || err != nil {
				t.Errorf("%s: %v: %d, %v", address, pair, uid, err)
			}
		}
		_ = unix.Close(fd)
	}
}

// TestLocalUserStranger connects with a process of another user. Who is not
// root cannot start one, and sees the child as itself.
func TestLocalUserStranger(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	want := here()
	child := exec.Command(copyOfThis(t))
	child.Env = []string{dialVariable + "=" + l.Addr().String()}
	if want == 0 {
		want = nobody
		child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	stay, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	child.Stdout = &said
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	server := accept(t, l)
	if uid, err := userOf(server); uid != want || err != nil {
		t.Errorf("uid %d, %v; want %d", uid, err, want)
	}
	_ = stay.Close()
	if err := child.Wait(); err != nil {
		t.Errorf("%v: %s", err, said.String())
	}
	if uid, err := userOf(server); err == nil {
		t.Errorf("its process is gone: uid %d", uid)
	}
}

// copyOfThis is this program where every user can start it: the go command
// builds in a folder of its own.
func copyOfThis(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, d := range []string{folder, filepath.Dir(folder)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(folder, "dial")
	if err := os.WriteFile(name, program, 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestLocalUserGone: what is closing or gone is an error, never root, whoever
// listens at its address now.
func TestLocalUserGone(t *testing.T) {
	l := listen(t, "127.0.0.1:0")

	server, client := connected(t, l)
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(server) // the end has arrived
	if uid, err := userOf(server); !errors.Is(err, errClosed) {
		t.Errorf("half closed: %d, %v", uid, err)
	}

	server, client = connected(t, l)
	_ = client.Close()
	_, _ = io.ReadAll(server)
	if uid, err := userOf(server); !errors.Is(err, errClosed) {
		t.Errorf("closed: %d, %v", uid, err)
	}
	_ = server.Close()
	if uid, err := userOf(server); !errors.Is(err, errClosed) { // it lingers in TIME_WAIT, as root's
		t.Errorf("both closed: %d, %v", uid, err)
	}

	for range 100 { // another process may have taken the port meanwhile: then once more
		server, client = connected(t, l)
		place := client.LocalAddr().String()
		if err := client.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		_ = client.Close()
		_, _ = io.ReadAll(server)
		other, err := net.Listen("tcp", place)
		if err != nil {
			continue
		}
		defer other.Close()
		if uid, err := userOf(server); !errors.Is(err, errOther) {
			t.Errorf("another socket listens there: %d, %v", uid, err)
		}
		return
	}
	t.Error("there was never a port to listen on again")
}

func TestLocalUserNobody(t *testing.T) {
	free := netip.MustParseAddrPort("127.0.0.1:1")
	if uid, err := LocalUser(free, netip.MustParseAddrPort("127.0.0.1:2")); !errors.Is(err, unix.ENOENT) {
		t.Errorf("no such sockets: %d, %v", uid, err)
	}
	for _, other := range []string{"[::1]:2", "127.0.0.1:0", "[::1]:0"} {
		if uid, err := LocalUser(free, netip.MustParseAddrPort(other)); err == nil {
			t.Errorf("%s: %d", other, uid)
		}
	}
	if uid, err := LocalUser(netip.AddrPort{}, free); err == nil {
		t.Errorf("no address: %d", uid)
	}
}

// kernelSays is an answer about ends with the given state, uid and inode.
func kernelSays(e ends, state byte, uid, inode uint32) []byte {
	family := byte(unix.AF_INET)
	if e.of.Addr().Is6() {
		family = unix.AF_INET6
	}
	b := binary.NativeEndian.AppendUint32(nil, headerSize+answerSize)
	b = binary.NativeEndian.AppendUint16(b, unix.SOCK_DIAG_BY_FAMILY)
	b = binary.NativeEndian.AppendUint16(b, 0)
	b = binary.NativeEndian.AppendUint32(b, sequence)
	b = binary.NativeEndian.AppendUint32(b, 77)
	b = e.appendIdentity(append(b, family, state, 0, 0))
	for _, n := range []uint32{1, 2, 3, uid, inode} {
		b = binary.NativeEndian.AppendUint32(b, n)
	}
	return b
}

var (
	somebody = ends{netip.MustParseAddrPort("127.0.0.1:1234"), netip.MustParseAddrPort("127.0.0.1:5333")}
	someone6 = ends{netip.MustParseAddrPort("[::1]:1234"), netip.MustParseAddrPort("[::1]:5333")}
)

// failed is an answer that there is no answer.
func failed(code int32) []byte {
	b := binary.NativeEndian.AppendUint32(nil, headerSize+4)
	b = binary.NativeEndian.AppendUint16(b, unix.NLMSG_ERROR)
	b = binary.NativeEndian.AppendUint16(b, 0)
	b = binary.NativeEndian.AppendUint32(b, sequence)
	b = binary.NativeEndian.AppendUint32(b, 0)
	return binary.NativeEndian.AppendUint32(b, uint32(code))
}

func TestAnswers(t *testing.T) {
	good := kernelSays(somebody, established, 1000, 9)
	change := func(at int, to byte) []byte {
		b := append([]byte(nil), good...)
		b[at] = to
		return b
	}
	swapped := ends{somebody.to, somebody.of}
	for _, c := range []struct {
		name string
		b    []byte
		e    ends
		want error
	}{
		{"IPv4", good, somebody, nil},
		{"IPv6", kernelSays(someone6, established, 1000, 9), someone6, nil},
		{"with attributes", append(append([]byte(nil), good...), 1, 2, 3), somebody, nil},
		{"the other end", good, swapped, errOther},
		{"IPv6 for IPv4", good, someone6, errOther},
		{"another family", change(headerSize, unix.AF_UNIX), somebody, errOther},
		{"another question", change(8, 2), somebody, errOther},
		{"another kind", change(4, 99), somebody, errOther},
		{"FIN-WAIT-2", kernelSays(somebody, 5, 1000, 9), somebody, errClosed},
		{"TIME-WAIT", kernelSays(somebody, 6, 0, 0), somebody, errClosed},
		{"orphaned in between", kernelSays(somebody, established, 0, 0), somebody, errClosed},
		{"not there", failed(-int32(unix.ENOENT)), somebody, unix.ENOENT},
		{"no error", failed(0), somebody, errOther},
		{"the least error", failed(-1 << 31), somebody, errOther},
		{"a positive error", failed(5), somebody, errOther},
		{"half an error", failed(-2)[:headerSize+2], somebody, errShort},
		{"nothing", nil, somebody, errShort},
		{"half", good[:40], somebody, errShort},
		{"size over its end", change(1, 1), somebody, errShort},
		{"size below a header", change(0, 3), somebody, errShort},
		{"size below an answer", change(0, 60), somebody, errShort},
	} {
		uid, err := c.e.answer(c.b)
		if !errors.Is(err, c.want) || c.want == nil && uid != 1000 || c.want != nil && uid != 0 {
			t.Errorf("%s: %d, %v; want %v", c.name, uid, err, c.want)
		}
	}
}

// FuzzAnswer: no answer makes the reader fail, and only one about the right
// socket names a user.
func FuzzAnswer(f *testing.F) {
	f.Add(kernelSays(somebody, established, 1000, 9))
	f.Add(kernelSays(somebody, 6, 0, 0))
	f.Add(kernelSays(someone6, established, 0, 1))
	f.Add(failed(-2))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, e := range []ends{somebody, someone6} {
			uid, err := e.answer(b)
			if err != nil {
				if uid != 0 {
					t.Fatalf("uid %d and %v", uid, err)
				}
				continue
			}
			body := b[headerSize:]
			if body[1] != established || !e.is(body) || uid != binary.NativeEndian.Uint32(body[placeUID:]) {
				t.Fatalf("%x names %d", b, uid)
			}
		}
	})
}

func BenchmarkLocalUser(b *testing.B) {
	server, _ := connected(b, listen(b, "127.0.0.1:0"))
	remote, local := server.RemoteAddr().(*net.TCPAddr).AddrPort(), server.LocalAddr().(*net.TCPAddr).AddrPort()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := LocalUser(remote, local); err != nil {
			b.Fatal(err)
		}
	}
}
