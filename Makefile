# greengate: `make run` shows it, `make test` proves it. Both do all of their own
# set-up; Go is the one thing that must be there.

.DEFAULT_GOAL := help
.PHONY: help run test test-long test-vm test-pi test-install build deb reproducible bench bench-arm64 bench-peers soak fuzz lint clean compiler clients browser vm pi systemd packages containers peers

# The newest patch of the compiler, which closes holes in what it links into the program; where
# it cannot be had, the Go that is there.
PATCHED := go1.26.10
export GOTOOLCHAIN := $(shell GOTOOLCHAIN=$(PATCHED)+auto go version >/dev/null 2>&1 && echo $(PATCHED)+auto || echo local)

# SQLite flushes by fdatasync, which leaves out the time of the last write: two fifths of what
# commits cost a card (docs/performance.md). A plain `go build` flushes by fsync.
export CGO_CFLAGS ?= -O2 -g -DHAVE_FDATASYNC=1

# The version comes from git here, so Go need not ask git a second time: it
# would refuse to build in a clone that belongs to another user.
VERSION := $(shell systemd/version.sh)
# Without the tables for debuggers, a third of the size; a panic tells its lines all the same.
BUILD   := go build -trimpath -buildvcs=false -ldflags '-s -w -X main.release=$(VERSION)'
SITE    := demo-site

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## build, make a demo site (the first time), and run it with a cloud in a box and demo devices
	$(BUILD) -o bin/ ./cmd/demo ./cmd/iotsim
	cd functions/examples/go && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o $(CURDIR)/bin/car-aggregator .
	@bin/demo site $(SITE)

test: lint clients browser vm packages ## vet, staticcheck, all tests with the real clients, and half a minute for each fuzz target
	go test -race -timeout 30m ./...
	@cmd/lint/fuzz.sh

test-long: compiler ## 100,000 random sequences against the models of the shadow service and of its sync
	go test -count 1 -timeout 3h ./localshadow -run TestSequences -sequences 100000
	go test -count 1 -timeout 3h ./sync/shadows -run TestSequences -sequences 100000
	go test -count 1 -timeout 3h -parallel 8 ./cmd/greengate -run TestGateProof -probes 1000000

test-vm: compiler vm ## pins of a real kernel, and 1,000 power cuts (CUTS=10000 for more), in virtual machines
	go test -count 1 -v ./testvm/gpio
	go test -count 1 -v -timeout 3h ./testvm -cuts $(or $(CUTS),1000) -numbers 500

test-pi: compiler pi ## the arm64 program on an emulated Raspberry Pi 3, its pins watched from outside
	go test -count 1 -v ./testvm/pi3

test-install: compiler clients systemd packages containers ## install, kill, upgrade and purge the package on Debian 12 and 13, in virtual machines; the container; the Pi's programs
	go test -count 1 -v ./testvm/systemd
	go test -count 1 -v -timeout 2h ./testvm/install -vm

build: compiler ## build bin/greengate, and what loads the module of a token for it
	$(BUILD) -o bin/ ./cmd/greengate ./cmd/greengate-token

deb: packages ## the packages and tarballs for amd64, arm64, armhf and armv6, with sums and SBOMs, in dist/ (ARCH=arm64 for one)
	@systemd/package/package.sh $(ARCH)

reproducible: compiler ## build bin/greengate again, elsewhere and from nothing, and compare the bytes
	@$(MAKE) --no-print-directory build
	@work=$$(mktemp -d) && trap 'chmod -R u+w "$$work" && rm -rf "$$work"' EXIT && mkdir "$$work/tree" && \
		git ls-files -z -co --exclude-standard | xargs -0 cp --parents -t "$$work/tree" && \
		(cd "$$work/tree" && GOCACHE=$$work/cache $(BUILD) -o bin/greengate ./cmd/greengate) && \
		cmp bin/greengate "$$work/tree/bin/greengate" && sha256sum bin/greengate

bench: compiler ## measure, beside raw mochi in the same run
	@mkdir -p bin
	go test -run '^$$' -bench . -timeout 45m ./... | tee bin/bench.txt
	@GREENGATE_BENCH_RESULTS=$(CURDIR)/bin/bench.txt go test -count 1 -v -run '^$$' ./cmd/greengate

bench-arm64: pi ## each benchmark once as an arm64 program under emulation: they run, and that is all it shows
	testvm/bench-arm64.sh

bench-peers: build peers ## compare with mosquitto and a bare mochi, in turns; PEERS='-only A,C -runs 3' for a part
	go run ./cmd/peers -greengate bin/greengate $(PEERS)

soak: build ## an hour at 500 messages a second with trouble of all kinds: nothing may be lost, nothing may grow (HOURS=8 RATE=100)
	$(BUILD) -o bin/ ./cmd/soak
	bin/soak -greengate bin/greengate -hours $(or $(HOURS),1) -rate $(or $(RATE),500)

fuzz: compiler ## fuzz each target for an hour (FUZZTIME=10m, TARGET=FuzzStream for one)
	@FUZZTIME=$(or $(FUZZTIME),1h) cmd/lint/fuzz.sh $(TARGET)

lint: compiler ## gofmt, go vet, staticcheck, govulncheck and gosec
	@unformatted=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
		[ -z "$$unformatted" ] || { echo "not gofmt-ed:" $$unformatted >&2; exit 1; }
	go vet ./...
	go tool staticcheck ./...
	@cmd/lint/security.sh

clean: ## remove what was built and the demo site, with its keys
	rm -rf bin dist $(SITE) $(SITE).new cmd/greengate/testdata/clients/node_modules

compiler:
	@cmd/demo/setup.sh compiler

clients:
	@cmd/demo/setup.sh clients

browser vm pi systemd packages containers peers:
	@cmd/demo/setup.sh $@
