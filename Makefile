# SPDX-License-Identifier: MIT
# A thin front: each target is one or two commands that can be run by hand.

SERIES ?= 7.3
PREFIX ?= /usr/local

help:
	@echo 'vfio-p2p: read() and write() between files and the memory of a PCI device'
	@echo
	@echo '  make demo         see it work, in a virtual machine'
	@echo '  make check        install what is missing, build everything, run all tests'
	@echo '                    (KERNELS=7.3-rt,7.2 or KERNELS=all for others: docs/kernels.md)'
	@echo '  make check-debug  the machine tests on a debug kernel, which is built first (up to three quarters of an hour)'
	@echo '  make packages     Debian packages of all of it, in build/packages'
	@echo '  make check-packages  ... looked over by lintian, and installed, used, upgraded and purged in a machine'
	@echo '  make fuzz         fuzz the parsers with clang, a minute each'
	@echo '  make bench        measure in virtual machines, and write docs/performance.md (a quarter of an hour)'
	@echo '  make module       the kernel module for stock Debian $(SERIES) (SERIES=7.2 for another)'
	@echo '  make host         the library and the command, in build/host'
	@echo '  make fio          the engine for the fio that is installed, build/fio/fio-vfio-p2p.so (docs/fio.md)'
	@echo '  make install      library, command and headers below $(PREFIX)'
	@echo '  make clean        remove build/ (kernels stay in the cache: ~/.cache/vfio-p2p)'
	@echo
	@echo '  tests/run --list       what can be tested;  tests/run --help  how'
	@echo '  tests/run smoke        one machine suite, on each kernel'
	@echo '  make -C module         the module for the kernel that runs on this machine'

demo: deps
	@demo/run

check: deps
	@$(if $(filter all,$(KERNELS))$(findstring debug,$(KERNELS)),tools/deps debug)
	@$(if $(findstring arm64,$(KERNELS)),tools/deps arm64)
	@tests/run -j 2 $(if $(KERNELS),--kernel $(KERNELS))

check-debug: deps
	@tools/deps debug
	@tests/run --kernel debug vm

packages: deps
	@tools/package

check-packages: deps
	@tools/package --lint
	@tests/run --kernel 7.3 packages

fuzz: deps
	@tools/deps fuzz
	@tests/fuzz/run

bench: deps
	@tools/deps bench
	@tests/bench/run

module: deps
	@tools/build-module $(SERIES)

host: deps
	@test -f build/host/build.ninja || meson setup build/host -Db_sanitize=address,undefined -Db_lundef=false
	@meson compile -C build/host

fio: deps
	@tools/fio-engine

install:
	@test -f build/release/build.ninja || meson setup build/release --buildtype=release
	@meson configure build/release --prefix=$(PREFIX)
	@meson install -C build/release

deps:
	@tools/deps

clean:
	rm -rf build

.PHONY: help demo check check-debug packages check-packages fuzz bench module host fio install deps clean
