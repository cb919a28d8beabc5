//go:build linux

package mesh

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Metrics of a node. Source: gateways/web/METRICS.md.
const (
	metricSent  = "parley_mesh_packets_out_total"
	metricLinks = "parley_mesh_links"
)

// sum adds a metric up over all nodes.
func (s *servers) sum(ctx context.Context, name string) (sum float64, err error) {
	for _, url := range s.metrics {
		v, err := read(ctx, url, name)
		if err != nil {
			return 0, err
		}
		sum += v
	}
	return sum, nil
}

// read gets one metric without labels.
func read(ctx context.Context, url, name string) (float64, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, fmt.Errorf("mesh: %w", err)
	}
	q.Close = true // a connection kept would have to be closed
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		return 0, fmt.Errorf("mesh: %w", err)
	}
	defer res.Body.Close()
	for l := bufio.NewScanner(res.Body); l.Scan(); {
		if text, ok := strings.CutPrefix(l.Text(), name+" "); ok {
			return strconv.ParseFloat(text, 64)
		}
	}
	return 0, fmt.Errorf("mesh: %s is without %s", url, name)
}
