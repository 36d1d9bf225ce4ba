# The front door. `make help` lists what there is; README names the two that most people need, run and test.
#
# A fresh Debian machine with a Rust toolchain is enough: each target installs what it lacks, or says what to install.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
SCRIPTS := tests/scripts
STEP := @$(SCRIPTS)/step.sh
BENCH := $(SCRIPTS)/with-services.sh $(SCRIPTS)/bench.sh $(TARGET_DIR)/release

# Tools that were missing are built into here, not into anybody's home directory.
export PATH := $(CURDIR)/target/tools/bin:$(PATH)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 24

.PHONY: run
run: compiler ## Build and start TechTrack on an embedded database under ./var; ARGS="…" goes to `techtrack serve`
	cargo build --release -p techtrack
	$(TARGET_DIR)/release/techtrack serve $(ARGS)

.PHONY: demo
demo: compiler ## Build and start a small plant that moves, with its data in var/demo.db; ARGS="…" goes to `techtrack demo`
	cargo build --release -p techtrack
	$(TARGET_DIR)/release/techtrack demo $(ARGS)

.PHONY: release
release: compiler ## Build the program that is installed
	cargo build --release -p techtrack

.PHONY: install
install: ## Install program, systemd unit and settings; PREFIX (/usr/local), SYSCONFDIR (/etc) and DESTDIR are honoured
	@$(SCRIPTS)/install.sh install $(TARGET_DIR)/release/techtrack

.PHONY: uninstall
uninstall: ## Remove what `make install` put there, but for settings and data
	@$(SCRIPTS)/install.sh uninstall $(TARGET_DIR)/release/techtrack

.PHONY: image
image: ## Build the container image by Docker or Podman, run it on both databases, and say how large it is
	$(SCRIPTS)/with-services.sh $(SCRIPTS)/image.sh $(ARGS)

.PHONY: stack
stack: release ## Start what deploy/compose.yaml has, without containers: two servers behind HAProxy with TLS, on https://localhost:8443
	TEST_SERVICES=throwaway $(SCRIPTS)/with-services.sh $(SCRIPTS)/stack.sh $(TARGET_DIR)/release/techtrack

.PHONY: stack-tour
stack-tour: binary ## Take the tour of the README through the front of such a stack
	TEST_SERVICES=throwaway $(SCRIPTS)/with-services.sh $(SCRIPTS)/stack.sh $(TARGET_DIR)/debug/techtrack $(SCRIPTS)/stack-tour.sh

.PHONY: build
build: compiler ## Build everything, unoptimised
	cargo build --workspace --all-targets

.PHONY: test
test: binary nextest ## Run all tests, with a real PostgreSQL and Redis: yours, a container's or throw-away ones
	$(SCRIPTS)/with-services.sh $(SCRIPTS)/run-tests.sh

.PHONY: test-faults
test-faults: binary nextest ## Kill, freeze and cut off server and database again and again while eight write; tells what was acknowledged and lost
	TEST_FAULTS=full $(SCRIPTS)/with-services.sh $(SCRIPTS)/test-faults.sh

.PHONY: test-cluster
test-cluster: binary nextest ## Run the black-box tests through HAProxy and two servers, and restart those one after the other
	$(SCRIPTS)/with-services.sh $(SCRIPTS)/test-cluster.sh

.PHONY: test-hostile
test-hostile: binary nextest ## Send everything hostile through every field and parameter of the API, where `make test` sends a quarter
	TEST_HOSTILE=full $(SCRIPTS)/with-services.sh cargo nextest run --package tests --test hostile --no-fail-fast

.PHONY: mutants
mutants: compiler ## Break the domain's code of access, sessions, rules and mentors in every small way, and tell what no test notices; takes an hour
	@$(SCRIPTS)/ensure-cargo-tool.sh cargo-mutants 27.1.0
	$(SCRIPTS)/mutants.sh $(ARGS)

.PHONY: check
check: binary deny ## Judge everything that needs no test: format, lints, docs, dependencies, links, scripts
	$(STEP) 'formatting' cargo fmt --all --check
	$(STEP) 'file lengths' $(SCRIPTS)/check-file-length.sh
	$(STEP) 'shell scripts' $(SCRIPTS)/check-shell.sh
	$(STEP) 'links' $(SCRIPTS)/check-links.sh
	$(STEP) 'generated documents' $(SCRIPTS)/generated-docs.sh check $(TARGET_DIR)/debug/techtrack
	$(STEP) 'dependencies' $(SCRIPTS)/check-dependencies.sh
	$(STEP) 'purity of the domain' $(SCRIPTS)/check-domain.sh
	$(STEP) 'lints' cargo clippy --workspace --all-targets --all-features -- -D warnings
	$(STEP) 'documentation' env RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --all-features

.PHONY: check-deploy
check-deploy: ## Judge what lies in deploy/, each by its own tool: compose files, balancer, Kubernetes, systemd unit, installation
	@$(SCRIPTS)/check-deploy.sh

.PHONY: fmt
fmt: ## Format all code
	cargo fmt --all

.PHONY: docs
docs: binary ## Write the generated documents under docs/ and the crates' documentation
	$(SCRIPTS)/generated-docs.sh write $(TARGET_DIR)/debug/techtrack
	cargo doc --workspace --no-deps --all-features

.PHONY: conformance
conformance: binary ## Throw generated requests at a server on each database and hold its answers against the OpenAPI document
	$(SCRIPTS)/with-services.sh $(SCRIPTS)/conformance.sh $(TARGET_DIR)/debug/techtrack

.PHONY: interop
interop: binary ## Have programs of others (Prometheus, Alertmanager, clients of InfluxDB, and more) work with a server, by the scripts tests/scripts/interop-*.sh
	$(SCRIPTS)/with-services.sh $(SCRIPTS)/interop.sh $(TARGET_DIR)/debug/techtrack

.PHONY: tour
tour: binary ## Run the commands of README, docs/getting-started.md and docs/api.md, word for word, against a server on 127.0.0.1:8000
	$(SCRIPTS)/tour.sh $(TARGET_DIR)/debug/techtrack

.PHONY: bench
bench: bench-programs haproxy ## Measure beside the limits of this machine and write docs/benchmarks.md; ARGS="…" goes to `techtrack-bench run`
	$(BENCH) --report docs $(ARGS)

.PHONY: bench-quick
bench-quick: bench-programs haproxy ## The same small, in two minutes; the report goes to target/bench
	$(BENCH) --quick --report target/bench --results target/bench/quick.json $(ARGS)

.PHONY: bench-peers
bench-peers: bench-programs ## Install VictoriaMetrics and InfluxDB, feed them beside TechTrack, and add that to docs/benchmarks.md
	@$(SCRIPTS)/ensure-tools.sh victoria-metrics influxd
	$(BENCH) --only peers --add --report docs $(ARGS)

.PHONY: load
load: bench-programs haproxy ## Everything at once over 256 connections, HAProxy and two servers for a minute; the report joins that of `make bench` if there is one here
	$(BENCH) --only load $(if $(wildcard target/bench/results.json),--add --report docs,--results target/bench/load.json --report target/bench) $(ARGS)

.PHONY: clean-test-services
clean-test-services: ## Stop and remove test databases that a killed run left behind
	$(SCRIPTS)/clean-test-services.sh

# What the targets above stand on.

.PHONY: binary
binary: compiler
	$(STEP) 'building techtrack' cargo build -p techtrack

.PHONY: compiler
compiler:
	@$(SCRIPTS)/ensure-tools.sh cc

.PHONY: haproxy
haproxy:
	@$(SCRIPTS)/ensure-tools.sh haproxy

.PHONY: bench-programs
bench-programs: compiler
	$(STEP) 'building techtrack' cargo build --release -p techtrack
	$(STEP) 'building the benchmark' cargo build --release -p bench

.PHONY: nextest
nextest: compiler
	@$(SCRIPTS)/ensure-cargo-tool.sh cargo-nextest 0.9.151 || echo 'cargo-nextest could not be built' >&2

.PHONY: deny
deny: compiler
	@$(SCRIPTS)/ensure-cargo-tool.sh cargo-deny 0.20.2
