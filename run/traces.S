/* The stored traces, as they are in their files: those of knoll-run --load small --record, compact profile.
 * SPDX-License-Identifier: MIT */
    .section .rodata
    .global trace_lua, trace_lua_end, trace_sqlite, trace_sqlite_end
trace_lua:
    .incbin "lua.trace"
trace_lua_end:
trace_sqlite:
    .incbin "sqlite.trace"
trace_sqlite_end:
