// Package pki owns who is who: the group's certificate authority (CA), the
// server certificate of this gateway, the certificates of its devices, and the
// answer to "which thing is the client that showed this certificate?".
//
// Begin with Create (once, by `greengate init`) or Open. An Authority issues
// and withdraws device certificates; its ServerCertificate gives the TLS
// configuration of every listener; its Identities tell things by certificate.
// The room does not decide who may talk to whom and opens no connection.
//
// It imports nothing of ours. core/broker, discovery, configs and cmd may
// import it.
//
// Concurrency: every method may be called from any goroutine. Identify, Used
// and the TLS handshake read immutable snapshots behind atomic pointers and
// take no lock; what changes a snapshot or the folder is serialised by a mutex.
// Several processes may have the same folder open (the daemon and the command
// line): each change of it is one atomic rename or removal, and a process sees
// another's changes at its next Identities.Load.
//
// The folder:
//
//	root-ca.pem              certificate of the group CA, what devices trust
//	root-ca.key              its private key, mode 0600
//	server.pem               certificate of this gateway, made again when needed
//	server.key               its private key, mode 0600, stays
//	clock                    the latest time that was believed, see Clock
//	issued/THING/SHA256.pem  the record: of the certificates that the CA
//	                         signed, only those that lie here count
package pki
