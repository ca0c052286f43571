# RISC-V in machine mode, without floating point. Zicsr is for the start-up code. SPDX-License-Identifier: MIT
set(KNOLL_BARE_TARGET riscv64)
set(KNOLL_BARE_COMPILER riscv64-unknown-elf-gcc)
set(KNOLL_BARE_FLAGS "-march=rv64imac_zicsr -mabi=lp64 -mcmodel=medany")
include(${CMAKE_CURRENT_LIST_DIR}/toolchain-bare.cmake)
