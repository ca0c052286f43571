# Images that boot without an operating system, for the target that the toolchain file names.
#
#   knoll_add_image(<name> SOURCES <file>... [LIBRARIES <target>...])
#
# makes <name>.elf, which tools/emulate runs; so does add_test(NAME ... COMMAND <name> [seconds [arguments]]).
#
# SPDX-License-Identifier: MIT
if(NOT KNOLL_BARE_TARGET) # somebody's own toolchain file
    message(STATUS "The library alone: images and tests need --toolchain cmake/toolchain-<target>.cmake")
    set(KNOLL_TESTS OFF)
    return()
endif()
set(KNOLL_BARE_DIR ${CMAKE_CURRENT_LIST_DIR}/../port/bare)

enable_language(ASM)

# The platform, as objects rather than an archive: nothing refers to the start.
add_library(knoll_bare OBJECT
    ${KNOLL_BARE_DIR}/platform.c
    ${KNOLL_BARE_DIR}/memory.c
    ${KNOLL_BARE_DIR}/${KNOLL_BARE_TARGET}/start.S
    ${KNOLL_BARE_DIR}/${KNOLL_BARE_TARGET}/platform.c)
if(NOT KNOLL_BARE_TARGET STREQUAL x86_64)
    target_sources(knoll_bare PRIVATE ${KNOLL_BARE_DIR}/semihosting.c)
endif()
set(KNOLL_BARE_PROCESSORS OFF) # whether processors.h can be used
if(EXISTS ${KNOLL_BARE_DIR}/${KNOLL_BARE_TARGET}/processors.S)
    set(KNOLL_BARE_PROCESSORS ON)
    target_sources(knoll_bare PRIVATE
        ${KNOLL_BARE_DIR}/processors.c
        ${KNOLL_BARE_DIR}/${KNOLL_BARE_TARGET}/processors.S
        ${KNOLL_BARE_DIR}/${KNOLL_BARE_TARGET}/processors.c)
endif()
target_include_directories(knoll_bare PUBLIC ${KNOLL_BARE_DIR})
target_compile_options(knoll_bare PRIVATE
    $<$<COMPILE_LANGUAGE:C>:$<TARGET_PROPERTY:knoll_warnings,INTERFACE_COMPILE_OPTIONS>>)
set(alone -fno-lto) # memory.c says why
if(CMAKE_C_COMPILER_ID STREQUAL GNU)
    list(APPEND alone -fno-tree-loop-distribute-patterns)
endif()
set_source_files_properties(${KNOLL_BARE_DIR}/memory.c PROPERTIES COMPILE_OPTIONS "${alone}")

function(knoll_add_image name)
    cmake_parse_arguments(PARSE_ARGV 1 IMAGE "" "" "SOURCES;LIBRARIES")
    if(IMAGE_UNPARSED_ARGUMENTS OR NOT IMAGE_SOURCES)
        message(FATAL_ERROR "usage: knoll_add_image(<name> SOURCES <file>... [LIBRARIES <target>...])")
    endif()
    set(root ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/..)
    set(script ${root}/port/bare/${KNOLL_BARE_TARGET}/link.ld)
    add_executable(${name} ${IMAGE_SOURCES})
    target_link_libraries(${name} PRIVATE knoll_bare knoll_warnings ${IMAGE_LIBRARIES})
    target_link_options(${name} PRIVATE -nostdlib -static -T ${script} -L ${root}/port/bare
        LINKER:--gc-sections,--build-id=none,-z,max-page-size=4096,-z,noexecstack)
    set_target_properties(${name} PROPERTIES
        SUFFIX .elf
        LINK_DEPENDS "${script};${root}/port/bare/sections.ld"
        CROSSCOMPILING_EMULATOR "${root}/tools/emulate;${KNOLL_BARE_TARGET}")
endfunction()
