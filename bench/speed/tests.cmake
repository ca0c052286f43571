# That knoll-speed measures, and refuses what it should; not how fast anything is. SPDX-License-Identifier: MIT
function(expect_speed name status pattern)
    add_test(NAME speed.${name} COMMAND ${CMAKE_COMMAND} -DSTATUS=${status} -DPATTERN=${pattern}
        -P ${PROJECT_SOURCE_DIR}/run/expect.cmake -- $<TARGET_FILE:knoll-speed> ${ARGN})
endfunction()

set(quick --rounds 1 --pairs 1000)
set(csv ${CMAKE_CURRENT_BINARY_DIR}/smoke.csv)
expect_speed(smoke 0 "FIFO.*knoll-classic .*knoll-classic-sized .*knoll-compact .*knoll-compact-sized .*knoll-lean .*glibc .*empty "
    ${quick} --csv ${csv})
expect_speed(other_draws 0 "uniform sizes, seed 7.*glibc .*empty " ${quick} --uniform --seed 7)
expect_speed(selection 0 "mixed\n.*knoll-compact .*glibc .*empty " ${quick} --workload mixed --contender knoll-compact)
expect_speed(peer 0 "empty .*empty " ${quick} --peer $<TARGET_FILE:peer-empty>)
expect_speed(no_peer 1 "knoll-speed: --peer: ./none.so: cannot open [^\n]*\n$" ${quick} --peer none.so)
expect_speed(unknown 2 "^knoll-speed: unknown argument --nonsense\n$" --nonsense)
expect_speed(no_value 2 "^knoll-speed: --rounds wants [^\n]*\n$" --rounds)
expect_speed(no_round 2 "^knoll-speed: --rounds wants [^\n]*\n$" --rounds 0)
expect_speed(no_number 2 "^knoll-speed: --seed wants [^\n]*\n$" --seed 1x)
expect_speed(no_workload 2 "^knoll-speed: --workload wants [^\n]*\n$" --workload huge)

# knoll's own figures and those from elsewhere, in a page that is not kept; and whether the page that is kept is current.
find_package(Python3 COMPONENTS Interpreter)
if(Python3_FOUND)
    set(document ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/bench/document)
    add_test(NAME speed.document COMMAND ${document} --output ${CMAKE_CURRENT_BINARY_DIR}/docs ${csv})
    add_test(NAME speed.published COMMAND ${document} --check)
    set_tests_properties(speed.smoke PROPERTIES FIXTURES_SETUP csv)
    set_tests_properties(speed.document PROPERTIES FIXTURES_REQUIRED csv)
endif()
