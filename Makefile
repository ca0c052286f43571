# The front door: `make` lists the commands. CMake does the building; see CMakeLists.txt.
# SPDX-License-Identifier: MIT

.PHONY: help run test quick coverage mutants exhaustive bitflips fuzz proofs misra model races hardening \
    bench bench-cpus bench-malloc bench-calls benchmarks bounds malloc programs format footprint clean

help:
	@echo 'make run        run Lua and SQLite inside one knoll heap and show what it did'
	@echo '                  TARGET=riscv64|aarch64|x86_64|cortex-m  on bare metal, under QEMU'
	@echo '                  PROFILE=classic|compact  REGION=12M  PROGRAM=lua|sqlite|all  COLOUR=auto|always|never'
	@echo 'make test       every test, on every compiler and target (some ten minutes on two cores)'
	@echo 'make quick      the tests on this machine only (two minutes)'
	@echo 'make coverage   measure which lines, branches and conditions of the core the tests execute (two minutes)'
	@echo 'make mutants    change the core in 1,100 places, one at a time, and count what no test notices (half an hour)'
	@echo '                  MUTANTS="--all"  every change; MUTANTS="--again"  what survived, after tests were added'
	@echo 'make exhaustive try every sequence of nine calls on the smallest heap (eight minutes)'
	@echo 'make bitflips   flip each bit of the tables of 1,000 heaps, at each rung, and count what is detected (some minutes)'
	@echo 'make fuzz       10^9 calls, made up by libFuzzer, against an oracle, at every rung (some minutes)'
	@echo '                  FUZZ="--afl"  AFL++ too; FUZZ="--seconds 20"  a short run'
	@echo 'make bench      compare the speed with glibc and what other heaps Debian has; BENCH="--peer lib.so" adds one'
	@echo 'make bench-malloc compare libknoll-malloc with glibc and what other mallocs Debian has, by patterns and programs'
	@echo 'make bench-calls count the instructions of single calls of libknoll-malloc and of other mallocs'
	@echo 'make bounds     count the instructions of the worst calls, and derive how many there can be (a minute)'
	@echo 'make benchmarks update docs/benchmarks.md from bench/results'
	@echo 'make malloc     build libknoll-malloc.so and .a, which stand in for a Linux program'"'"'s malloc'
	@echo 'make programs   run real programs under it and compare what they print; PROGRAMS="--all" adds the long ones'
	@echo 'make proofs     prove the core'"'"'s contracts and theorems (docs/proofs.md), some ten minutes'
	@echo 'make misra      look for what MISRA C:2012 has against the core (docs/misra.md)'
	@echo 'make model      try every order of steps of a free from another processor, with Spin (two minutes)'
	@echo 'make races      watch threads with ThreadSanitizer and Helgrind (some minutes)'
	@echo 'make hardening  what the rungs of KNOLL_HARDEN cost, in instructions and bytes'
	@echo 'make bench-cpus throughput with many processors, and the longest holding of the lock'
	@echo 'make format     lay out the sources with clang-format'
	@echo 'make footprint  measure code size and stack, and update docs/footprint.md'
	@echo 'make clean      remove build/'

export TARGET PROFILE REGION PROGRAM COLOUR # and not in the command, whose shell would take their spaces and quotes
run:
	@tools/run

test:
	@tools/test

quick:
	@tools/test quick

coverage:
	@tools/coverage

mutants:
	@tools/packages build test
	@tools/mutate $(MUTANTS)

bounds:
	@tools/worst --target x86-64 --check
	@tools/bound

exhaustive:
	@tools/exhaustive

bitflips:
	@tools/bitflips

fuzz:
	@tools/fuzz $(FUZZ)

bench:
	@tools/bench $(BENCH)

bench-malloc:
	@tools/bench-malloc $(BENCH)

bench-calls:
	@tools/bench-calls $(BENCH)

benchmarks:
	@bench/document

malloc:
	@tools/packages build
	@cmake -S . -B build/malloc -DKNOLL_MALLOC=ON -DCMAKE_BUILD_TYPE=Release -DKNOLL_TESTS=OFF >/dev/null
	@cmake --build build/malloc --target knoll-malloc knoll-malloc-static

programs:
	@tools/programs $(PROGRAMS)

proofs:
	@tools/proofs

misra:
	@tools/misra
model:
	@tools/model

bench-cpus:
	@tools/bench-cpus $(BENCH)

races:
	@tools/races

hardening:
	@tools/packages build test
	@tools/hardening

format:
	@tools/packages test
	@clang-format -i $$(git ls-files '*.c' '*.h')

footprint:
	@tools/packages build riscv64 aarch64 m32 cortex-m test
	@tools/footprint --write

clean:
	rm -rf build
