# Every target installs what it needs by itself, once (.ci/setup). `make` alone lists them.
SHELL       := /bin/bash -o pipefail
export PATH := $(CURDIR)/.ci/bin:$(PATH)

# What can be said on the command line: make run ARGS='--ui-port 0', make race PKG=./gateways/link/ COUNT=50, make fuzz FUZZTIME=8h
ARGS     ?=
PKG      ?= ./...
COUNT    ?= 10
CYCLES   ?= 1000
DIALS    ?= 1000
KILLS    ?= 100
RACES    ?= 100000
SEEDS    ?= 2000
FUZZTIME ?= 1h
BENCH    ?= .
SCENARIO ?=

.PHONY: help run build test race stories tree sizes bench fuzz fuzz-smoke \
	bench-star cycles enclave sim sim-smoke check format vet lint proto stale modules vuln \
	static gen image fmt setup clients clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 13

# --- the two that the README begins with

run: build ## builds bin/parley and starts a Daemon and its Node on loopback (ARGS='…' for their options)
	@exec bin/parley up $(ARGS)

test: ## all tests, with the race detector, foreign clients included
	@.ci/setup race && .ci/setup tool gotestsum && .ci/setup clients
	@gotestsum --format pkgname -- -race -timeout 10m ./...

# --- building

build: ## bin/parley, one static binary
	@.ci/setup go
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/parley ./cmd/parley

gen: ## messages/ from proto/
	@.ci/setup tool buf protoc-gen-go
	buf lint && buf format -w proto && buf generate --template proto/buf.gen.yaml

image: ## freezes proto/ in proto/image.binpb; refuses a change that breaks the wire
	@.ci/setup tool buf
	@if [ -e proto/image.binpb ]; then buf breaking --against proto/image.binpb; fi
	buf build --exclude-source-info -o proto/image.binpb

fmt: ## formats the Go and proto files
	@.ci/setup tool gofumpt buf
	gofumpt -w . && buf format -w proto

# --- checking, cheapest first; CI runs these and the tests

check: format modules proto stale vet lint static vuln ## all checks but the tests and the fuzzing

format: ## fails when a Go or proto file is not formatted
	@.ci/setup tool gofumpt buf
	@gofumpt -l . | (! grep . >&2) || { echo 'not formatted: make fmt' >&2; exit 1; }
	@buf format proto --diff --exit-code || { echo 'not formatted: make fmt' >&2; exit 1; }

modules: ## fails when go.mod is untidy, has a replace, or a module is not what go.sum says
	@.ci/setup go
	go mod tidy -diff
	@! grep -nE '^[[:space:]]*replace\b' go.mod || { echo 'go.mod: no replace, please' >&2; exit 1; }
	go mod verify

proto: ## lints proto/ and compares it with the frozen image
	@.ci/setup tool buf
	buf lint
	@[ -e proto/image.binpb ] || { echo 'proto/image.binpb is missing: make image' >&2; exit 1; }
	buf breaking --against proto/image.binpb
	@cmp -s proto/image.binpb <(buf build --exclude-source-info -o -) || { echo 'proto/image.binpb is older than proto/: make image' >&2; exit 1; }

stale: ## fails when messages/ is not what proto/ generates
	@.ci/setup tool buf protoc-gen-go
	@.ci/stale

vet: ## go vet
	@.ci/setup go
	go vet $(PKG)

lint: ## staticcheck
	@.ci/setup tool staticcheck
	staticcheck $(PKG)

static: build ## fails when bin/parley is not static or weighs more than it may; prints its size
	@.ci/weigh bin/parley

vuln: ## known vulnerabilities in what the binary calls, offline when a database is at hand (.ci/vuln)
	@.ci/setup tool govulncheck
	@.ci/vuln

# --- testing, in parts

race: ## PKG again and again with the race detector, COUNT times
	@.ci/setup race
	go test -race -count=$(COUNT) $(PKG)

cycles: ## starts and kills Nodes CYCLES times in random order, and among processes that grab ports; kills who writes to disk
	@.ci/setup go
	PARLEY_CYCLES=$(CYCLES) go test -count=1 -timeout 2h -v -run 'TestKill$$' ./actors/store ./actors/vault
	PARLEY_CYCLES=$(CYCLES) go test -count=1 -timeout 6h -v -run 'Cycles|Squatter|KilledAmid|Talkative' ./testkit/life

sim: ## SEEDS random meshes of real actors on fake time: cuts, partitions, deaths; a failing seed is printed
	@.ci/setup go
	@go test -v -count=1 -timeout 24h -run 'TestRandom$$' ./testkit/mesh -seeds=$(SEEDS) | grep -vE '^(=== |    --- PASS)'

sim-smoke: ## all simulations at full size: 200 seeds, 100 nodes, 10,000 channels; with the race detector they are smaller
	@.ci/setup go
	go test -count=1 ./testkit/mesh

enclave: ## two nodes dial each other DIALS times at once and are killed KILLS times; the named pipes are opened RACES times
	@.ci/setup go
	PARLEY_DIALS=$(DIALS) go test -count=1 -timeout 2h -v -run SimultaneousDials ./testkit/enclave
	PARLEY_CYCLES=$(KILLS) go test -count=1 -timeout 2h -v -run EnclaveKilled ./testkit/life
	PARLEY_RACES=$(RACES) go test -count=1 -timeout 2h -v -run Races ./gateways/pipe

stories: ## only the protocol stories
	@.ci/setup go
	go test -v -run Stories ./testkit/...

tree: ## redraws testkit/TREE.txt, the supervision tree, from the actor cards
	@.ci/setup go
	go test -run Tree ./testkit -update

sizes: ## the largest files and functions
	@.ci/setup go
	go test -v -count=1 -run Sizes ./testkit

fuzz: ## every fuzz target for FUZZTIME each
	@.ci/setup go
	@.ci/fuzz $(FUZZTIME) $(PKG)

fuzz-smoke: ## every fuzz target for 5 s
	@.ci/setup go
	@.ci/fuzz 5s $(PKG)

bench: ## Go benchmarks; the relay as a whole is measured by `bin/parley bench`
	@.ci/setup go
	go test -run '^$$' -bench '$(BENCH)' -benchmem $(PKG)

bench-star: build ## the rendezvous beside the public server: joins, memory, streams, announcements (SCENARIO='stream' for one)
	@.ci/setup clients
	@testkit/foreign/bench-star $(SCENARIO)

# --- the machine

setup: ## installs all that any target needs
	@.ci/setup all

clients: ## installs the foreign clients of testkit/foreign: Chromium, Node.js, npm packages
	@.ci/setup clients

clean: ## removes what was built here
	rm -rf bin .ci/bin testkit/foreign/node_modules
