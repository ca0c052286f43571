/* SQLite takes its allocator as a table of functions, and rounds its requests up to what the allocator says it would
 * give anyway. The database and its temporary tables are in memory, so in the heap; the scripts run one after another
 * on one connection.
 *
 * SPDX-License-Identifier: MIT */
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "host.h"

static struct client_heap *client_heap; /* SQLite gives its allocator no context */
static sqlite3 *database;

/* ---- The allocator; sizes are never negative ---- */

static void *allocate(int size)
{
    return client_malloc(client_heap, (size_t)size);
}

static void release(void *block)
{
    client_free(client_heap, block);
}

static void *reallocate(void *block, int size)
{
    return client_realloc(client_heap, block, (size_t)size);
}

static int usable_size(void *block)
{
    return (int)knoll_usable_size(&client_heap->heap, block);
}

/* To what the heap would give anyway; but a recorded trace should show what SQLite wants, whatever the profile. SQLite
 * wants multiples of 8. */
static int round_up(int size)
{
    size_t good = knoll_good_size(&client_heap->heap, 8, (size_t)size);
    bool is_good = client_heap->recorder == NULL && good != 0 && good <= INT_MAX;
    return is_good ? (int)good : (size + 7) & ~7;
}

static int initialise(void *context)
{
    (void)context;
    return SQLITE_OK;
}

static void shut_down(void *context)
{
    (void)context;
}

static const sqlite3_mem_methods methods = {
    .xMalloc = allocate,
    .xFree = release,
    .xRealloc = reallocate,
    .xSize = usable_size,
    .xRoundup = round_up,
    .xInit = initialise,
    .xShutdown = shut_down,
};

/* ---- Scripts ---- */

/* Prints a row as the sqlite3 program does: values between bars, nothing for NULL. */
static int print_row(sqlite3_stmt *statement, struct answers *answers)
{
    for (int i = 0, count = sqlite3_column_count(statement); i < count; i++) {
        bool is_null = sqlite3_column_type(statement, i) == SQLITE_NULL;
        const char *value = (const char *)sqlite3_column_text(statement, i);
        if (value == NULL && !is_null) {
            return SQLITE_NOMEM;
        }
        if (value != NULL) {
            answers_add(answers, value, strlen(value));
        }
        answers_add(answers, i + 1 < count ? "|" : "\n", 1);
    }
    return SQLITE_OK;
}

static int run_statement(sqlite3_stmt *statement, struct answers *answers)
{
    int status;
    do {
        status = sqlite3_step(statement);
        if (status == SQLITE_ROW && print_row(statement, answers) != SQLITE_OK) {
            status = SQLITE_NOMEM;
        }
    } while (status == SQLITE_ROW);
    return status == SQLITE_DONE ? SQLITE_OK : status;
}

static int run_statements(const char *text, struct answers *answers)
{
    int status = SQLITE_OK;
    while (status == SQLITE_OK && *text != '\0') {
        sqlite3_stmt *statement = NULL;
        status = sqlite3_prepare_v2(database, text, -1, &statement, &text);
        if (statement != NULL) { /* else there was nothing but a comment */
            status = run_statement(statement, answers);
            sqlite3_finalize(statement);
        }
    }
    return status;
}

/* The message of a status, in memory that is not SQLite's. */
static const char *message_of(int status)
{
    static char message[200];
    bool in_general = database == NULL || sqlite3_errcode(database) != status;
    snprintf(message, sizeof(message), "%s", in_general ? sqlite3_errstr(status) : sqlite3_errmsg(database));
    return message;
}

/* ---- The client ---- */

static const char *start(struct client_heap *heap, unsigned load)
{
    client_heap = heap;
    char statements[160];
    snprintf(statements, sizeof(statements),
             "PRAGMA temp_store = MEMORY; CREATE TABLE load (factor INTEGER); INSERT INTO load VALUES (%u);", load);
    int status = sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
    if (status == SQLITE_OK) {
        status = sqlite3_initialize();
    }
    if (status == SQLITE_OK) {
        status = sqlite3_open(":memory:", &database);
    }
    if (status == SQLITE_OK) {
        status = sqlite3_exec(database, statements, NULL, NULL, NULL);
    }
    return status == SQLITE_OK ? NULL : message_of(status);
}

static const char *run(const char *path, struct answers *answers)
{
    size_t size = 0;
    char *text = host_read_file(path, &size);
    if (text == NULL) {
        return "cannot read the script";
    }
    int status = run_statements(text, answers);
    free(text);
    return status == SQLITE_OK ? NULL : message_of(status);
}

static void stop(void)
{
    sqlite3_close(database);
    database = NULL;
    sqlite3_shutdown();
}

static const char *const scripts[] = {"fill", "query", "change", "vacuum", NULL};

const struct client client_sqlite = {
    .name = "sqlite",
    .title = "SQLite " SQLITE_VERSION,
    .extension = ".sql",
    .scripts = scripts,
    .start = start,
    .run = run,
    .stop = stop,
};
