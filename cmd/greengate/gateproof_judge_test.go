package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// proofProbe is one message that is tried, by whatever door.
type proofProbe struct {
	id          int
	door        string // mqtt, will, rest, rest-shadow, function, function-shadow, cloud, gpio
	from, topic string
	qos         byte
	retain      bool
	payload     []byte
	selfMaybe   bool   // a will at a take-over: its client may be there again or not
	void        bool   // it never took place: it was throttled
	late        bool   // it was sent when the reload had returned
	lingered    bool   // it was sent before, and enqueued then
	packet      uint16 // id of a publish of MQTT
	answer      string // 403: refused
}

func (p *proofProbe) String() string {
	return fmt.Sprintf("probe %d: %s on %q by %s, QoS %d, retain %v, payload %q, answer %q", p.id, p.from, p.topic, p.door, p.qos, p.retain, p.payload, p.answer)
}

// direct tells whether the request goes to the shadow service and nowhere else.
func (p *proofProbe) direct() bool { return strings.HasSuffix(p.door, "-shadow") }

// proofKey is one thing that somebody has got: the message of a probe, or an answer to it.
type proofKey struct {
	id    int
	to    string
	topic string
}

// proofOutcome is what may become of a probe.
type proofOutcome struct {
	least, most map[proofKey]int
	owed        map[proofKey]proofDebt // to those who are away, the cloud, and a function that is slow
}

// proofDebt is a message that waits for an end that is away, or slow.
type proofDebt struct {
	source string
	must   bool
}

// proofEmission is a message that a probe brings about.
type proofEmission struct {
	source, topic string
	qos           byte
}

// outcomes are all that may become of a probe when each of the tables may have judged it;
// the last is that of now.
func (p *proof) outcomes(probe *proofProbe, tables []*proofTable) []proofOutcome {
	var first []proofEmission
	if !probe.direct() {
		first = append(first, proofEmission{probe.from, probe.topic, probe.qos})
	}
	if probe.void {
		return []proofOutcome{p.outcome(probe, nil, tables)}
	}
	yes, no := p.asked(probe, tables)
	var all []proofOutcome
	if no {
		all = append(all, p.outcome(probe, first, tables))
	}
	if yes {
		for _, answers := range p.answers(probe, tables) {
			all = append(all, p.outcome(probe, append(slices.Clip(first), answers...), tables))
		}
	}
	return all
}

// asked tells whether the shadow service may have been asked, and whether it may not. It
// takes no wills.
func (p *proof) asked(probe *proofProbe, tables []*proofTable) (yes, no bool) {
	_, _, request := proofRequest(probe.topic)
	request = request && probe.door != "will"
	for _, t := range tables {
		if request && t.allows(probe.from, probe.topic, proofShadow) {
			yes = true
		} else {
			no = true
		}
	}
	return yes, no
}

// answers are what the shadow service may say to a request.
func (p *proof) answers(probe *proofProbe, tables []*proofTable) (all [][]proofEmission) {
	thing, op, _ := proofRequest(probe.topic)
	says := func(tails ...string) {
		var set []proofEmission
		for _, tail := range tails {
			set = append(set, proofEmission{proofShadow, probe.topic + "/" + tail, 1})
		}
		all = append(all, set)
	}
	none := slices.ContainsFunc(tables, func(t *proofTable) bool { return t.shadowless(thing) })
	some := slices.ContainsFunc(tables, func(t *proofTable) bool { return !t.shadowless(thing) })
	if probe.direct() && (op != "update" || none) {
		says() // of the API neither the answers to a get nor rejections are published
	}
	if !probe.direct() && (op != "update" || none) {
		says("rejected")
	}
	if some && op == "update" {
		says("accepted", "delta", "documents")
	}
	if some && (op == "delete" || op == "get" && !probe.direct()) {
		says("accepted")
	}
	return all
}

// outcome finds who gets the messages.
func (p *proof) outcome(probe *proofProbe, messages []proofEmission, tables []*proofTable) proofOutcome {
	o := proofOutcome{map[proofKey]int{}, map[proofKey]int{}, map[proofKey]proofDebt{}}
	now := tables[len(tables)-1]
	for _, m := range messages {
		grants := func(allows func(t *proofTable) bool) (any, all bool) {
			all = true
			for _, t := range tables {
				ok := allows(t)
				any, all = any || ok, all && ok
			}
			if probe.lingered {
				any = any && allows(now)
			}
			return any, all
		}
		for _, c := range p.clients {
			qos, wants := c.wants(m.source, m.topic)
			any, all := grants(func(t *proofTable) bool { return t.allows(m.source, m.topic, c.end()) })
			k := proofKey{probe.id, c.end(), m.topic}
			switch {
			case !wants || !any:
			case c.proofConn != nil:
				o.most[k]++
				if all && !(probe.selfMaybe && probe.from == c.end()) {
					o.least[k]++
				}
			case c.persists && min(qos, m.qos) > 0 && now.allows(m.source, m.topic, c.end()):
				o.owed[k] = proofDebt{m.source, all}
			}
		}
		for _, to := range proofServices {
			k := proofKey{probe.id, to, m.topic}
			any, all := grants(func(t *proofTable) bool { return t.allows(m.source, m.topic, to) })
			if strings.HasPrefix(to, "function:") {
				any, all = grants(func(t *proofTable) bool { return t.calls(m.source, m.topic, to) })
			} else if to != proofCloud {
				continue
			}
			if p.away(to) {
				if any && now.allows(m.source, m.topic, to) {
					o.owed[k] = proofDebt{m.source, all}
				}
				continue
			}
			if any {
				o.most[k]++
			}
			if all {
				o.least[k]++
			}
		}
	}
	return o
}

// check compares what came with what should have, since the last check. back are ends
// that were away and have what was owed to them.
func (p *proof) check(probes []*proofProbe, tables []*proofTable, back ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := map[int]map[proofKey]int{}
	for k, n := range p.seen {
		if of[k.id] == nil {
			of[k.id] = map[proofKey]int{}
		}
		of[k.id][k] = n
	}
	clear(p.seen)
	for _, probe := range probes {
		p.judge(probe, of[probe.id], probe.judges(tables))
		delete(of, probe.id)
	}
	for _, keys := range of {
		for k, n := range keys {
			if _, ok := p.owed[k]; !ok || n != 1 {
				p.fault("LEAK", p.probes[k.id], fmt.Sprintf("%s has it %d times on %q, when nobody should get it any more", k.to, n, k.topic))
			}
			p.got++
			delete(p.owed, k)
		}
	}
	for id := range p.out {
		if !p.going[id] {
			p.fault("LEAK", p.probes[id], "the will was withdrawn, and went out")
		}
	}
	for _, end := range back {
		for k, debt := range p.owed {
			if k.to != end {
				continue
			}
			if debt.must {
				p.fault("MISSING", p.probes[k.id], fmt.Sprintf("%s was away and has not got %q since it is back", k.to, k.topic))
			}
			delete(p.owed, k)
		}
	}
}

// judges are the tables that may have judged the probe: what is sent when a reload has
// returned is judged by the new table.
func (p *proofProbe) judges(tables []*proofTable) []*proofTable {
	if p.late {
		return tables[len(tables)-1:]
	}
	return tables
}

// judge compares what came of a probe with what should have.
func (p *proof) judge(probe *proofProbe, seen map[proofKey]int, tables []*proofTable) {
	var why []string
	var debts []map[proofKey]proofDebt
	for _, n := range seen {
		p.got += n
	}
	for _, o := range p.outcomes(probe, tables) {
		if wrong := o.wrong(seen); wrong != "" {
			why = append(why, wrong)
			continue
		}
		debts = append(debts, o.owed)
	}
	if len(debts) == 0 {
		kind := "MISSING"
		if slices.ContainsFunc(why, func(s string) bool { return strings.Contains(s, "too much") }) {
			kind = "LEAK"
		}
		p.fault(kind, probe, strings.Join(why, "\n  or "))
		return
	}
	// What is in one outcome and not in another may come or not.
	for _, all := range debts {
		for k, debt := range all {
			for _, other := range debts {
				if d, ok := other[k]; !ok || !d.must {
					debt.must = false
				}
			}
			p.owed[k] = debt
		}
	}
}

// wrong tells what does not fit the outcome; "": all does.
func (o proofOutcome) wrong(seen map[proofKey]int) string {
	var wrong []string
	for k, n := range seen {
		if n > o.most[k] {
			wrong = append(wrong, fmt.Sprintf("%s has %d on %q, too much: may have %d", k.to, n, k.topic, o.most[k]))
		}
	}
	for k, n := range o.least {
		if seen[k] < n {
			wrong = append(wrong, fmt.Sprintf("%s has %d on %q: must have %d", k.to, seen[k], k.topic, n))
		}
	}
	slices.Sort(wrong)
	return strings.Join(wrong, "; ")
}

var proofTokens = regexp.MustCompile(`(?m)p(\d+)q|^\d{1,3}\.(\d{9})$`)

// proofToken finds which probe a payload belongs to; 0: none.
func proofToken(payload []byte) int {
	m := proofTokens.FindSubmatch(payload)
	if m == nil {
		return 0
	}
	id, _ := strconv.Atoi(string(append(m[1], m[2]...)))
	return id
}
