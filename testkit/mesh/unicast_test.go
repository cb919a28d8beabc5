package mesh_test

import (
	"fmt"
	"testing"
	"time"

	"parley/messages/meshpb"
	"parley/testkit/mesh"
)

// doubted is how long who asked goes on waiting for an answer after a node on the
// way has returned the question.
const doubted = 250 * time.Millisecond

// TestUnicast asks over five links. Then nobody: in the moment in which only the
// node before knows, and when all know.
func TestUnicast(t *testing.T) {
	play(t, mesh.Options{Latency: slow}, func(t *testing.T, s *mesh.Sim) {
		nodes := s.Build(6, mesh.Line(6), nil)
		s.Run(10 * time.Second)
		ask := func(what string, links int, waits time.Duration) *meshpb.Response {
			t.Helper()
			start, before := time.Now(), s.Sent["list-nodes"]+s.Sent["response"]
			answers, silent := nodes[0].Command("n05", &meshpb.Command{Name: "list-nodes"})
			took, sent := time.Since(start), s.Sent["list-nodes"]+s.Sent["response"]-before
			if least := time.Duration(links)*slow + waits; sent != links || took < least || took > least+slow {
				t.Errorf("%s: there and back took %v and %d transmissions, not %d", what, took, sent, links)
			}
			if len(answers) != 1 || len(silent) != 0 || answers["n05"] == nil {
				t.Fatalf("%s: answered %v, silent are %v", what, answers, silent)
			}
			return answers["n05"]
		}
		if r := ask("n05 lives", 10, 0); fmt.Sprint(r.GetNodes().GetNames()) != "[n04]" {
			t.Errorf("n05 answered %v", r)
		}
		returned := func(what string, links int, waits time.Duration) {
			t.Helper()
			if r := ask(what, links, waits); r.Ok == nil || r.GetOk() || r.GetReason() != "return to sender" || r.GetDestination() != "n05" {
				t.Errorf("%s: answered %v", what, r)
			}
		}
		nodes[5].Kill(false)
		s.Must(time.Second, "noticed", func() bool { return s.Ends("n04", "n05") == 0 })
		told := s.Sent["hello"]
		returned("only n04 knows", 8, doubted) // its hello meets the question on its way
		if told == s.Sent["hello"] {
			t.Error("n04 says nothing of it")
		}
		s.Run(time.Minute + 20*time.Second)
		returned("all know", 0, 0)
		s.Check()
	})
}
