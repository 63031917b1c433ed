package sqlite

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The names beside FILE: FILE.copy is the second copy, FILE.restored is a restored
// database that is about to take the place of FILE, FILE.damaged-TIME (with -wal and
// -shm) is what was set aside, and FILE.damaged-TIME.json the note about it.
func copyOf(file string) string     { return file + ".copy" }
func restoredOf(file string) string { return file + ".restored" }

const (
	damagedMark = ".damaged-"
	noteMark    = ".json"
	keptDamaged = 3 // files set aside, the newest
)

// companions are the endings of the files that make a database.
var companions = []string{"", "-wal", "-shm"}

// Recovery says what a start did about a damaged database.
type Recovery struct {
	At       time.Time // by the clock of the machine
	File     string    // the database
	Damage   string    // what was wrong
	SetAside string    // the damaged file now; the note stands beside it
	// Copy is when the copy that was restored was made; zero: there is none.
	Copy      time.Time
	CopyFault string `json:",omitempty"` // why an existing copy was no good
	Salvaged  int64  // rows of the damaged file that were taken over
	Gaps      bool   // parts of it could not be read
}

// Empty reports whether nothing was left.
func (r *Recovery) Empty() bool { return r.Copy.IsZero() && r.Salvaged == 0 }

// Text says what happened.
func (r *Recovery) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s was damaged (%s)", filepath.Base(r.File), r.Damage)
	copyTime := r.Copy.UTC().Format(time.RFC3339)
	switch {
	case r.Empty():
		b.WriteString(" and begins EMPTY: nothing of it could be read, and there is no sound copy")
	case r.Copy.IsZero():
		fmt.Fprintf(&b, "; %d rows were read from the damaged file, there is no sound copy", r.Salvaged)
	case r.Salvaged == 0:
		fmt.Fprintf(&b, "; it was restored from the copy of %s, and what changed since is lost", copyTime)
	default:
		fmt.Fprintf(&b, "; it was restored from the copy of %s and %d rows that could be read", copyTime, r.Salvaged)
	}
	if r.CopyFault != "" {
		fmt.Fprintf(&b, " (the copy: %s)", r.CopyFault)
	}
	if r.Gaps && r.Salvaged > 0 {
		b.WriteString("; parts of the file could not be read")
	}
	return b.String()
}

// NextStep says what a person does about it.
func (r *Recovery) NextStep() string {
	return fmt.Sprintf("see whether anything is missing, and whether the disk is failing; then delete %s*, which ends this fault", r.SetAside)
}

func (r *Recovery) note() string { return r.SetAside + noteMark }

// newRecovery chooses the name under which the file is set aside.
func newRecovery(file string, damage error) *Recovery {
	now := time.Now()
	name := file + damagedMark + now.UTC().Format("20060102T150405Z")
	for n := 2; exists(name) || exists(name+noteMark); n++ { // the clock may stand
		name = fmt.Sprintf("%s%s%s-%d", file, damagedMark, now.UTC().Format("20060102T150405Z"), n)
	}
	return &Recovery{At: now, File: file, Damage: plainText(file, damage), SetAside: name}
}

// plainText is the text of an error without the words that the reader has already.
func plainText(file string, err error) string {
	text := strings.TrimPrefix(err.Error(), "open the database "+file+": ")
	text = strings.TrimPrefix(text, ErrCorrupt.Error()+": ")
	text = strings.TrimPrefix(text, "*** in database main ***\n") // of SQLite's check
	return strings.ReplaceAll(text, "\n", ", ")
}

// lost returns ErrCorrupt if the file is gone although there was one.
func lost(file string) error {
	if exists(file) {
		return nil
	}
	if exists(copyOf(file)) {
		return fmt.Errorf("%w: the file is gone, but its copy is there", ErrCorrupt)
	}
	if aside, err := filepath.Glob(escapeGlob(file) + damagedMark + "*"); err == nil && len(aside) > 0 {
		return fmt.Errorf("%w: the file is gone, but one was set aside", ErrCorrupt)
	}
	return nil
}

// isDamage reports whether err of Open is one that restoring can heal: damage, or a
// file that the disk cannot read any more.
func isDamage(file string, err error) bool {
	return errors.Is(err, ErrCorrupt) || (errors.Is(err, ErrIO) || errors.Is(err, syscall.EIO)) && unreadable(file)
}

// unreadable reports whether the disk fails to read the file.
func unreadable(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return errors.Is(err, syscall.EIO)
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, struct{ io.Reader }{f})
	return errors.Is(err, syscall.EIO)
}

// restore makes a sound database of what there is, and sets the damaged one aside. At
// every instant, and after a power cut, the next start finds either the damaged file
// or what finish needs.
func restore(o Options, keep Keep, damage error) (*Recovery, error) {
	steps, err := readMigrations(o.Migrations)
	if err != nil {
		return nil, err
	}
	release, err := claim(o.File)
	if err != nil {
		return nil, err
	}
	defer release()
	r := newRecovery(o.File, damage)
	b := builder{r: r, keep: keep, steps: steps, pageSize: o.withDefaults().PageSize}
	if err := b.build(restoredOf(o.File)); err != nil {
		return nil, fmt.Errorf("restore the database %s (%s): %w", o.File, r.Damage, err)
	}
	if err := r.write(); err != nil {
		return nil, fmt.Errorf("note that the database %s was damaged: %w", o.File, err)
	}
	if err := r.swap(); err != nil {
		return nil, fmt.Errorf("set the damaged database %s aside: %w", o.File, err)
	}
	prune(o.File)
	return r, nil
}

// finish completes a restore that was cut short after the damaged file was set aside.
// One that was cut short before begins anew.
func finish(file string) (*Recovery, error) {
	if !exists(restoredOf(file)) {
		return nil, nil
	}
	all := notes(file)
	if exists(file) || len(all) == 0 {
		return nil, os.Remove(restoredOf(file))
	}
	r := &all[len(all)-1]
	return r, r.swap()
}

// swap sets the damaged file aside and puts the restored one in its place. The file
// goes first: without it, what is left is known to be unfinished.
func (r *Recovery) swap() error {
	for _, end := range companions {
		if err := os.Rename(r.File+end, r.SetAside+end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Rename(restoredOf(r.File), r.File); err != nil {
		return err
	}
	return fsync(filepath.Dir(r.File))
}

// write writes the note, durably.
func (r *Recovery) write() error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	temp := r.File + ".note.new"
	if err := os.WriteFile(temp, append(text, '\n'), 0o600); err != nil {
		return err
	}
	if err := fsync(temp); err != nil {
		return err
	}
	if err := os.Rename(temp, r.note()); err != nil {
		return err
	}
	return fsync(filepath.Dir(r.File))
}

// notes reads what is known of former recoveries, the oldest first. A note that cannot
// be read is left out: it is not worth a start.
func notes(file string) (all []Recovery) {
	names, _ := filepath.Glob(escapeGlob(file) + damagedMark + "*" + noteMark) // the pattern is sound
	for _, name := range names {
		text, err := os.ReadFile(name)
		var r Recovery
		if err != nil || json.Unmarshal(text, &r) != nil {
			continue
		}
		// The folder may have been moved since.
		r.File, r.SetAside = file, strings.TrimSuffix(name, noteMark)
		all = append(all, r)
	}
	slices.SortStableFunc(all, func(a, b Recovery) int { return a.At.Compare(b.At) })
	return all
}

// prune deletes all but the newest of what was set aside. An error leaves more than
// there need be, and the next time tries again.
func prune(file string) {
	all := notes(file)
	for _, r := range all[:max(0, len(all)-keptDamaged)] {
		for _, end := range append([]string{noteMark}, companions...) {
			_ = os.Remove(r.SetAside + end)
		}
	}
}

var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

func escapeGlob(s string) string { return globEscaper.Replace(s) }
