package localshadow

import (
	"context"
	"encoding/base64"

	"greengate/core/sqlite"
)

// Update applies an update request and returns the accepted document, when it is
// on disk and was published. The error is a *Rejection, ErrStopped, or that of
// ctx: then it is not known whether the update took place.
func (s *Service) Update(ctx context.Context, thing, name string, payload []byte, from Source) ([]byte, error) {
	return s.wait(ctx, thing, name, OpUpdate, payload, from)
}

// Delete deletes a shadow. It is otherwise as Update.
func (s *Service) Delete(ctx context.Context, thing, name string, payload []byte, from Source) ([]byte, error) {
	return s.wait(ctx, thing, name, OpDelete, payload, from)
}

func (s *Service) wait(ctx context.Context, thing, name string, op Op, payload []byte, from Source) ([]byte, error) {
	type result struct {
		accepted []byte
		err      error
	}
	c := make(chan result, 1)
	s.Handle(thing, name, op, payload, from, func(accepted []byte, err error) { c <- result{accepted, err} })
	select {
	case r := <-c:
		return r.accepted, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Get returns a whole document as it is on disk, in the form of the service. The
// error is a *Rejection or that of the database.
func (s *Service) Get(ctx context.Context, thing, name string, payload []byte) ([]byte, error) {
	d, err := s.Document(ctx, thing, name)
	if err != nil {
		return nil, err
	}
	return Get(d, string(payload), Subject(thing, name), s.o.Now(), s.o.Limits)
}

// Document returns a document as it is on disk. One that is not there is no
// error: it does not exist. The error is a *Rejection for names that no shadow
// has, and for a thing that has none here, or that of the database.
func (s *Service) Document(ctx context.Context, thing, name string) (d Document, err error) {
	if err := s.checkServed(thing, name); err != nil {
		return d, err
	}
	err = s.o.DB.View(ctx, func(tx *sqlite.Tx) (err error) {
		d, err = Load(tx, thing, name)
		return err
	})
	return d, err
}

func (s *Service) checkServed(thing, name string) error {
	if r := checkNames(thing, name); r != nil {
		return r
	}
	if !s.o.Known(thing) {
		return reject(404, msgThing)
	}
	return nil
}

// Names is one page of the named shadows of a thing (AWS: IoT data plane API,
// ListNamedShadowsForThing).
type Names struct {
	Results   []string `json:"results"`             // sorted, never nil
	NextToken string   `json:"nextToken,omitempty"` // of the next page
	Timestamp int64    `json:"timestamp"`           // now, in Unix seconds
}

// Page sizes of ListNamed (AWS: IoT data plane API; the default is Greengrass's).
const (
	maxPage     = 100
	defaultPage = 25
)

// ListNamed returns a page of the names of a thing's named shadows. size is 1 to
// 100, or 0 for 25; token is that of the page before, or "". A thing without
// shadows is no error. The error is a *Rejection or that of the database.
func (s *Service) ListNamed(ctx context.Context, thing string, size int, token string) (Names, error) {
	page := Names{Results: []string{}, Timestamp: s.o.Now().Unix()}
	if err := s.checkServed(thing, ""); err != nil {
		return page, err
	}
	after, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || size < 0 || size > maxPage {
		return page, reject(400, msgPage)
	}
	if size == 0 {
		size = defaultPage
	}
	err = s.o.DB.View(ctx, func(tx *sqlite.Tx) error {
		rows, err := tx.Query(sqlNames, thing, string(after), size+1)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			page.Results = append(page.Results, name)
		}
		return rows.Err()
	})
	if len(page.Results) > size {
		page.Results = page.Results[:size]
		page.NextToken = base64.RawURLEncoding.EncodeToString([]byte(page.Results[size-1]))
	}
	return page, err
}

// Info is one shadow in a list.
type Info struct {
	Thing   string `json:"thing"`
	Name    string `json:"name"` // "" for the classic shadow
	Version int64  `json:"version"`
	Updated int64  `json:"updated"` // Unix seconds
	Bytes   int    `json:"bytes"`   // of desired and reported
	Delta   bool   `json:"delta"`   // desired and reported differ
}

// listPage is how many rows List reads at a time: a long read would keep the WAL.
const listPage = 256

// List yields the shadows of a thing, or of all things when thing is "", in the
// order of their names. It shows what is in the store, also of things that are
// not served. The error is that of the database.
func (s *Service) List(ctx context.Context, thing string, yield func(Info) bool) error {
	query, args := sqlAll, []any{"", "", listPage}
	if thing != "" {
		query, args = sqlOne, []any{thing} // there are not many: Bounds.PerThing
	}
	for {
		list, err := s.infos(ctx, query, args)
		if err != nil {
			return err
		}
		for _, i := range list {
			if !yield(i) {
				return nil
			}
		}
		if thing != "" || len(list) < listPage {
			return nil
		}
		last := list[len(list)-1]
		args = []any{last.Thing, last.Name, listPage}
	}
}

func (s *Service) infos(ctx context.Context, query string, args []any) (list []Info, err error) {
	err = s.o.DB.View(ctx, func(tx *sqlite.Tx) error {
		rows, err := tx.Query(query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var i Info
			var d Document
			var times []byte
			if err := rows.Scan(&i.Thing, &i.Name, &i.Version, &i.Updated, &d.Desired, &d.Reported, &times); err != nil {
				return err
			}
			d.times, i.Bytes = string(times), d.Size()
			if i.Delta, err = d.HasDelta(); err != nil {
				s.damaged(i.Thing, i.Name, err)
			}
			list = append(list, i)
		}
		return rows.Err()
	})
	return list, err
}
