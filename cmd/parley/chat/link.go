package chat

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"parley/cmd/parley/talk"
)

const (
	// Pauses between attempts to have the Node again.
	shortestPause = 50 * time.Millisecond
	longestPause  = 2 * time.Second
	// fateWait is how long the Daemon may take to tell how the Node ended.
	fateWait = time.Second
	// asksMost wait for the Node.
	asksMost = 1000
	// codeBadPassword says that the history needs another password. Source:
	// gateways/uiv2/PROTOCOL.md, Errors.
	codeBadPassword = 1<<48 | 6
)

var (
	errBusy = errors.New("the Node does not keep up; try again later")
	errLost = errors.New("the connection is lost")
)

// link is the node at the other end of a session. One goroutine, run, asks for
// all but pages of history, which another one asks for aside of it.
type link struct {
	session *talk.Session
	explain func(error) error // adds what to do about it
	ctx     context.Context   // ends with close
	stop    context.CancelFunc
	asks    *box[request]
	news    *box[any]
	lost    atomic.Bool   // news were left out
	started chan struct{} // has room for one: a Node may have come
	done    chan struct{} // closed by run
}

// dial opens a session. The first connection must succeed.
func dial(ctx context.Context, o talk.Options, explain func(error) error) (*link, error) {
	l := &link{
		explain: explain, asks: newBox[request](), news: newBox[any](),
		started: make(chan struct{}, 1), done: make(chan struct{}),
	}
	l.ctx, l.stop = context.WithCancel(ctx)
	o.Broadcast = l.hear
	o.Lost, o.Back = nil, nil // this side dials, when it asks
	var err error
	if l.session, err = talk.Open(ctx, o); err != nil {
		l.stop()
		return nil, explain(err)
	}
	at, err := l.join()
	if err != nil {
		l.stop()
		l.session.Close()
		return nil, explain(err)
	}
	go l.run(at)
	return l, nil
}

// close ends the link. Nothing comes from Next any more.
func (l *link) close() {
	l.stop()
	<-l.done
	l.session.Close()
}

// Do implements node.
func (l *link) Do(r request) {
	if !l.asks.put(r, asksMost) {
		l.say(answer{to: r, err: errBusy})
	}
}

// Next implements node.
func (l *link) Next() []any {
	for {
		select {
		case <-l.ctx.Done():
			return nil
		case <-l.news.wake:
		}
		all := l.news.take()
		if l.lost.CompareAndSwap(true, false) {
			all = append(all, missed{})
		}
		if len(all) > 0 {
			return all
		}
	}
}

// say hands on what must not be left out.
func (l *link) say(v any) { l.news.put(v, math.MaxInt) }

// hear takes a broadcast. It does not wait.
func (l *link) hear(b talk.Broadcast) {
	if b.Opcode == "nodeStarted" {
		select {
		case l.started <- struct{}{}:
		default:
		}
		return
	}
	if n, err := readNews(b); err == nil && n != nil && !l.news.put(n, newsMost) {
		l.lost.Store(true)
	}
}

// run asks, and has a connection whenever there can be one. at is the one that
// there is.
func (l *link) run(at *talk.Aside) {
	defer close(l.done)
	for {
		l.serve(at)
		if l.ctx.Err() != nil {
			return
		}
		l.say(disconnected{l.why().Error()})
		if at = l.again(); at == nil {
			return
		}
	}
}

// why is how the connection ended.
func (l *link) why() error {
	if crash, err := l.session.Fate(l.ctx, fateWait); err == nil && crash != nil {
		return errors.New("the Node has ended: " + crash.String())
	}
	return errors.New("the Node hung up; trying to get it back")
}

// again joins as soon as that succeeds; nil: the link is closed.
func (l *link) again() *talk.Aside {
	last := ""
	for pause := shortestPause; ; pause = min(2*pause, longestPause) {
		at, err := l.join()
		if err == nil {
			return at
		}
		if why := l.explain(err).Error(); why != last && l.ctx.Err() == nil {
			last = why
			l.say(disconnected{why})
		}
		l.fail(l.asks.take(), err)
		timer := time.NewTimer(pause)
		select {
		case <-l.ctx.Done():
			timer.Stop()
			return nil
		case <-l.started:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// join connects to the Node, subscribes, and tells how things are.
func (l *link) join() (at *talk.Aside, err error) {
	if err := l.session.ToNode(l.ctx); err != nil {
		return nil, err
	}
	at = l.session.Aside()
	if _, err := put(l.ctx, l.session, talk.Question{Opcode: "subscribe", Payload: subscription()}); err != nil {
		return nil, err
	}
	raw, err := put(l.ctx, l.session, question(listAsk{}))
	if err != nil {
		return nil, err
	}
	book, err := readList(raw)
	if err != nil {
		return nil, err
	}
	l.say(connected{*book})
	return at, nil
}

// serve asks what is to be asked, until the connection has ended. All that was
// asked on it is answered then, so that nothing of it comes behind the next one.
func (l *link) serve(at *talk.Aside) {
	ctx, stop := context.WithCancel(l.ctx)
	pages := newBox[request]()
	var reader sync.WaitGroup
	reader.Go(func() { l.read(ctx, at, pages) })
	defer func() {
		stop()
		reader.Wait()
		l.fail(pages.take(), errLost)
	}()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-at.Gone():
			return
		case <-l.asks.wake:
		}
		all := l.asks.take()
		for i, r := range all {
			select {
			case <-at.Gone(): // the next connection is told of, before there are answers from it
				l.fail(all[i:], errLost)
				return
			default:
			}
			if _, ok := r.(historyAsk); !ok {
				l.ask(l.ctx, l.session, r)
			} else if !pages.put(r, asksMost) {
				l.say(answer{to: r, err: errBusy})
			}
		}
	}
}

// read asks for pages of history, one after the other, until ctx ends. It is a
// goroutine of its own: the Node may think about a password for as long as 45 s,
// and messages must not wait meanwhile.
func (l *link) read(ctx context.Context, at *talk.Aside, pages *box[request]) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-pages.wake:
		}
		for _, r := range pages.take() {
			l.ask(ctx, at, r)
		}
	}
}

// fail answers requests that did not reach the Node.
func (l *link) fail(all []request, why error) {
	for _, r := range all {
		l.say(answer{to: r, err: &lostError{why}})
	}
}

// asker is a session, or an aside of one.
type asker interface {
	Ask(context.Context, talk.Question) (jsontext.Value, error)
}

// ask asks one thing.
func (l *link) ask(ctx context.Context, by asker, r request) {
	a := answer{to: r}
	raw, err := put(ctx, by, question(r))
	switch {
	case err == nil:
		a.err = a.read(raw)
	case ctx.Err() != nil: // the connection has ended meanwhile
		a.err = &lostError{errLost}
	default:
		a.err = l.sort(r, err)
	}
	l.say(a)
}

// put asks the Node.
func put(ctx context.Context, by asker, q talk.Question) (jsontext.Value, error) {
	q.Place = talk.Node // what is said here is not for the Daemon
	return by.Ask(ctx, q)
}

// sort tells apart what the model does.
func (l *link) sort(r request, err error) error {
	var (
		refused *talk.Refused
		ended   *talk.Ended
		lost    *talk.Lost
		nobody  *talk.Nobody
		silent  *talk.Silent
	)
	switch {
	case errors.As(err, &refused):
		if h, ok := r.(historyAsk); ok && refused.Code == codeBadPassword {
			return &lockedError{wrong: h.password != nil}
		}
		if refused.Code == talk.CodeNoNode {
			return &lostError{l.explain(err)}
		}
	case errors.As(err, &ended), errors.As(err, &lost), errors.As(err, &nobody), errors.As(err, &silent):
		return &lostError{l.explain(err)}
	}
	return l.explain(err)
}
