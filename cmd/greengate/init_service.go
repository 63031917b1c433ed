package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
)

// service is the one that the Debian package brings: where its state is, and who
// runs it. Its site is /etc/greengate, and made by root.
type service struct {
	data     string // the data folder
	uid, gid int
}

// The names that the package gives to its user and its unit, and where it keeps
// the state (systemd/).
const (
	serviceUser = "greengate"
	serviceUnit = "greengate.service"
	serviceData = "/var/lib/greengate"
)

// findService looks for the user that the package has made.
func findService() (*service, error) {
	u, err := user.Lookup(serviceUser)
	if err != nil {
		return nil, badInput("init without a folder makes the site of the service, whose user %s is not here (install the package, or name a folder)", serviceUser)
	}
	uid, bad := strconv.Atoi(u.Uid)
	gid, err := strconv.Atoi(u.Gid)
	if err := errors.Join(bad, err); err != nil {
		return nil, fmt.Errorf("read the ids of %s: %w", serviceUser, err)
	}
	if os.Geteuid() != 0 {
		return nil, badInput("the site of the service is made by root (write: sudo greengate init)")
	}
	return &service{data: serviceData, uid: uid, gid: gid}, nil
}

// free tells that the service has no state yet. The folder itself is the package's.
func (v *service) free() error {
	entries, err := os.ReadDir(v.data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look into %s: %w", v.data, err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty, and init writes over nothing (greengate restore puts a site back; or move that folder away)", v.data)
	}
	return nil
}

// own gives what the daemon writes to its user. The group file stays root's, for the
// user to read: it may hold what is not for everybody, and the daemon never writes it.
func (v *service) own(s *newSite) error {
	for _, top := range []string{filepath.Join(s.dir, pkiDir), v.data} {
		err := filepath.WalkDir(top, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, v.uid, v.gid)
		})
		if err != nil {
			return fmt.Errorf("give the site to %s: %w", serviceUser, err)
		}
	}
	if err := os.Chown(filepath.Join(s.dir, groupFile), -1, v.gid); err != nil {
		return fmt.Errorf("give the site to %s: %w", serviceUser, err)
	}
	return nil
}

// start has systemd start the unit, and waits until devices can connect. Where
// systemd is not the one that runs the machine, as in a container, it does nothing.
func (v *service) start() (started bool, err error) {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return false, nil
	}
	if text, err := exec.Command("systemctl", "start", serviceUnit).CombinedOutput(); err != nil {
		return false, fmt.Errorf("the site is made, but the service does not start (journalctl -u greengate says why): %w: %s", err, text)
	}
	return true, nil
}

// tellService says what was made, and how to go on.
func (s *newSite) tellService(a *app, started bool) {
	how := "the service runs: devices can connect"
	if !started {
		how = "start the service: systemctl start greengate"
	}
	file := filepath.Join(s.dir, groupFile)
	fmt.Fprintf(a.stdout, `made the site %s: group %s, core %s
%s

next:
  sudo greengate device add MyThing --out MyThing
  sudo greengate status
  and write who may talk to whom under subscriptions in %s,
  then: sudo systemctl reload greengate
`, s.dir, s.group, s.core, how, file)
}
