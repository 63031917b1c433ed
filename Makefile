# greengate: `make run` shows it, `make test` proves it. Both do all of their own
# set-up; Go is the one thing that must be there.

.DEFAULT_GOAL := help
.PHONY: help run test test-vm test-pi test-install build bench lint clean compiler clients vm pi systemd

# The version comes from git here, so Go need not ask git a second time: it
# would refuse to build in a clone that belongs to another user.
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
BUILD   := go build -trimpath -buildvcs=false -ldflags '-X main.release=$(VERSION)'
SITE    := demo-site

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## build, make a demo site (the first time), and run it with a cloud in a box and demo devices
	$(BUILD) -o bin/ ./cmd/demo ./cmd/iotsim
	@bin/demo site $(SITE)

test: lint clients vm ## vet, staticcheck and all tests, with the real clients
	go test -race ./...

test-vm: compiler vm ## pins of a real kernel, and 1,000 power cuts (CUTS=10000 for more), in virtual machines
	go test -count 1 -v ./testvm/gpio
	go test -count 1 -v -timeout 3h ./testvm -cuts $(or $(CUTS),1000) -numbers 500

test-pi: compiler pi ## the arm64 program on an emulated Raspberry Pi 3, its pins watched from outside
	go test -count 1 -v ./testvm/pi3

test-install: compiler systemd ## a Debian with systemd, in a virtual machine
	go test -count 1 -v ./testvm/systemd

build: compiler ## build bin/greengate
	$(BUILD) -o bin/greengate ./cmd/greengate

bench: compiler ## measure, beside raw mochi in the same run
	@mkdir -p bin
	go test -run '^$$' -bench . -timeout 15m ./... | tee bin/bench.txt
	@GREENGATE_BENCH_RESULTS=$(CURDIR)/bin/bench.txt go test -count 1 -v -run '^$$' ./cmd/greengate

lint: compiler ## gofmt, go vet and staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
		[ -z "$$unformatted" ] || { echo "not gofmt-ed:" $$unformatted >&2; exit 1; }
	go vet ./...
	go tool staticcheck ./...

clean: ## remove what was built and the demo site, with its keys
	rm -rf bin $(SITE) $(SITE).new cmd/greengate/testdata/clients/node_modules

compiler:
	@cmd/demo/setup.sh compiler

clients:
	@cmd/demo/setup.sh clients

vm pi systemd:
	@cmd/demo/setup.sh $@
