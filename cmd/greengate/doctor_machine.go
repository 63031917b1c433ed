package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"greengate/core/pki"
	"greengate/sync/telemetry"
)

// What a person does about a clock, and about a disk that is full.
const (
	clockNext = "see timedatectl; a Raspberry Pi has no clock without power: let it reach a time server, or add an RTC"
	makeRoom  = "make room: journalctl --vacuum-size=100M, apt clean"
)

// checkClock asks whether the time can be believed. The gateway itself needs no
// right clock; the cloud's certificates and the times in messages do.
func (d *doctor) checkClock() {
	if record, err := pki.OpenRecord(d.config.PKI.Dir, pki.Clock{}); err == nil {
		if now, floor, plausible := record.Time(); !plausible {
			d.wrong("clock", clockNext, "it says %s, and it is hardly so: the last time known to be true is %s",
				now.UTC().Format(time.RFC3339), floor.UTC().Format(time.RFC3339))
			return
		}
	}
	if !telemetry.KernelSync() {
		d.note("clock", clockNext, "no time server keeps it (it says %s)", time.Now().UTC().Format(time.RFC3339))
		return
	}
	d.well("clock", "kept by a time server")
}

// Bounds of a disk that is in danger.
const (
	leastFree  = 2 * diskReserve // the spool leaves one to others
	leastNodes = 1000
)

func (d *doctor) checkDisk() {
	dir := existing(d.config.Data)
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		d.wrong("disk", asRoot, "%s cannot be looked at: %v", dir, err)
		return
	}
	free := int64(st.Bavail) * int64(st.Bsize) // of another width on arm
	switch {
	case st.Flags&unix.ST_RDONLY != 0:
		d.wrong("disk", "dmesg tells why; a card that has become read-only is at its end: `greengate backup`, and change it", "the file system of %s is read-only", dir)
	case free < leastFree:
		d.wrong("disk", makeRoom, "%s are left on the file system of %s", size(free), dir)
	case st.Files > 0 && st.Ffree < leastNodes:
		d.wrong("disk", "remove small files", "there is room for %s on the file system of %s", counted(int64(st.Ffree), "more file"), dir)
	default:
		d.well("disk", "%s are left on the file system of %s", size(free), dir)
	}
}

// existing is dir or the nearest folder above it that is there.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// checkCard reads what the kernel knows of the wear of the disk that has the data.
func (d *doctor) checkCard() {
	device, err := d.blockDevice()
	if err != nil {
		return // a file system without a device of its own, as in a container
	}
	d.checkExt4(filepath.Base(device))
	// A partition lies in the folder of its disk.
	disk := device
	if _, err := os.Stat(filepath.Join(device, "partition")); err == nil {
		disk = filepath.Dir(device)
	}
	const next = "`greengate backup`, and change the card"
	life := strings.Fields(readText(filepath.Join(disk, "device/life_time")))
	worst := 0
	for _, l := range life {
		if n, err := strconv.ParseInt(l, 0, 32); err == nil {
			worst = max(worst, int(n))
		}
	}
	// 0x01 is 0 to 10 % of the life used, 0x0A 90 to 100 %, 0x0B more (JESD84-B51,
	// DEVICE_LIFE_TIME_EST); pre_eol_info 2 is 80 % of the spare blocks, 3 90 %.
	eol, _ := strconv.ParseInt(readText(filepath.Join(disk, "device/pre_eol_info")), 0, 32)
	name := filepath.Base(disk)
	switch {
	case worst >= 0x0B || eol >= 3:
		d.wrong("card", next, "%s is worn out (life %s, spare blocks %d of 3)", name, strings.Join(life, " "), eol)
	case worst >= 0x09 || eol == 2:
		d.note("card", next, "%s nears its end (%d %% of its life at least)", name, (worst-1)*10)
	case worst > 0:
		d.well("card", "%s: %d to %d %% of its life is used", name, (worst-1)*10, worst*10)
	case strings.HasPrefix(name, "mmcblk"):
		d.note("card", "", "%s does not say how worn it is, as most SD cards", name)
	}
}

// blockDevice is the folder in /sys of the device that has the data.
func (d *doctor) blockDevice() (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(existing(d.config.Data), &st); err != nil {
		return "", err
	}
	link := fmt.Sprintf("sys/dev/block/%d:%d", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)))
	return filepath.EvalSymlinks(filepath.Join(d.root, link))
}

func (d *doctor) checkExt4(name string) {
	dir := filepath.Join(d.root, "sys/fs/ext4", name)
	n, err := strconv.Atoi(readText(filepath.Join(dir, "errors_count")))
	switch {
	case err != nil: // another file system
	case n > 0:
		d.wrong("file system", "`greengate backup`, then fsck at the next start (fsck.mode=force on the kernel's command line), and look at the card",
			"ext4 on %s has had %s", name, counted(int64(n), "error"))
	default:
		d.well("file system", "ext4 on %s has had no errors", name)
	}
}

// readText is the text of a small file without its last newline; "" if it cannot be read.
func readText(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// checkRights asks whether the daemon can write what it has to, and nobody else read
// its keys.
func (d *doctor) checkRights() {
	before := len(d.Findings)
	for _, dir := range []string{d.config.Data, d.config.PKI.Dir} {
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist) && dir == d.config.Data:
			d.note("rights", "", "the data folder %s is not there yet; the daemon makes it", dir)
		case errors.Is(err, fs.ErrNotExist): // the certificates tell
		case err != nil:
			d.wrong("rights", asRoot, "%v", err)
		case !info.IsDir():
			d.wrong("rights", "move it away: the daemon makes a data folder, and a backup has what was in it and in pki (`greengate restore`)", "%s is no folder", dir)
		case unix.Access(dir, unix.W_OK) != nil && os.Geteuid() != 0:
			d.note("rights", "run doctor as root or as the user of the daemon", "%s is not for this user to write, who may not be that of the daemon", dir)
		}
	}
	for _, text := range looseKeys(d.config) {
		d.wrong("rights", tightenKeys(d.config), "%s", text)
	}
	for _, k := range looseSpoolKeys(d.config) {
		d.wrong("rights", k.next, "%s", k.problem)
	}
	data, err1 := owner(d.config.Data)
	keys, err2 := owner(d.config.PKI.Dir)
	if err1 == nil && err2 == nil && data != keys {
		d.wrong("rights", fmt.Sprintf("chown -R %s: %s", userName(data), d.config.PKI.Dir), "%s belongs to %s and %s to %s: the daemon can read one of them",
			d.config.Data, userName(data), d.config.PKI.Dir, userName(keys))
	}
	if len(d.Findings) == before && err2 == nil {
		d.well("rights", "%s and %s belong to %s", d.config.Data, d.config.PKI.Dir, userName(data))
	}
}

func owner(path string) (uint32, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, errors.New("the owner is not known")
	}
	return st.Uid, nil
}

func userName(uid uint32) string {
	id := strconv.Itoa(int(uid))
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "user " + id
}

func groupName(gid uint32) string {
	id := strconv.Itoa(int(gid))
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}

// checkPins asks whether the user of the daemon may use the GPIO chip.
func (d *doctor) checkPins() {
	c := d.config.GPIO
	if c == nil || c.Driver == "sim" || len(c.Names()) == 0 {
		return
	}
	chips, _ := filepath.Glob(filepath.Join(d.root, "dev/gpiochip*"))
	if len(chips) == 0 {
		d.wrong("pins", "write `driver: sim` under gpio, or run on a Raspberry Pi", "this machine has no GPIO chip")
		return
	}
	var st unix.Stat_t
	if err := unix.Stat(chips[0], &st); err != nil {
		d.wrong("pins", asRoot, "%v", err)
		return
	}
	uid, err := owner(d.config.Data)
	if err != nil {
		uid = uint32(os.Geteuid())
	}
	group := groupName(st.Gid)
	switch {
	case uid == 0 || uid == st.Uid || st.Mode&0o006 == 0o006:
	case st.Mode&0o060 == 0o060 && inGroup(uid, st.Gid):
	case st.Gid == 0 || st.Mode&0o060 != 0o060:
		d.wrong("pins", "install the udev rules of the package (60-greengate.rules), then udevadm trigger", "%s is for %s only", chips[0], userName(st.Uid))
		return
	default:
		d.wrong("pins", fmt.Sprintf("usermod -aG %s %s, then systemctl restart greengate", group, userName(uid)), "%s is not in the group %s of %s", userName(uid), group, chips[0])
		return
	}
	d.well("pins", "%s may use %s", userName(uid), chips[0])
}

// checkSpoolKeys tells which file is no key of the spool. A daemon that runs tells it itself.
func (d *doctor) checkSpoolKeys() {
	for _, k := range spoolKeys(d.config) {
		_, err := telemetry.ReadKey(k.file)
		if bad := (*telemetry.BadKey)(nil); errors.As(err, &bad) && d.status == nil {
			d.wrong("spool", bad.Hint(), "%s: %s %s", k.path, bad.File, bad.Problem)
		}
	}
}

func inGroup(uid, gid uint32) bool {
	u, err := user.LookupId(strconv.Itoa(int(uid)))
	if err != nil {
		return false
	}
	groups, err := u.GroupIds()
	return err == nil && slices.Contains(groups, strconv.Itoa(int(gid)))
}
