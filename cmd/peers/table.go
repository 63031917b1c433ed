package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// results are the samples of all runs, by the name of the scenario and the kind of
// the server.
type results map[string]map[kind][]sample

func (r results) add(scenario string, k kind, s sample) {
	if r[scenario] == nil {
		r[scenario] = make(map[kind][]sample)
	}
	r[scenario][k] = append(r[scenario][k], s)
}

func (s sample) String() string {
	var all []string
	for _, figure := range slices.Sorted(maps.Keys(s)) {
		all = append(all, figure+" "+number(s[figure]))
	}
	return strings.Join(all, ", ")
}

// spread is the least, the middle and the greatest figure of some runs.
type spread struct{ least, median, most float64 }

// of is the spread of a figure; false: no run has it.
func (r results) of(scenario string, k kind, figure string) (spread, bool) {
	var all []float64
	for _, s := range r[scenario][k] {
		if v, ok := s[figure]; ok {
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return spread{}, false
	}
	slices.Sort(all)
	middle := all[len(all)/2]
	if len(all)%2 == 0 {
		middle = (all[len(all)/2-1] + middle) / 2
	}
	return spread{all[0], middle, all[len(all)-1]}, true
}

// judge holds a figure of greengate against a goal. ok is false when it, or what
// it is compared with, was not measured.
func (r results) judge(scenario, figure string, g goal) (met, ok bool) {
	ours, ok := r.of(scenario, greengate, figure)
	if !ok {
		return false, false
	}
	v := ours.median
	if g.than != "" {
		theirs, ok := r.of(scenario, g.than, figure)
		if !ok {
			return false, false
		}
		v /= theirs.median
	}
	return v == g.limit || v < g.limit != g.least, true
}

// verdict is one of: yes, NO, and what was not measured.
func (r results) verdict(scenario, figure string, goals []goal) string {
	verdict := ""
	for _, g := range goals {
		switch met, ok := r.judge(scenario, figure, g); {
		case !ok:
			return "not measured"
		case !met:
			verdict = "NO"
		case verdict == "":
			verdict = "yes"
		}
	}
	return verdict
}

// writeTable writes the table in Markdown, and returns how many goals were missed.
func (r results) writeTable(w io.Writer, all []scenario) (missed int, err error) {
	var b strings.Builder
	b.WriteString("| | greengate | mosquitto | mochi | TLS relay | of mosquitto | of mochi | goal | met |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, s := range all {
		if r[s.name] == nil {
			continue
		}
		fmt.Fprintf(&b, "| **%s %s** | | | | | | | | |\n", s.letter, s.name)
		for _, row := range s.rows {
			verdict := r.verdict(s.name, row.figure, row.goals)
			if verdict == "NO" {
				missed++
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", row.what,
				r.cell(s.name, greengate, row.figure), r.cell(s.name, mosquitto, row.figure), r.cell(s.name, mochi, row.figure), r.cell(s.name, relay, row.figure),
				r.ratio(s.name, mosquitto, row.figure), r.ratio(s.name, mochi, row.figure), words(row.goals), verdict)
		}
	}
	if verdict := r.writeWrong(&b); verdict == "NO" {
		missed++
	}
	_, err = io.WriteString(w, b.String())
	return missed, err
}

// writeWrong writes what went wrong with messages, over all loads and runs.
func (r results) writeWrong(b *strings.Builder) (verdict string) {
	sum := make(map[kind]float64)
	for _, name := range slices.Sorted(maps.Keys(r)) {
		for k, samples := range r[name] {
			for _, s := range samples {
				if v, ok := s[wrong]; ok {
					sum[k] += v
				}
			}
		}
	}
	if len(sum) == 0 {
		return ""
	}
	cell := func(k kind) string {
		if v, ok := sum[k]; ok {
			return number(v)
		}
		return "-"
	}
	switch v, ok := sum[greengate]; {
	case !ok:
		verdict = "not measured"
	case v > 0:
		verdict = "NO"
	default:
		verdict = "yes"
	}
	fmt.Fprintf(b, "| **all loads and runs**: messages lost, duplicated, out of order, unacknowledged | %s | %s | %s | %s | | | 0 | %s |\n",
		cell(greengate), cell(mosquitto), cell(mochi), cell(relay), verdict)
	return verdict
}

func (r results) cell(scenario string, k kind, figure string) string {
	v, ok := r.of(scenario, k, figure)
	switch {
	case !ok:
		return "-"
	case v.least == v.most:
		return number(v.median)
	}
	return fmt.Sprintf("%s (%s..%s)", number(v.median), number(v.least), number(v.most))
}

// ratio is that of greengate's median to the one of k.
func (r results) ratio(scenario string, k kind, figure string) string {
	ours, ok := r.of(scenario, greengate, figure)
	theirs, okTheirs := r.of(scenario, k, figure)
	if !ok || !okTheirs || theirs.median == 0 {
		return "-"
	}
	return number(ours.median / theirs.median)
}

// words tells goals in the words of the table.
func words(goals []goal) string {
	var all []string
	for _, g := range goals {
		word := "≤ "
		if g.least {
			word = "≥ "
		}
		word += strconv.FormatFloat(g.limit, 'g', -1, 64)
		if g.than != "" {
			word += " of " + string(g.than)
		}
		all = append(all, word)
	}
	return strings.Join(all, ", ")
}

// number writes v with three digits that count, and commas between thousands.
func number(v float64) string {
	if v == math.Trunc(v) || math.Abs(v) >= 100 {
		digits := fmt.Sprintf("%.0f", v)
		for i := len(digits) - 3; i > 0; i -= 3 {
			digits = digits[:i] + "," + digits[i:]
		}
		return digits
	}
	decimals := 3
	for a := math.Abs(v); a >= 1; a /= 10 {
		decimals--
	}
	return fmt.Sprintf("%.*f", decimals, v)
}
