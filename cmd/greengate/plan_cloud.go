package main

import (
	"fmt"

	"greengate/configs"
)

// leavesCloud tells whether the next file has no cloud section any more.
func leavesCloud(now, next *configs.Config) bool { return now.Cloud != nil && next.Cloud == nil }

// staysIn says what becomes of messages that wait when the cloud section goes.
func staysIn(file string) string {
	return "stays in " + file + " from the next start on, until there is a cloud section again"
}

// cloudNotes tells what another cloud section means for what is kept here.
func cloudNotes(now, next *configs.Config) (notes []string) {
	if now.Cloud == nil || next.Cloud == nil {
		return nil
	}
	if from, to := cloudName(now.Cloud), cloudName(next.Cloud); from != to {
		notes = append(notes, fmt.Sprintf("%s is another cloud than %s: the shadows here meet those there for the first time "+
			"(what only one side has is kept), and what waits for the cloud goes there", to, from))
	}
	return notes
}
