package main

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	distanceRounds = 5
	distanceTrips  = 2000
)

// distance is the time that a cache line takes from one CPU to another and back, the
// least of a few rounds. It is what a hypervisor changes when it moves the CPUs of a
// machine, and a server that works on both pays it. Not known with one CPU: 0.
func distance() (time.Duration, error) {
	var may unix.CPUSet
	if err := unix.SchedGetaffinity(0, &may); err != nil {
		return 0, fmt.Errorf("ask for the CPUs: %w", err)
	}
	var cpus []int
	for cpu := 0; len(cpus) < min(2, may.Count()); cpu++ {
		if may.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	if len(cpus) < 2 {
		return 0, nil
	}
	least := time.Hour
	for range distanceRounds {
		took, err := trips(cpus[0], cpus[1])
		if err != nil {
			return 0, err
		}
		least = min(least, took/distanceTrips)
	}
	return least, nil
}

// trips has a number go to and fro between two CPUs, distanceTrips times.
func trips(here, there int) (took time.Duration, err error) {
	var line struct {
		_ [128]byte // nothing else is in it
		n atomic.Uint32
		_ [128]byte
	}
	pinned, start, done := make(chan error, 2), make(chan bool, 2), make(chan error, 2)
	on := func(cpu int, play func()) {
		// The thread must live on: a server dies with the one that has started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var before, only unix.CPUSet
		only.Set(cpu)
		err := unix.SchedGetaffinity(0, &before)
		if err == nil {
			err = unix.SchedSetaffinity(0, &only)
		}
		pinned <- err
		if <-start {
			play()
		}
		done <- unix.SchedSetaffinity(0, &before)
	}
	answer := func(n uint32) {
		for line.n.Load() != n {
		}
		line.n.Store(n + 1)
	}
	go on(there, func() {
		for n := range uint32(distanceTrips + 1) {
			answer(2*n + 1)
		}
	})
	go on(here, func() {
		answer(0)
		answer(2) // both are there now
		began := time.Now()
		for n := range uint32(distanceTrips - 1) {
			answer(2*n + 4)
		}
		for line.n.Load() != 2*distanceTrips+2 {
		}
		took = time.Since(began)
	})
	err = errors.Join(<-pinned, <-pinned)
	start <- err == nil
	start <- err == nil
	if err = errors.Join(err, <-done, <-done); err != nil {
		err = fmt.Errorf("keep a thread on a CPU: %w", err)
	}
	return took, err
}
