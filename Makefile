# What a developer does here. `make` alone lists it.

# Rustup puts cargo here; a shell that was open before does not know it yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

CC ?= cc
CFLAGS ?= -O2 -g
C_STRICT := -std=c11 -Wall -Wextra -pedantic -Werror
TARGET := $(or $(CARGO_TARGET_DIR),target)
RELEASE := $(TARGET)/release
EXAMPLES := $(TARGET)/examples_c
ORDER_SOURCES := $(wildcard examples_c/order_*.c)
CUSTOM_SOURCES := $(wildcard examples_c/custom_*.c)
# The bindings' tests take the library that they are given, and the server.
BINDINGS_LIB := $(if $(STENT_LIB_DIR),,lib)
PACKAGED := $(if $(STENT_LIB_DIR),,lib command)
BESIDE_POSTGRES := $(if $(STENT_TEST_POSTGRES),,scripts/with-postgres)

.DEFAULT_GOAL := help
.PHONY: help demo test check bench bench-peers soak header lib command devlib install uninstall installtest deb wheel npm dist disttest packtest aarch64 cpp go node python rust stress ui ffi examples book clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: examples ## orders on a SQLite file, and a worker killed with SIGKILL in the middle
	$(EXAMPLES)/order_workflow demo examples_c/orders.json

test: ## formatting, lints and all tests; the last line is the count
	@scripts/need rust lint cc c++ valgrind sqlite postgres pgbouncer doctest clients pkg-config cmake deb nginx chromium go node prometheus python redis ruby luajit php java mono
	@scripts/test

check: ## formatting and lints only
	@scripts/need rust lint cc
	cargo fmt --check
	cargo clippy --all-targets --features command -- -D warnings

bench: ## speed of both stores beside their own; parts of it: make bench ARGS="quick postgres fan_out"
	@scripts/need rust cc postgres
	cargo bench --bench throughput -- $(ARGS)

# The server's files are on a disk, as for the other bench.
bench-peers: ## ours beside other queues and engines, which it installs: make bench-peers ARGS="quick ours pg-boss"
	@scripts/need rust cc node python postgres
	@TMPDIR=$${TMPDIR:-/var/tmp} $(BESIDE_POSTGRES) benches/peers/run $(ARGS)

soak: $(BINDINGS_LIB) ## workflows under all kinds of bad luck, and a checker; SOAK_SECONDS=60 SOAK_SEED= SOAK_STORE=sqlite|postgres|both
	@scripts/need cc python postgres
	@tests/soak/run

book: $(BINDINGS_LIB) ## docs/ as a book for a browser, with the references of C, C++, Python, Node, Go and Rust: target/book/index.html
	@scripts/need rust c++ python node go doxygen
	@scripts/book/run

header: ## writes include/stent.h, and the Go module's copy, anew from src/ffi
	@scripts/need rust cc
	@scripts/header

lib: ## builds target/release/libstent.so and libstent.a
	@scripts/need rust cc
	@scripts/release

command: ## builds target/release/stent, which looks into a store, with its man pages and completions
	@scripts/need rust cc
	@scripts/release command

devlib: ## builds target/debug/libstent.so, quickly and slow: for work on a binding
	@scripts/need rust cc
	cargo build
	@ln -sf libstent.so $(TARGET)/debug/libstent.so.0

install: ## after `make lib`: library, headers, pkg-config and CMake files; after `make command` that too; PREFIX=/usr/local LIBDIR= INCLUDEDIR= DESTDIR=
	@scripts/install/run install

uninstall: ## takes away what `make install` with the same settings has put there
	@scripts/install/run uninstall

deb: $(PACKAGED) ## makes Debian packages in target/deb: libstent0, libstent-dev, stent
	@scripts/need rust deb
	@scripts/install/deb

installtest: $(PACKAGED) ## installs into a temporary root, unpacks the packages into another, and builds programs from there
	@scripts/need cc c++ pkg-config cmake doctest python
	@scripts/install/test

wheel: $(BINDINGS_LIB) ## makes the Python wheel in target/dist, for glibc 2.28 and newer
	@scripts/need python
	@scripts/pack/wheel

npm: $(BINDINGS_LIB) ## makes the npm packages in target/dist, likewise
	@scripts/need node python rust
	@scripts/pack/npm

dist: ## makes the source in target/dist, with all crates in it: it builds without a network
	@scripts/need rust
	@scripts/pack/dist

disttest: $(BINDINGS_LIB) ## makes it, and compiles it without a network
	@scripts/need rust
	@scripts/pack/test the_source_builds_without_a_network

packtest: $(BINDINGS_LIB) ## makes these, and uses them in empty folders
	@scripts/need rust pkg-config node python
	@scripts/pack/test

aarch64: ## builds the library for aarch64, tests it under qemu, makes its wheel and npm package
	@scripts/need rust aarch64 node python
	@scripts/pack/aarch64

cpp: $(BINDINGS_LIB) ## builds and tests the C++ binding; STENT_LIB_DIR names the library's folder, else it is built
	@scripts/need c++ doctest clients postgres
	@$(BESIDE_POSTGRES) bindings/cpp/test

go: $(BINDINGS_LIB) ## builds and tests the Go binding, likewise
	@scripts/need cc pkg-config go postgres
	@$(BESIDE_POSTGRES) bindings/go/test

node: $(BINDINGS_LIB) ## builds and tests the Node binding, likewise
	@scripts/need c++ node python postgres
	@$(BESIDE_POSTGRES) bindings/node/run-tests

python: $(BINDINGS_LIB) ## builds and tests the Python binding, likewise
	@scripts/need python postgres redis
	@$(BESIDE_POSTGRES) bindings/python/test

rust: $(BINDINGS_LIB) ## builds and tests the Rust binding, likewise
	@scripts/need rust lint python postgres
	@$(BESIDE_POSTGRES) bindings/rust/test

stress: $(BINDINGS_LIB) ## all bindings' tests, which measure over five times as many: 100,000 activities, 10,000 workflows that wait
	@for binding in cpp go node python rust; do STENT_STRESS=1 $(MAKE) --no-print-directory $$binding || exit 1; done

ui: $(BINDINGS_LIB) ## tests the page of `stent ui` in a browser, likewise; UPDATE_SCREENSHOTS=1 makes the documents' pictures
	@scripts/need rust cc chromium node python postgres
	@[ "$(STENT_UI_COMMAND)" ] || cargo build --features command --bin stent
	@$(BESIDE_POSTGRES) tests/ui/run $(ARGS)

ffi: $(BINDINGS_LIB) ## runs the examples in C, Ruby, LuaJIT, PHP, Java and C#, likewise; some of them: make ffi ARGS="ruby php"
	@scripts/need cc ruby luajit php java mono
	@examples_ffi/run $(ARGS)

examples: lib ## builds the C examples into target/examples_c
	@mkdir -p $(EXAMPLES)
	$(call compile,hello,examples_c/hello.c)
	$(call compile,fan_out,examples_c/fan_out.c)
	$(call compile,order_workflow,$(ORDER_SOURCES))
	$(call compile,custom_backend,$(CUSTOM_SOURCES))

clean: ## removes all that was built
	cargo clean

compile = $(CC) $(C_STRICT) $(CFLAGS) -Iinclude -o $(EXAMPLES)/$(1) $(2) -L$(RELEASE) -lstent -Wl,-rpath,'$$ORIGIN/../release'
