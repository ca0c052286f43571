# What the programs must do as seen from outside: exit statuses and texts. SPDX-License-Identifier: MIT

# Runs the command, and expects exactly this status and an output that matches the pattern.
function(knoll_expect name status pattern)
    add_test(NAME run.${name} COMMAND ${CMAKE_COMMAND} -DSTATUS=${status} -DPATTERN=${pattern}
        -P ${CMAKE_CURRENT_SOURCE_DIR}/expect.cmake -- ${ARGN})
endfunction()

set(whole "used bytes 0 .*, knoll_check 0 ")
set(played "as it was left.*${whole}")

if(CMAKE_SYSTEM_NAME STREQUAL Generic)
    get_target_property(emulator replay CROSSCOMPILING_EMULATOR)
    set(image ${emulator} $<TARGET_FILE:replay> 120)
    knoll_expect(replay 0 "${played}.*${played}" ${image})
    knoll_expect(replay_one 0 "^Replaying SQLite.*${played}" ${image} "--program sqlite --region 3M")
    knoll_expect(replay_small 1 "out of memory.*${whole}.*out of memory.*${whole}" ${image} "--region 256K")
    knoll_expect(replay_no_heap 1 "no heap: .*no heap: " ${image} "--region 28K")
    knoll_expect(replay_huge 1 "no memory for such a region" ${image} "--region 3G")
    knoll_expect(replay_wrong 2 "^--nonsense: [^\n]*\n$" ${image} "--nonsense")
    return()
endif()

set(run $<TARGET_FILE:knoll-run>)
set(replay $<TARGET_FILE:knoll-replay>)

# Right answers in the default region, on both loads.
knoll_expect(lua 0 "json +right.*${whole}" ${run} --program lua)
knoll_expect(sqlite 0 "vacuum +right.*${whole}" ${run} --program sqlite)
knoll_expect(small 0 "json +right.*${whole}.*vacuum +right.*${whole}" ${run} --load small)

# Regions too small, down to the smallest: the program's own error, an empty heap, and no crash.
foreach(size 32K 36K 48K 64K 96K 100K 128K 256K 512K 1M 2M)
    knoll_expect(lua_${size} 1 "not enough memory.*${whole}" ${run} --program lua --region ${size})
    knoll_expect(sqlite_${size} 1 "out of memory.*${whole}" ${run} --program sqlite --region ${size})
endforeach()
foreach(size 0 1 4096 28K 100001)
    knoll_expect(no_heap_${size} 1 "no heap: " ${run} --region ${size})
endforeach()

# Wrong arguments: one line.
set(wrong "--region;--region=;--region=x;--region=12Q;--region=1M1;--region=-1;--region=99999999999999999999;--program;\
--program=perl;--colour=blue;--load=big;--record;--record=;--record=x;--nonsense;--regional=1M;word;-h;--help=1")
set(number 0)
foreach(argument ${wrong})
    math(EXPR number "${number} + 1")
    knoll_expect(wrong_${number} 2 "^knoll-run: [^\n]*\n$" ${run} ${argument})
endforeach()
knoll_expect(help 0 "^usage: knoll-run" ${run} --help)

# Colours only where they are wanted.
string(ASCII 27 escape)
knoll_expect(colour_auto 1 "^[^${escape}]*$" ${run} --region 64K)
knoll_expect(colour_never 1 "^[^${escape}]*$" ${run} --region 64K --colour=never)
knoll_expect(colour_always 1 "${escape}" ${run} --region 64K --colour=always)

# Traces: the stored ones, and new ones recorded, replayed whole, in too small a region, and cut short.
foreach(program lua sqlite)
    set(trace ${CMAKE_CURRENT_BINARY_DIR}/${program}.trace)
    knoll_expect(replay_stored_${program} 0 "${played}" ${replay} ${traces}/${program}.trace)
    knoll_expect(record_${program} 0 "${whole}" ${run} --load small --program ${program} --record ${trace})
    knoll_expect(replay_${program} 0 "${played}" ${replay} ${trace})
    knoll_expect(replay_small_${program} 1 "out of memory.*${whole}" ${replay} --region 256K ${trace})
    knoll_expect(replay_cut_${program} 1 "damaged.*${whole}" sh -c
        [[head -c 150000 "$1" >"$1.cut" && "$2" "$1.cut"]] sh ${trace} ${replay})
    set_tests_properties(run.record_${program} PROPERTIES FIXTURES_SETUP ${program}_trace)
    set_tests_properties(run.replay_${program} run.replay_small_${program} run.replay_cut_${program}
        PROPERTIES FIXTURES_REQUIRED ${program}_trace)
endforeach()
knoll_expect(record_nowhere 1 "^knoll-run: cannot write" ${run} --program lua --record /nowhere/trace)
knoll_expect(replay_help 0 "^usage: knoll-replay" ${replay} --help)
knoll_expect(replay_none 2 "^knoll-replay: which trace[^\n]*\n$" ${replay})
knoll_expect(replay_two 2 "^knoll-replay: [^\n]*\n$" ${replay} one two)
knoll_expect(replay_wrong 2 "^knoll-replay: [^\n]*\n$" ${replay} --program=lua one)
knoll_expect(replay_no_file 1 "^knoll-replay: cannot read [^\n]*\n$" ${replay} nowhere.trace)
knoll_expect(replay_no_trace 1 "^knoll-replay: no trace: [^\n]*\n$" ${replay} ${CMAKE_CURRENT_LIST_FILE})
