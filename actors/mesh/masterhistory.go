package mesh

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages/meshpb"
	"parley/messages/relaypb"
	"parley/messages/storepb"
)

// resolution is one history: a point each step, kept for a while, shown as far
// back as usual unless somebody asks for more.
type resolution struct {
	step        uint64 // s
	keep, usual time.Duration
}

const day = 24 * time.Hour

// resolutions are the histories that a master keeps. Source:
// gateways/mesh/PROTOCOL.md, Master.
var resolutions = []resolution{
	{10, day, time.Hour},
	{60, 30 * day, day},
	{3600, 365 * day, 90 * day},
}

const (
	historyKey = "mesh/history/" // and step, time, and part of the point
	partMost   = 400             // nodes or links in one record, which holds 64 KiB
	windowAt   = 1               // of relaypb.Traffic: the last 15 s
	windowSpan = 15              // s
)

// history gathers the points that are not over yet, one a resolution. Each is
// written again with every poll, so that a restart loses none.
type history struct {
	points  []*meshpb.Point // by index of resolutions; nil: none yet
	serial  uint64          // of the last question to the store
	recalls map[uint64]int  // index of resolutions, by serial
	asked   bool            // for what is there from before this start
}

func newHistory() history {
	return history{points: make([]*meshpb.Point, len(resolutions)), recalls: map[uint64]int{}}
}

// recall asks for the points that an earlier run of this node has begun.
func (m *master) recall(ctx actor.Context) {
	if m.o.Store == nil || m.history.asked {
		return
	}
	m.history.asked = true
	now := uint64(m.o.Now().Unix())
	for i, r := range resolutions[1:] {
		at := now / r.step * r.step
		m.history.recalls[m.read(ctx, r.step, at, at+1)] = i + 1
	}
}

// read asks the store for points, and returns the serial of its answer.
func (m *master) read(ctx actor.Context, step, from, to uint64) uint64 {
	h := &m.history
	h.serial++
	prefix := pointPrefix(step)
	ctx.Request(m.o.Store, &storepb.ReadRequest{
		Prefix: prefix, Expiring: true, From: prefix + pointTime(from), To: prefix + pointTime(to), Serial: h.serial,
	})
	return h.serial
}

func pointPrefix(step uint64) string { return historyKey + strconv.FormatUint(step, 10) + "/" }

// pointTime sorts as the time does, which is in Unix s.
func pointTime(at uint64) string { return fmt.Sprintf("%012d/", at) }

func (m *master) onRead(ctx actor.Context, msg *storepb.ReadResponse) {
	if v, ok := m.views[msg.GetSerial()]; ok {
		delete(m.views, msg.GetSerial())
		m.show(ctx, v, msg)
		return
	}
	i, ok := m.history.recalls[msg.GetSerial()]
	if !ok {
		return
	}
	delete(m.history.recalls, msg.GetSerial())
	for _, p := range pointsOf(msg.GetRecords()) {
		if at := m.history.points[i]; at == nil {
			m.history.points[i] = p
		} else if at.GetAt() == p.GetAt() {
			m.history.points[i] = mean(at, p)
		}
	}
}

// pointsOf reads records that are sorted by time and part.
func pointsOf(records []*storepb.Record) (out []*meshpb.Point) {
	for _, r := range records {
		p := &meshpb.Point{}
		if proto.Unmarshal(r.GetValue(), p) != nil {
			continue
		}
		if last := len(out) - 1; last >= 0 && out[last].GetAt() == p.GetAt() {
			out[last].Nodes = append(out[last].Nodes, p.GetNodes()...)
			out[last].Links = append(out[last].Links, p.GetLinks()...)
			continue
		}
		out = append(out, p)
	}
	return out
}

// point adds what was polled to the histories, once all have answered.
func (m *master) point(ctx actor.Context) {
	if !m.poll.running || !m.poll.own || !m.poll.others {
		return
	}
	m.poll.running = false
	if m.o.Store == nil {
		return
	}
	p := m.sample()
	now := p.GetAt()
	w := &storepb.Write{}
	for i, r := range resolutions {
		p.At = now / r.step * r.step
		if last := m.history.points[i]; last != nil && last.GetAt() == p.GetAt() {
			m.history.points[i] = mean(last, p)
		} else {
			m.history.points[i] = proto.CloneOf(p)
		}
		for _, record := range recordsOf(m.history.points[i], r) {
			if w.Puts = append(w.Puts, record); len(w.GetPuts()) == writeParts {
				ctx.Request(m.o.Store, w)
				w = &storepb.Write{}
			}
		}
	}
	if len(w.GetPuts()) > 0 {
		ctx.Request(m.o.Store, w)
	}
}

// writeParts is how many records one Write holds: three of the largest.
const writeParts = 3

// recordsOf writes a point. A network that is too large for one record has it in
// parts.
func recordsOf(p *meshpb.Point, r resolution) (out []*storepb.Record) {
	nodes, links := p.GetNodes(), p.GetLinks()
	for part := 0; part == 0 || len(nodes)+len(links) > 0; part++ {
		n := min(partMost, len(nodes))
		l := min(partMost-n, len(links))
		value, err := proto.Marshal(&meshpb.Point{At: p.GetAt(), Samples: p.GetSamples(), Nodes: nodes[:n], Links: links[:l]})
		if err != nil {
			panic("mesh: a point cannot be written: " + err.Error())
		}
		nodes, links = nodes[n:], links[l:]
		out = append(out, &storepb.Record{
			Key:     pointPrefix(r.step) + pointTime(p.GetAt()) + fmt.Sprintf("%03d", part),
			Value:   value,
			Expires: p.GetAt() + uint64(r.keep/time.Second),
		})
	}
	return out
}

// sample is the network at this moment, as far as it told.
func (m *master) sample() *meshpb.Point {
	now := m.o.Now()
	p := &meshpb.Point{At: uint64(now.Unix()), Samples: 1}
	for _, name := range sortedKeys(m.figures) {
		f := m.figures[name]
		if f.stats == nil || now.Sub(f.at) > masterBeat {
			continue // it did not answer this time
		}
		n := &meshpb.NodePoint{
			Name: name, Samples: 1, Clients: float32(f.stats.GetClients()), Channels: float32(len(f.stats.GetChannels())),
		}
		packets, kilobits, deliveries := rates(f.stats.GetTotal())
		n.Packets, n.Kilobits, n.Deliveries = float32(packets), float32(kilobits), float32(deliveries)
		if load := f.host.GetLoad(); len(load) > 0 {
			n.Load = float32(load[0])
		}
		if mem := f.host.GetMemory(); mem.GetTotal() > 0 {
			n.Memory = float32(mem.GetUsed()) / float32(mem.GetTotal())
		}
		p.Nodes = append(p.Nodes, n)
	}
	for _, e := range m.edges() {
		if f := m.latency[e]; f != nil {
			p.Links = append(p.Links, &meshpb.LinkPoint{A: e.a, B: e.b, Ms: float32(f.ms), Samples: 1})
		}
	}
	return p
}

// rates are means of the last windowSpan seconds, a second.
func rates(t *relaypb.Traffic) (packets, kilobits, deliveries float64) {
	if len(t.GetPackets()) > windowAt {
		packets = float64(t.GetPackets()[windowAt]) / windowSpan
	}
	if len(t.GetKilobits()) > windowAt {
		kilobits = t.GetKilobits()[windowAt]
	}
	if len(t.GetDeliveries()) > windowAt {
		deliveries = float64(t.GetDeliveries()[windowAt]) / windowSpan
	}
	return packets, kilobits, deliveries
}

// mean joins two points of one span. Each node and link counts as often as it
// was sampled.
func mean(a, b *meshpb.Point) *meshpb.Point {
	return &meshpb.Point{
		At: a.GetAt(), Samples: a.GetSamples() + b.GetSamples(),
		Nodes: join(a.GetNodes(), b.GetNodes(), func(x, y *meshpb.NodePoint) int { return strings.Compare(x.GetName(), y.GetName()) }, meanNode),
		Links: join(a.GetLinks(), b.GetLinks(), func(x, y *meshpb.LinkPoint) int {
			return cmp.Or(strings.Compare(x.GetA(), y.GetA()), strings.Compare(x.GetB(), y.GetB()))
		}, meanLink),
	}
}

// join merges two sorted lists; both makes one of two that are alike.
func join[T any](a, b []T, compare func(x, y T) int, both func(x, y T) T) []T {
	out := make([]T, 0, max(len(a), len(b)))
	for len(a) > 0 && len(b) > 0 {
		switch c := compare(a[0], b[0]); {
		case c < 0:
			out, a = append(out, a[0]), a[1:]
		case c > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, both(a[0], b[0])), a[1:], b[1:]
		}
	}
	return slices.Concat(out, a, b)
}

func meanNode(x, y *meshpb.NodePoint) *meshpb.NodePoint {
	of := weighed(x.GetSamples(), y.GetSamples())
	return &meshpb.NodePoint{
		Name: x.GetName(), Samples: x.GetSamples() + y.GetSamples(),
		Clients: of(x.GetClients(), y.GetClients()), Channels: of(x.GetChannels(), y.GetChannels()),
		Packets: of(x.GetPackets(), y.GetPackets()), Kilobits: of(x.GetKilobits(), y.GetKilobits()),
		Deliveries: of(x.GetDeliveries(), y.GetDeliveries()), Load: of(x.GetLoad(), y.GetLoad()), Memory: of(x.GetMemory(), y.GetMemory()),
	}
}

func meanLink(x, y *meshpb.LinkPoint) *meshpb.LinkPoint {
	of := weighed(x.GetSamples(), y.GetSamples())
	return &meshpb.LinkPoint{A: x.GetA(), B: x.GetB(), Samples: x.GetSamples() + y.GetSamples(), Ms: of(x.GetMs(), y.GetMs())}
}

// weighed makes the mean of two means over n and k samples.
func weighed(n, k uint32) func(x, y float32) float32 {
	part := float32(k) / float32(max(1, uint64(n)+uint64(k)))
	return func(x, y float32) float32 { return x + (y-x)*part }
}
