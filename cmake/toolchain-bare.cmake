# What the toolchain files of all bare targets share. SPDX-License-Identifier: MIT
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR ${KNOLL_BARE_TARGET})
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY) # no program links without a linker script
# -DCMAKE_C_COMPILER=... chooses another gcc, or clang for x86_64 and, with CMAKE_C_COMPILER_TARGET and
# CMAKE_ASM_COMPILER_TARGET, for aarch64. On riscv64 and cortex-m what is here needs gcc.
if(NOT CMAKE_C_COMPILER)
    set(CMAKE_C_COMPILER ${KNOLL_BARE_COMPILER})
endif()

# Compilers that are made for an operating system assume more than there is.
set(CMAKE_C_FLAGS_INIT "${KNOLL_BARE_FLAGS} -ffreestanding -fno-pie -fno-stack-protector \
-fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections")
set(CMAKE_ASM_FLAGS_INIT "${KNOLL_BARE_FLAGS}")

# Nor is the target to be lost where flags are given, which are then taken instead of those.
foreach(language C ASM)
    if(DEFINED CACHE{CMAKE_${language}_FLAGS})
        string(FIND "${CMAKE_${language}_FLAGS}" "${CMAKE_${language}_FLAGS_INIT}" place)
        if(place EQUAL -1)
            set(CMAKE_${language}_FLAGS "${CMAKE_${language}_FLAGS_INIT} ${CMAKE_${language}_FLAGS}" CACHE STRING "" FORCE)
        endif()
    endif()
endforeach()
