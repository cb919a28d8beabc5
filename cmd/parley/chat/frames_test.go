package chat

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	tea "charm.land/bubbletea/v2"
)

// sizes are windows that people have.
var sizes = []struct{ columns, rows int }{{80, 24}, {132, 43}, {40, 12}, {20, 6}}

// TestFrames draws each scene in windows of several sizes.
func TestFrames(t *testing.T) {
	scenes := map[string]func(*stage){
		"conversation": func(*stage) {},
		"unread": func(s *stage) {
			s.hear(received{carol, entry{serial: 1, text: "hello", at: noon}}, received{carol, entry{serial: 2, text: "anybody?", at: noon}})
		},
		"request":  func(s *stage) { s.press("up") },
		"accept":   func(s *stage) { s.press("up", "ctrl+y", "erin of the sea") },
		"ignored":  func(s *stage) { s.press("down", "down", "down") },
		"help":     func(s *stage) { s.press("ctrl+g") },
		"status":   func(s *stage) { s.press("ctrl+t") },
		"scrolled": func(s *stage) { s.press("pgup") },
		"typing": func(s *stage) {
			s.press("a text that grows until it is wider than the window, so its begin goes out of sight")
		},
		"down": func(s *stage) { s.hear(disconnected{"the Node has ended: signal: killed"}) },
		"locked": func(s *stage) {
			s.press("down")
			s.hear(answer{to: last[historyAsk](s.t, s.p), err: &lockedError{}})
			s.press("sesame")
		},
		"checking": func(s *stage) {
			s.press("down")
			s.hear(answer{to: last[historyAsk](s.t, s.p), err: &lockedError{}})
			s.press("sesame", "enter", "ses")
		},
	}
	for name, scene := range scenes {
		for _, size := range sizes {
			t.Run(fmt.Sprintf("%s_%dx%d", name, size.columns, size.rows), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := chatting(t, size.columns, size.rows)
					scene(s)
					s.golden(name)
					s.whole()
				})
			})
		}
	}
}

// whole checks that a frame fills the window, and no more.
func (s *stage) whole() {
	s.t.Helper()
	rows := strings.Split(s.m.View().Content, "\n")
	if len(rows) != s.m.height {
		s.t.Errorf("%d rows in a window of %d", len(rows), s.m.height)
	}
	for i, row := range rows {
		if w := width(row); w != s.m.width {
			s.t.Errorf("row %d has %d columns in a window of %d: %q", i, w, s.m.width, row)
		}
	}
}

// TestSizes draws windows of all sizes, after one another.
func TestSizes(t *testing.T) {
	s := chatting(t, 80, 24)
	s.hear(received{bob, entry{serial: 7, text: strings.Repeat("wide 世界 ", 50), at: noon}})
	for _, scene := range []string{"", "ctrl+g", "ctrl+t"} {
		if scene != "" {
			s.press(scene)
		}
		for columns := 1; columns < 140; columns += 7 {
			for rows := 1; rows < 50; rows += 5 {
				s.do(tea.WindowSizeMsg{Width: columns, Height: rows})
				if columns >= leastWidth && rows >= leastHeight {
					s.whole()
				}
				s.frame()
			}
		}
	}
}

func TestNobody(t *testing.T) {
	s := newStage(t, 80, 24)
	s.golden("connecting")
	s.hear(connected{list{own: presence{alias: "alice", status: available}}})
	s.golden("nobody")
}
