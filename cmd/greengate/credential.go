package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"greengate/core/pki"
)

// credentialFiles are the three files that a device needs. They are reserved
// before a certificate is issued, so that what can go wrong with the folder
// does so while nothing has changed.
type credentialFiles struct {
	Certificate string `json:"certificate"`
	PrivateKey  string `json:"private_key"`
	RootCA      string `json:"root_ca"`

	made  []string // folders
	files []string // that exist by our hand
}

// reserve makes the folder dir and the files of thing in it, empty. A file that
// is there already is an error, but root-ca.pem is shared by the devices of a
// group and may be there.
func reserve(dir, thing string, root []byte) (*credentialFiles, error) {
	f := &credentialFiles{
		Certificate: filepath.Join(dir, thing+".cert.pem"),
		PrivateKey:  filepath.Join(dir, thing+".private.key"),
		RootCA:      filepath.Join(dir, "root-ca.pem"),
	}
	if there, err := os.ReadFile(f.RootCA); err == nil && !bytes.Equal(there, root) {
		return nil, badInput("%s is that of another group (choose another folder with --out)", f.RootCA)
	}
	made, err := makeDirs(dir)
	f.made = made
	if err != nil {
		f.remove()
		return nil, outError("make folder", dir, err)
	}
	for _, path := range []string{f.Certificate, f.PrivateKey} {
		err := writeNew(path, nil, 0o600)
		if err == nil {
			f.files = append(f.files, path)
			continue
		}
		f.remove()
		if errors.Is(err, os.ErrExist) {
			return nil, badInput("%s is there already and is not written over (choose another folder with --out, or move it away)", path)
		}
		return nil, outError("write credential", dir, err)
	}
	return f, nil
}

// outError is wrong input when a file is where the folder of --out should be.
func outError(doing, dir string, err error) error {
	if errors.Is(err, syscall.ENOTDIR) {
		return badInput("--out %s: %w", dir, asFolder(err))
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// fill writes the credential. After an error the files are gone.
func (f *credentialFiles) fill(c *pki.Credential, root []byte) (err error) {
	defer func() {
		if err != nil {
			f.remove()
		}
	}()
	if err := fillFile(f.PrivateKey, c.KeyPEM); err != nil {
		return fmt.Errorf("write private key: %w", err)
	}
	if err := fillFile(f.Certificate, c.CertPEM); err != nil {
		return fmt.Errorf("write certificate: %w", err)
	}
	if err := os.Chmod(f.Certificate, 0o644); err != nil {
		return fmt.Errorf("write certificate: %w", err)
	}
	err = writeNew(f.RootCA, root, 0o644)
	if err == nil {
		f.files = append(f.files, f.RootCA)
	} else if !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("write group CA: %w", err)
	}
	return nil
}

// remove takes back what reserve and fill have made.
func (f *credentialFiles) remove() {
	for _, path := range f.files {
		_ = os.Remove(path)
	}
	removeDirs(f.made)
}

// fillFile writes a file that is there, down to the disk.
func fillFile(path string, content []byte) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = out.Write(content)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}
