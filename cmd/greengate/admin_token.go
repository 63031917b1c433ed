package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"greengate/core/admin"
)

func newAdmin(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "admin", Short: "say who may act at the status page", Args: cobra.NoArgs, RunE: help}
	cmd.AddCommand(newAdminToken(a))
	return cmd
}

func newAdminToken(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "make the token with which one may act at the status page",
		Long: `Makes a token and prints it, this once: <data>/admin-token keeps its hash only. Who
logs in with it at the status page may set desired states, press simulated inputs
and add the rows that allow refused flows. A new token takes the place of the old
one and ends its sessions; a running daemon needs no restart. Everybody who reaches
the page may read without a token.`,
		Example: `  greengate admin token            make a token, or another
  greengate admin token --remove   nobody may act any more`,
		Args: cobra.NoArgs,
	}
	remove := cmd.Flags().Bool("remove", false, "take the token away: nobody may act")
	cmd.RunE = action(func(*cobra.Command, []string) error {
		c, err := a.load()
		if err != nil {
			return err
		}
		before := tokenRights(tokenFile(c))
		if *remove {
			err = a.removeToken(tokenFile(c))
		} else {
			err = a.makeToken(tokenFile(c), c.Admin.Listen)
		}
		return errors.Join(err, auditCommand(c, "admin token", before, tokenRights(tokenFile(c))))
	})
	return cmd
}

func (a *app) removeToken(file string) error {
	err := os.Remove(file)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = fmt.Fprintln(a.stdout, "there is no token")
		return err
	}
	if err != nil {
		return fmt.Errorf("remove the token: %w", err)
	}
	_, err = fmt.Fprintln(a.stdout, "the token is gone: nobody may act at the status page")
	return err
}

func (a *app) makeToken(file, listen string) error {
	token, hash := admin.NewToken()
	if err := replaceSecret(file, []byte(hash+"\n")); err != nil {
		return fmt.Errorf("keep the token: %w", err)
	}
	if listen == "" {
		fmt.Fprintln(a.stderr, `greengate: the status page is switched off (admin.listen is ""): the token is of no use until it has an address`)
	}
	_, err := fmt.Fprintln(a.stdout, token)
	return err
}

// replaceSecret writes a file that only its owner may read, at once and down to the
// disk. It belongs to the owner of its folder, which is the user of the daemon.
func replaceSecret(file string, content []byte) error {
	dir := filepath.Dir(file)
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not there yet (start greengate once)", dir)
	}
	if err != nil {
		return err
	}
	fresh := file + ".new"
	_ = os.Remove(fresh) // of one that was cut off
	if err := writeNew(fresh, content, 0o600); err != nil {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		if err := os.Lchown(fresh, int(owner.Uid), int(owner.Gid)); err != nil {
			return errors.Join(err, os.Remove(fresh))
		}
	}
	return os.Rename(fresh, file)
}
