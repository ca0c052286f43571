# What the toolchain files of all bare targets share. SPDX-License-Identifier: MIT
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR ${KNOLL_BARE_TARGET})
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY) # no program links without a linker script
if(NOT CMAKE_C_COMPILER) # -DCMAKE_C_COMPILER=... chooses another
    set(CMAKE_C_COMPILER ${KNOLL_BARE_COMPILER})
endif()

# Compilers that are made for an operating system assume more than there is.
set(CMAKE_C_FLAGS_INIT "${KNOLL_BARE_FLAGS} -ffreestanding -fno-pie -fno-stack-protector \
-fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections")
set(CMAKE_ASM_FLAGS_INIT "${KNOLL_BARE_FLAGS}")
