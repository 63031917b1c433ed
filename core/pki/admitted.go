package pki

// Admitted is a certificate of the group CA on record, whose holder is a thing.
type Admitted struct {
	Thing       string
	Fingerprint string // SHA-256, 64 hex digits
}

// Admitted lists the certificates of the group CA that count now, in no order. Those from
// elsewhere stand in the group file.
func (i *Identities) Admitted() []Admitted {
	issued := i.now.Load().issued
	list := make([]Admitted, 0, len(issued))
	for f, k := range issued {
		list = append(list, Admitted{k.thing, f.String()})
	}
	return list
}
