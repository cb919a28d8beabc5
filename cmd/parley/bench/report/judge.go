package report

import "fmt"

// Judge says what a run has found that must not be.
func (r *Report) Judge() []string {
	var bad []string
	for i := range r.Runs {
		x := &r.Runs[i]
		where := fmt.Sprintf("round %d, %s", x.Round, label(x.Target, x.Phase))
		for _, v := range x.violations(r.Options.Scenario) {
			bad = append(bad, where+": "+v)
		}
	}
	return bad
}

func (x *Run) violations(scenario string) []string {
	var bad []string
	count := func(n uint64, what string) {
		if n > 0 {
			bad = append(bad, fmt.Sprintf("%d %s", n, what))
		}
	}
	f := x.Faults
	if f.Stalled {
		bad = append(bad, "given up, nothing came any more")
	}
	if f.Lost != 0 {
		bad = append(bad, fmt.Sprintf("%d deliveries lost", f.Lost))
	}
	count(f.Reordered, "deliveries out of order")
	count(f.Duplicates, "deliveries made twice")
	count(f.Misrouted, "deliveries to who had not subscribed")
	count(f.Echoes, "messages sent back to their publisher")
	count(f.Stray, "frames that the wire does not know")
	if x.Broken != "" {
		bad = append(bad, "broken frame: "+x.Broken)
	}
	if scenario != ScenarioFlood {
		for _, who := range []string{"publisher", "subscriber"} {
			for code, n := range x.Closes[who] {
				bad = append(bad, fmt.Sprintf("%d %s connections closed by the server with %d", n, who, code))
			}
		}
		for reason, n := range x.Responses {
			if reason != "ok" {
				count(n, fmt.Sprintf("commands refused: %q", reason))
			}
		}
	}
	if x.Idle != nil {
		count(uint64(x.Idle.Missing), "clients got no answer")
	}
	if x.Storm != nil {
		count(x.Storm.Answers["ok"], "wrong passwords accepted")
	}
	return bad
}
