package localshadow_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

// What a damaged database becomes: of the copy alone what the cloud was known to have
// stays; with rows that could be read a deletion that they tell of stands.
func TestKept(t *testing.T) {
	for _, c := range []struct {
		name    string
		damage  func(file string) error
		deleted bool
		known   string
	}{
		{"readable", func(file string) error {
			f, err := os.OpenFile(file, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt(make([]byte, 16), 0)
			return err
		}, true, ""},
		{"gone", os.Remove, false, `a 1 7 {"k":1} 0, `},
		{"not readable", func(file string) error { return os.WriteFile(file, make([]byte, 8192), 0o600) }, false, `a 1 7 {"k":1} 0, `},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "shadows.db")
			st := openStationAt(t, file)
			st.tell(updateTopic("a"), desired("k", 1))
			st.knows("a", 7, `{"k":1}`, 0)
			if err := st.DB.Copy(context.Background(), file+".copy"); err != nil {
				t.Fatal(err)
			}
			st.tell("$aws/things/a/shadow/delete", "")
			st.stop()
			if err := c.damage(file); err != nil {
				t.Fatal(err)
			}
			k, err := sqlite.OpenKept(sqlite.Options{File: file, Migrations: localshadow.Migrations()}, sqlite.Keep{
				Newer: localshadow.NewerColumn(), Mend: localshadow.Mend, MendCopy: localshadow.MendCopy,
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := k.Close(); err != nil {
				t.Fatal(err)
			}
			st = openStationAt(t, file)
			if d, err := st.Document(context.Background(), "a", ""); err != nil || d.Deleted != c.deleted || d.Version < 1_000_001 {
				t.Errorf("%+v, %v", d, err)
			}
			same(t, "what the cloud is known to have", st.known(), c.known)
		})
	}
}
