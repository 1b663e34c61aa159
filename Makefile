# The doors. Each does all its own set-up: `make demo` on a fresh machine is the whole installation.
#
# Builds land outside the checkout, so that a clean clone does not build everything again.
CACHE            ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/potok
CARGO_TARGET_DIR ?= $(CACHE)/target
POTOK_GUEST_TARGET_DIR ?= $(CACHE)/guests
export CARGO_TARGET_DIR POTOK_GUEST_TARGET_DIR
POTOK := $(CARGO_TARGET_DIR)/debug/potok
PORT  ?= 8080

.PHONY: help demo run test test-all simulate bench lint setup build

help:            ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 18

setup:           ## what the doors need and a fresh machine may lack
	@scripts/setup.sh

build: setup     ## the binary
	@cargo build --quiet -p potok

demo: build      ## a bundled book becomes posts in a local channel: no account, no key, no network
	@POTOK=$(POTOK) scripts/demo.sh

run: build       ## the server on 127.0.0.1:8080 with the local stand-ins beside it
	@$(POTOK) serve --listen 127.0.0.1:$(PORT) --sandbox --dev workflows

test: setup      ## the fast tier
	@scripts/test.sh fast

test-all: setup  ## the fast tier, long crash runs and wide seed ranges
	@scripts/test.sh all

simulate: setup  ## the node in a simulated world: SEEDS=1000 of them, FROM=0 on
	@POTOK_SEEDS=$(or $(SEEDS),1000) POTOK_FIRST_SEED=$(or $(FROM),0) cargo test --quiet --workspace --test simulation -- --nocapture nothing_is_lost

bench: setup     ## the numbers
	@cargo build --quiet --release -p potok
	@$(CARGO_TARGET_DIR)/release/potok bench

lint: setup      ## format, clippy, licences
	@scripts/lint.sh
