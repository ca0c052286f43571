/* Lua takes its allocator as a function, and knows the size of each block that it frees or resizes: so its frees go to
 * knoll_free_sized, which verifies each of those sizes. All scripts run in one state, one after another, with the
 * garbage of the earlier ones in it.
 *
 * Whatever may run out of memory happens inside lua_pcall, which ends in Lua's own message.
 *
 * SPDX-License-Identifier: MIT */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>

#include "client.h"

static lua_State *state;

static void *allocate(void *heap, void *block, size_t old_size, size_t new_size)
{
    if (block == NULL) {
        return new_size == 0 ? NULL : client_malloc(heap, new_size); /* old_size is a kind of object here */
    }
    if (new_size == 0) {
        client_free_sized(heap, block, old_size);
        return NULL;
    }
    return client_realloc(heap, block, new_size);
}

/* ---- What runs inside lua_pcall ---- */

/* As Lua's own print, for answers. */
static int print(lua_State *lua)
{
    struct answers *answers = lua_touserdata(lua, lua_upvalueindex(1));
    int count = lua_gettop(lua);
    for (int i = 1; i <= count; i++) {
        size_t length;
        const char *string = luaL_tolstring(lua, i, &length);
        answers_add(answers, string, length);
        answers_add(answers, i < count ? "\t" : "\n", 1);
        lua_pop(lua, 1);
    }
    return 0;
}

static int prepare(lua_State *lua)
{
    const unsigned *load = lua_touserdata(lua, 1);
    luaL_openlibs(lua);
    lua_pushinteger(lua, *load);
    lua_setglobal(lua, "LOAD");
    return 0;
}

struct script {
    const char *path;
    struct answers *answers;
};

static int run_script(lua_State *lua)
{
    const struct script *script = lua_touserdata(lua, 1);
    lua_pushlightuserdata(lua, script->answers);
    lua_pushcclosure(lua, print, 1);
    lua_setglobal(lua, "print");
    if (luaL_loadfile(lua, script->path) != LUA_OK) {
        return lua_error(lua);
    }
    lua_call(lua, 0, 0);
    return 0;
}

/* Returns NULL, or Lua's message in memory that is not Lua's. */
static const char *protected_call(lua_CFunction function, void *argument)
{
    static char message[200];
    lua_pushcfunction(state, function);
    lua_pushlightuserdata(state, argument);
    if (lua_pcall(state, 1, 0, 0) == LUA_OK) {
        return NULL;
    }
    bool is_string = lua_type(state, -1) == LUA_TSTRING;
    snprintf(message, sizeof(message), "%s", is_string ? lua_tostring(state, -1) : "an error that is no string");
    lua_settop(state, 0);
    return message;
}

/* ---- The client ---- */

static const char *start(struct client_heap *heap, unsigned load)
{
    state = lua_newstate(allocate, heap);
    if (state == NULL) {
        return "not enough memory"; /* as Lua says once there is a state to say it */
    }
    return protected_call(prepare, &load);
}

static const char *run(const char *path, struct answers *answers)
{
    struct script script = {path, answers};
    return protected_call(run_script, &script);
}

static void stop(void)
{
    if (state != NULL) {
        lua_close(state);
        state = NULL;
    }
}

static const char *const scripts[] = {"queens", "life", "lisp", "words", "records", "json", NULL};

const struct client client_lua = {
    .name = "lua",
    .title = LUA_RELEASE,
    .extension = ".lua",
    .scripts = scripts,
    .start = start,
    .run = run,
    .stop = stop,
};
