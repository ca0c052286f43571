# cmake -DSTATUS=<status> -DPATTERN=<pattern> -P expect.cmake -- <command>...
#
# Runs the command. Fails unless it ends with exactly this status and what it prints, on either stream, matches the pattern.
#
# SPDX-License-Identifier: MIT
set(command)
set(in_command FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
    if(in_command)
        list(APPEND command "${CMAKE_ARGV${i}}")
    elseif(CMAKE_ARGV${i} STREQUAL "--")
        set(in_command TRUE)
    endif()
endforeach()

execute_process(COMMAND ${command} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
message("${output}")
if(NOT status STREQUAL STATUS)
    message(FATAL_ERROR "ended with ${status} instead of ${STATUS}")
endif()
if(NOT output MATCHES "${PATTERN}")
    message(FATAL_ERROR "printed nothing that matches \"${PATTERN}\"")
endif()
