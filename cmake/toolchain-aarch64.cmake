# AArch64 without floating point; with the MMU off no unaligned access. SPDX-License-Identifier: MIT
set(KNOLL_BARE_TARGET aarch64)
set(KNOLL_BARE_COMPILER aarch64-linux-gnu-gcc-12)
set(KNOLL_BARE_FLAGS "-mgeneral-regs-only -mstrict-align -mno-outline-atomics")
include(${CMAKE_CURRENT_LIST_DIR}/toolchain-bare.cmake)
