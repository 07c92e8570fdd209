# The door to everything: `make help`. The work is done by CMake, ctest and scripts/.
# Variables: BUILD=build  JOBS=<cores>  ARGS="--port 7000" (run)  T=<ctest -R expression> (test, asan, tsan)
BUILD ?= build
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
PREFIX ?= /usr/local
ARGS ?=
T ?=
FUZZ_SECONDS ?= 60
SEEDS ?= 10000
FIRST ?= 1
BOOTSTRAP = scripts/bootstrap-debian
CTEST = ctest --output-on-failure --no-tests=error $(if $(T),-R '$(T)')
SANITIZED = TEST_TIME_FACTOR=8 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

.DEFAULT_GOAL := build
.PHONY: help build run test check format format-check layers tidy asan tsan torture sim sim-mutants fuzz models \
        aarch64 bench bench-runtime bench-memory bench-server install uninstall clean bootstrap-%

help:  ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' Makefile

bootstrap-%:
	@$(BOOTSTRAP) $*

build: bootstrap-build  ## everything to run: build/tuco-server, build/libtuco.{a,so}, tests, benchmarks, examples
	@cmake -S . -B $(BUILD) -G Ninja >/dev/null
	@cmake --build $(BUILD) -j $(JOBS)

run: bootstrap-build  ## build and serve on 127.0.0.1:6379 (more settings: ARGS="--port 7000")
	@cmake -S . -B $(BUILD) -G Ninja >/dev/null
	@cmake --build $(BUILD) -j $(JOBS) --target tuco-server
	@exec $(BUILD)/tuco-server --bind 127.0.0.1 --port 6379 $(ARGS)

test: bootstrap-build bootstrap-test build  ## all tests: units, transcripts, real clients, examples
	@$(CTEST) --test-dir $(BUILD) -j $(JOBS)

check: bootstrap-test bootstrap-check format-check layers asan tidy  ## format, layers, linter, tests under ASan and UBSan

format: bootstrap-check  ## apply .clang-format
	@git ls-files '*.c' '*.h' '*.cc' | xargs clang-format -i

format-check: bootstrap-check
	@git ls-files '*.c' '*.h' '*.cc' | xargs clang-format --dry-run --Werror

layers: bootstrap-build bootstrap-test  ## floors, cycles, lone headers, file and function sizes
	@scripts/check-layers

tidy: bootstrap-build bootstrap-check
	@cmake -S . -B $(BUILD) -G Ninja >/dev/null
	@git ls-files 'src/*.c' | grep -vE '_(fuzz|test)\.c$$' | xargs -P $(JOBS) -n 8 clang-tidy -quiet -p $(BUILD)

asan: bootstrap-build bootstrap-test  ## the tests with AddressSanitizer, UBSan and assertions (build-asan/)
	@cmake -S . -B build-asan -G Ninja -DTUCO_SANITIZE=address,undefined -DTUCO_DEBUG=ON >/dev/null
	@cmake --build build-asan -j $(JOBS)
	@$(SANITIZED) $(CTEST) --test-dir build-asan -j $(JOBS)

tsan: bootstrap-build bootstrap-test  ## the tests with ThreadSanitizer (build-tsan/)
	@cmake -S . -B build-tsan -G Ninja -DTUCO_SANITIZE=thread >/dev/null
	@cmake --build build-tsan -j $(JOBS)
	@$(SANITIZED) $(CTEST) --test-dir build-tsan -j $(JOBS)

torture: bootstrap-build bootstrap-test  ## libtuco's tests with tiny queues, migration at each park, failing calls (build-torture/)
	@cmake -S . -B build-torture -G Ninja -DTUCO_TORTURE=ON -DTUCO_BENCH=OFF >/dev/null
	@cmake --build build-torture -j $(JOBS)
	@TUCO_FAIL_CALLS=20:$(FIRST) TEST_TIME_FACTOR=4 ctest --output-on-failure --no-tests=error --test-dir build-torture \
	    -R '$(if $(T),$(T),_(test|walk)$$)' -LE 'sim|server|clients|transcript' -j $(JOBS)

sim: bootstrap-build  ## the seeded simulator, every suite: SEEDS=10000 FIRST=1; a finding says how to replay it
	@cmake -S . -B $(BUILD) -G Ninja >/dev/null
	@cmake --build $(BUILD) -j $(JOBS) --target simulations
	@printf '%s\n' $(BUILD)/sim/*_sim | xargs -P $(JOBS) -I{} {} --seeds $(SEEDS) --first $(FIRST)

sim-mutants: bootstrap-build bootstrap-test  ## can the simulator fail? each mutant of scripts/check-simulator must be found
	@scripts/check-simulator

fuzz: bootstrap-build bootstrap-check  ## every fuzzer for FUZZ_SECONDS=60 under ASan and UBSan (build-fuzz/)
	@cmake -S . -B build-fuzz -G Ninja -DTUCO_FUZZ=ON -DTUCO_DEBUG=ON -DTUCO_TESTS=OFF \
	    -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ >/dev/null
	@cmake --build build-fuzz -j $(JOBS)
	@scripts/run-fuzzers build-fuzz/fuzz $(FUZZ_SECONDS)

models: bootstrap-build bootstrap-models  ## the Spin models of tests/models: exhaustive, and able to fail
	@scripts/check-models

aarch64: bootstrap-build bootstrap-cross  ## compile everything for aarch64 (build-aarch64/); runs nothing
	@cmake -S . -B build-aarch64 -G Ninja -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
	    -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ >/dev/null
	@cmake --build build-aarch64 -j $(JOBS)

bench: bench-runtime bench-memory bench-server  ## all tables of ratios

bench-runtime: build  ## libtuco beside Go (ARGS="--go 'CMD'"; without Go: our side alone)
	@bench/run-runtime $(ARGS)

bench-memory: build bootstrap-peers  ## the manual heap beside mimalloc and jemalloc
	@bench/run-memory $(ARGS)

bench-server: build  ## tuco-server beside a peer (ARGS="--peer 'valkey-server'") and a bare epoll loop
	@bench/run-server $(ARGS)

install: build  ## tuco-server and libtuco (libraries, headers, man pages) below PREFIX=/usr/local, in DESTDIR
	@cmake --install $(BUILD) --prefix $(PREFIX) >/dev/null
	@[ -n "$(DESTDIR)" ] || PATH=$$PATH:/usr/sbin:/sbin ldconfig 2>/dev/null || true

uninstall:  ## remove the files of the last install (the same DESTDIR)
	@sed 's|^|$(DESTDIR)|' $(BUILD)/install_manifest.txt | xargs -d '\n' rm -f

clean:  ## remove every build folder
	@rm -rf build build-asan build-tsan build-torture build-mutants build-fuzz build-aarch64
