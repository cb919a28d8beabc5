package shell

import (
	"fmt"
	"strings"
	"sync"

	"parley/cmd/parley/talk"
)

// mostNotes wait to be shown; of more, the oldest are left out.
const mostNotes = 500

// notes are what is to be told to the user as soon as that does no harm.
type notes struct {
	deaf bool // fixed: nobody wants to know

	mu   sync.Mutex // guards what follows
	all  []string
	lost int    // left out
	wake func() // tells the line editor; nil: there is none
}

// add leaves a note.
func (n *notes) add(text string) {
	if n.deaf {
		return
	}
	n.mu.Lock()
	if len(n.all) == mostNotes {
		n.all = n.all[1:]
		n.lost++
	}
	n.all = append(n.all, text)
	wake := n.wake
	n.mu.Unlock()
	if wake != nil {
		wake()
	}
}

// forget drops notes about a Node's end that was told otherwise.
func (n *notes) forget(c *talk.Crashed) {
	n.mu.Lock()
	defer n.mu.Unlock()
	kept := n.all[:0]
	for _, text := range n.all {
		if !strings.HasSuffix(text, c.String()) {
			kept = append(kept, text)
		}
	}
	n.all = kept
}

// waiting tells whether there is anything to show.
func (n *notes) waiting() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.all) > 0
}

// take gives what is to be shown, as one text without a line break at its end.
func (n *notes) take() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.all) == 0 {
		return ""
	}
	text := strings.Join(n.all, "\n")
	if n.lost > 0 {
		text = fmt.Sprintf("(%d notes came too fast to be shown)\n%s", n.lost, text)
	}
	n.all, n.lost = nil, 0
	return text
}
