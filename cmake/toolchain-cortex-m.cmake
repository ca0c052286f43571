# Cortex-M4 without its floating point. SPDX-License-Identifier: MIT
set(KNOLL_BARE_TARGET cortex-m)
set(KNOLL_BARE_COMPILER arm-none-eabi-gcc)
set(KNOLL_BARE_FLAGS "-mcpu=cortex-m4 -mthumb")
include(${CMAKE_CURRENT_LIST_DIR}/toolchain-bare.cmake)
