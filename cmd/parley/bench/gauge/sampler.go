package gauge

import (
	"sync"
	"time"
)

// Sample is a process's memory at one moment.
type Sample struct {
	At       float64 `json:"at_s"` // seconds since the sampler started
	Resident int64   `json:"rss_kib"`
}

// Sampler reads a server's memory at a fixed interval, in a goroutine of its own.
type Sampler struct {
	stop func()
	done sync.WaitGroup

	// owned by the goroutine until it is done
	samples []Sample
	err     error
}

// StartSampler begins at once. Nil when there are no processes to look at.
func StartSampler(p Processes, every time.Duration) *Sampler {
	if len(p) == 0 {
		return nil
	}
	quit := make(chan struct{})
	s := &Sampler{stop: sync.OnceFunc(func() { close(quit) })}
	s.done.Go(func() {
		t := time.NewTicker(every)
		defer t.Stop()
		begin := time.Now()
		for s.take(p, begin) {
			select {
			case <-t.C:
			case <-quit:
				s.take(p, begin)
				return
			}
		}
	})
	return s
}

func (s *Sampler) take(p Processes, begin time.Time) bool {
	m, err := p.Memory()
	if err != nil {
		s.err = err
		return false
	}
	s.samples = append(s.samples, Sample{At: time.Since(begin).Seconds(), Resident: m.Resident})
	return true
}

// Stop ends the sampling and returns what was seen, in order of time. It may be called on nil, and again.
func (s *Sampler) Stop() ([]Sample, error) {
	if s == nil {
		return nil, nil
	}
	s.stop()
	s.done.Wait()
	return s.samples, s.err
}
