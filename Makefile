# Ochre. `make help` lists what can be done. Go, Node, make and gcc must be there; scripts/prereqs.sh sees to the rest.
.PHONY: help dev test build assets lint generate check-generated bench fresh docker
.DEFAULT_GOAL := help

# A clone that belongs to another user than the one who builds makes Go's look at git fail; nothing here needs it.
export GOFLAGS := -buildvcs=false $(GOFLAGS)

# What to test, and with which flags: make test PKG=./store TESTFLAGS='-run Lanes -v'
PKG ?= ./...
TESTFLAGS ?=
# Tests and benchmarks run with a PostgreSQL and a Redis of their own.
WITH_SERVICES = go run ./internal/testenv/cmd/testrun --

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

dev: ## run all of Ochre here, with a Slack simulator (ARGS='--reset' and so on); Ctrl-C ends it
	@scripts/prereqs.sh dev
	@$(MAKE) --no-print-directory build
	@exec bin/ochre dev $(ARGS)

test: ## run all tests, with the race detector
	@scripts/prereqs.sh test
	@$(MAKE) --no-print-directory assets
	$(WITH_SERVICES) go test -race -timeout 15m $(TESTFLAGS) $(PKG)
	@scripts/npm.sh test

build: assets ## build bin/ochre
	go build -trimpath -o bin/ochre ./cmd/ochre

assets: # what TypeScript there is, built only if its sources have changed
	@scripts/npm.sh build

lint: ## run go vet and the linters of .golangci.yml
	go vet ./...
	go tool -modfile=tools.mod golangci-lint run ./...

generate: ## write generated code again
	go generate ./...

check-generated: ## fail if generating again would change a file
	@scripts/check-generated.sh

bench: ## run the benchmarks
	$(WITH_SERVICES) go test -run '^$$' -bench . -benchmem $(TESTFLAGS) $(PKG)

fresh: ## try the README's commands in a bare Debian (needs root and debootstrap)
	scripts/fresh.sh

docker: ## build the container image
	docker build -t ochre .
