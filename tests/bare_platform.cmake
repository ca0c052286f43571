# Tests the bare-metal platform by itself: statuses that must arrive, and faults that must be told. To be included where
# knoll_add_image() is known. SPDX-License-Identifier: MIT
knoll_add_image(bare_selftest SOURCES ${KNOLL_BARE_DIR}/selftest.c)

# Runs the image with this argument, and expects exactly this status and text that matches the pattern.
function(knoll_add_platform_test argument status pattern)
    if(status EQUAL 124)
        set(seconds 1) # which are waited for
    else()
        set(seconds 60)
    endif()
    string(REPLACE " " "_" name "${argument}")
    add_test(NAME bare_platform.${name} COMMAND ${CMAKE_CURRENT_LIST_DIR}/bare_platform.sh ${status} ${pattern}
        ${CMAKE_CURRENT_LIST_DIR}/../tools/emulate ${KNOLL_BARE_TARGET} $<TARGET_FILE:bare_selftest>
        ${seconds} ${argument})
endfunction()

knoll_add_platform_test("checks" 0 "^selftest: passed$")
knoll_add_platform_test("exit 0" 0 "^$")
knoll_add_platform_test("exit 1" 1 "^$")
knoll_add_platform_test("exit 42" 42 "^$")
knoll_add_platform_test("exit 123" 123 "^$")
knoll_add_platform_test("exit 256" 123 "^$")
knoll_add_platform_test("return" 42 "^$")
knoll_add_platform_test("trap" 125 "^exception: .* at 0x[0-9a-f]*[1-9a-f]")
knoll_add_platform_test("wild" 125 "^exception: .* at 0x[0-9a-f]*[1-9a-f]")
knoll_add_platform_test("overflow" 125 "^exception: stack overflow: ")
knoll_add_platform_test("overrun" 125 "stack overflow: ")
knoll_add_platform_test("wait" 124 "has not ended within 1 s$")

# An image without arguments is also run as any test of the project is.
add_test(NAME bare_platform.no_argument COMMAND bare_selftest)
