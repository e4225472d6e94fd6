# virga: `make demo` and `make test` do all the set-up they need. See README.md.
#   VIRGA_TORCH=DIR make ...   your own libtorch 2.11 (DIR/include, DIR/lib)
#   JOBS=N make ...            compilers and tests at once (default: the number of cores)
JOBS ?= $(shell nproc)
BUILD = build/release
VIRGA = $(BUILD)/deploy/virga
SETUP = deploy/setup/setup.sh

.PHONY: all build setup cuda test check-readers fuzzers fuzz soak demo example install package clean help
all: build

help:
	@echo 'make          set up and build: $(VIRGA)'
	@echo 'make cuda     the same with engines on NVIDIA GPUs: build/cuda/deploy/virga'
	@echo 'make demo     one cloud and two edge nodes answer, compared in a table and out/demo/report.html'
	@echo 'make test     build and run every test'
	@echo 'make fuzz     fuzz what reads foreign bytes: SECONDS=5 each'
	@echo 'make soak     everything under ASan and UBSan, what has no torch under TSan, then MINUTES=60 of random faults and 20 of fuzzing'
	@echo 'make example  examples/compare.sh: launch, ask, compare, stop'
	@echo 'make install  into PREFIX (default /usr/local); make package: a Debian package'
	@echo 'make setup    Debian packages and libtorch only'
	@echo 'make clean    remove build/ and out/ (libtorch stays in the cache)'

setup:
	@$(SETUP)

# Configures each time (2 s): a moved libtorch or a new package is noticed, nothing is compiled twice.
build: setup
	@echo '[build] configuring $(BUILD)'
	@cmake --preset release -DVIRGA_TORCH='$(abspath $(VIRGA_TORCH))' --log-level=WARNING
	@echo '[build] compiling with $(JOBS) jobs'
	@cmake --build --preset release --parallel $(JOBS)

# Downloads CUDA's libraries (2 GB, once). Compiles without a GPU; what needs one is in cuda_test.
cuda:
	@$(SETUP) --cuda
	@cmake --preset cuda -DVIRGA_TORCH='$(abspath $(VIRGA_TORCH))' --log-level=WARNING
	@cmake --build --preset cuda --parallel $(JOBS) --target virga cuda_test

test:
	@$(SETUP) --tests
	@$(MAKE) --no-print-directory build
	@$(MAKE) --no-print-directory check-readers
	@echo '[test] running the tests'
	@VIRGA_TEST_PYTHON="$$($(SETUP) --python)" ctest --preset release --parallel $(JOBS)

# The code that reads what others send, built by clang under ASan and UBSan: its tests, and some seconds of fuzzing.
READERS = $(patsubst %,messages_%_test,types type_ids crc32c codec frame_reader assembler hostile) \
  link_protocol_test safetensors_test config_test index_test folder_test tokenizer_test tokenizer_parity_test \
  chat_template_test stop_strings_test sampler_test cut_test
SECONDS ?= 5
empty :=
either = $(subst $(empty) ,|,$(strip $(1)))
check-readers: fuzzers
	@cmake --build --preset fuzz --parallel $(JOBS) --target $(READERS)
	@ctest --preset fuzz --parallel $(JOBS) -R '^($(call either,$(READERS)))$$'
	@tests/fuzz/run.py build/fuzz $(SECONDS)

fuzzers:
	@echo '[test] building the readers of foreign bytes with clang, under ASan and UBSan'
	@cmake --preset fuzz -DVIRGA_TORCH='$(abspath $(VIRGA_TORCH))' --log-level=WARNING
	@cmake --build --preset fuzz --parallel $(JOBS) --target fuzzers

# Finds more the longer it runs: make fuzz SECONDS=3600
fuzz:
	@$(SETUP) --tests
	@$(MAKE) --no-print-directory fuzzers
	@tests/fuzz/run.py build/fuzz $(SECONDS)

# Three hours on 2 cores. TSan sees what has no torch: libtorch's own threads are not instrumented, and every report would be about them. Under ASan
# a storm stands for the tests of faults: they strike at tenths of a second, and there everything takes seconds. Planted bugs need
# hundreds of seeds, and show what the simulation's checker sees, not what memory does.
MINUTES ?= 60
THREADED = -R 'messages|link|shaper|stub|session|engine|split|pipeline|site|node|gateway|uplink|forecast|diagnosis' -LE 'process|faults'
soak:
	@$(SETUP) --tests
	@echo '[soak] building and testing everything under ASan and UBSan'
	@cmake --preset dev -DVIRGA_TORCH='$(abspath $(VIRGA_TORCH))' --log-level=WARNING
	@cmake --build --preset dev --parallel $(JOBS)
	@VIRGA_TEST_PYTHON="$$($(SETUP) --python)" ctest --preset dev --parallel $(JOBS) -LE faults -E planted_test
	@echo '[soak] building and testing what has no torch under TSan'
	@cmake --preset tsan -DVIRGA_TORCH='$(abspath $(VIRGA_TORCH))' --log-level=WARNING
	@cmake --build --preset tsan --parallel $(JOBS) --target $$(ctest --preset tsan -N $(THREADED) | sed -n 's/.*Test *#[0-9]*: //p')
	@tests/support/caf_for_tsan.sh build/caf-tsan
	@LD_LIBRARY_PATH='$(CURDIR)/build/caf-tsan/lib' ctest --preset tsan --parallel $(JOBS) $(THREADED)
	@echo '[soak] $(MINUTES) minutes of random faults, under ASan'
	@ASAN_OPTIONS=detect_leaks=0 python3 -B tests/faults/storm.py build/dev/deploy/virga --minutes $(MINUTES) --seed $$(date +%j)
	@$(MAKE) --no-print-directory fuzz SECONDS=$$((20 * $(MINUTES)))

demo: build
	@$(VIRGA) demo --manifest deploy/manifests/demo.yaml --out out/demo

example: build
	@VIRGA=$(VIRGA) examples/compare.sh

# Into PREFIX (default /usr/local), or a Debian package in build/release/package.
install: build
	@cmake --install $(BUILD) --prefix '$(or $(PREFIX),/usr/local)'

package: build
	@cmake --build $(BUILD) --target package
	@ls $(BUILD)/package/*.deb

clean:
	rm -rf build out
