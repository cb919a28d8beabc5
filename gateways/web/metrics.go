package web

import (
	"net/http"
	"net/http/pprof"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"parley/actors/tree"
)

const (
	// namespace begins every metric's name, but for those that have one of their own.
	namespace = "parley_"
	// rendezvous is that of the public rendezvous server, whose dashboards fit ours.
	rendezvous = "rendezvous_"
)

// exposed is the name under which operators find a counter.
func exposed(name string) string {
	if strings.HasPrefix(name, rendezvous) {
		return name
	}
	return namespace + name
}

// collector turns a system's counters into metrics when they are asked for.
type collector struct {
	metrics *tree.Metrics
	refused func() map[string]uint64
}

var refusedDesc = prometheus.NewDesc(namespace+"refused_total", "Connections and requests turned away at the door, by reason.", []string{"reason"}, nil)

// Describe implements prometheus.Collector. The counters are made as the
// program goes, so none is promised here.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	for _, n := range c.metrics.All() {
		kind := prometheus.CounterValue
		if n.Gauge {
			kind = prometheus.GaugeValue
		}
		var labels, values []string
		if n.Label != "" {
			labels, values = []string{n.Label}, []string{n.Value}
		}
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc(exposed(n.Name), n.Help, labels, nil), kind, float64(n.Load()), values...)
	}
	for reason, n := range c.refused() {
		out <- prometheus.MustNewConstMetric(refusedDesc, prometheus.CounterValue, float64(n), reason)
	}
}

// Operators serves /metrics and /debug/pprof/. It belongs on a loopback
// listener, and nowhere else. refused counts who was turned away, by reason.
func Operators(m *tree.Metrics, refused func() map[string]uint64) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collector{m, refused}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
