# A PC in long mode, by the host's compiler. An interrupt would overwrite a red zone. SPDX-License-Identifier: MIT
set(KNOLL_BARE_TARGET x86_64)
set(KNOLL_BARE_COMPILER gcc)
set(KNOLL_BARE_FLAGS "-m64 -mno-red-zone -mgeneral-regs-only -fcf-protection=none")
include(${CMAKE_CURRENT_LIST_DIR}/toolchain-bare.cmake)
