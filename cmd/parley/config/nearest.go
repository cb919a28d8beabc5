package config

import "strings"

// nearest gives the option that a person most likely meant by name: another
// word for it, or the fewest slips of the keyboard away (at most a third of
// the name, at least 1); "" when nothing is near.
func (t *table) nearest(name string) string {
	name = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), "_", "-")
	best, limit := "", max(1, len(name)/3)
	for i := range t.options {
		o := &t.options[i]
		for _, word := range append([]string{o.Name}, o.also...) {
			// Length alone decides most pairs, and bounds the work on absurd names.
			if d := len(word) - len(name); d > limit || -d > limit {
				continue
			}
			if d := slips(name, word); d <= limit {
				best, limit = o.Name, d-1
			}
		}
	}
	return best
}

// slips counts the letters left out, added, changed or swapped with their
// neighbour between a and b.
func slips(a, b string) int {
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			changed := last[j-1]
			if a[i-1] != b[j-1] {
				changed++
			}
			row[j] = min(changed, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// didYouMean gives advice for an unknown name.
func (t *table) didYouMean(name string) string {
	if near := t.nearest(name); near != "" {
		return "did you mean " + quote(near) + "?"
	}
	return `"parley config explain" lists all names`
}
