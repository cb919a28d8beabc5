package testkit

import (
	"testing/synctest"
	"time"
)

// pace is how a test lets things happen: by itself in the bubble, or by the
// steps of a driver.
type pace struct{ driver *Driver } // nil: by itself

// settle lets everything happen that needs no time.
func (p pace) settle() {
	if p.driver != nil {
		p.driver.Settle()
	}
	synctest.Wait()
}

// pass lets fake time pass.
func (p pace) pass(d time.Duration) {
	if p.driver != nil {
		p.driver.Run(d)
	} else {
		time.Sleep(d)
	}
	p.settle()
}

// do runs f, which may wait for actors.
func (p pace) do(f func()) {
	if p.driver != nil {
		p.driver.Do(f)
	} else {
		f()
	}
}

// until lets time pass until done reports true, and reports whether it did.
func (p pace) until(most time.Duration, done func() bool) bool {
	if p.driver != nil {
		return p.driver.RunUntil(most, done)
	}
	end := time.Now().Add(most)
	for p.settle(); !done(); p.settle() {
		if !time.Now().Before(end) {
			return false
		}
		time.Sleep(patience)
	}
	return true
}
