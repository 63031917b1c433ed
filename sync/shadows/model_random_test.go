package shadows_test

import (
	"encoding/json"
	"fmt"
)

// The random operations of a player.

// operate does one random operation on one side of a shadow.
func (p *player) operate(k key, side string) {
	x := p.tracks[k]
	w := write{}
	if p.rng.IntN(8) == 0 {
		p.note(k, "%s: delete", side)
		p.remove(side, k.thing, k.name)
	} else {
		document, update := p.update()
		p.note(k, "%s: %s", side, document)
		p.change(side, k.thing, k.name, document)
		if w.touched = touchedBy(update); update == nil {
			w.touched = map[string]bool{"desired": true, "reported": true}
		}
	}
	if side == "local" {
		w.after, _ = p.localHas(k.thing, k.name)
		x.local = append(x.local, w)
	} else {
		w.after, _ = p.cloudHas(k.thing, k.name)
		x.cloud = append(x.cloud, w)
	}
}

// update makes the state of an update; nil is null.
func (p *player) update() (text string, update object) {
	if p.rng.IntN(25) == 0 {
		return "null", nil
	}
	update = object{}
	for _, section := range []string{"desired", "reported"} {
		switch p.rng.IntN(12) {
		case 0:
			update[section] = nil
		case 1, 2, 3, 4, 5, 6, 7:
			update[section] = p.members(3)
		}
	}
	b, err := json.Marshal(update)
	if err != nil {
		p.Fatal(err)
	}
	return string(b), update
}

func (p *player) members(depth int) object {
	o := object{}
	for _, name := range []string{"a", "b", "c", "d/e"} {
		if p.rng.IntN(3) == 0 {
			o[name] = p.value(depth - 1)
		}
	}
	return o
}

func (p *player) value(depth int) any {
	n := p.rng.IntN(14)
	switch {
	case n < 4 && depth > 0:
		return p.members(depth)
	case n < 4:
		return object{}
	case n < 7:
		return nil
	case n < 9:
		return [][]any{{}, {json.Number("1")}, {json.Number("1"), object{"b": "x"}}}[p.rng.IntN(3)]
	case n == 9:
		return json.Number([]string{"1.0", "1e2", "-0", "9007199254740993"}[p.rng.IntN(4)])
	case n == 10:
		return []any{true, "", "text\u2028é"}[p.rng.IntN(3)]
	}
	return json.Number(fmt.Sprint(p.rng.IntN(3)))
}

func (p *player) side() string { return []string{"local", "cloud"}[p.rng.IntN(2)] }
