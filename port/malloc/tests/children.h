/* Tests that may end their process, or hang it: each in a child.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_MALLOC_TESTS_CHILDREN_H
#define KNOLL_MALLOC_TESTS_CHILDREN_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define CHILD_SECONDS 30 /* after which it is said to hang: SIGALRM */

/* The signal that ends a process which does this, or 0; it prints nothing. A child's own findings are a status. */
static inline int ends_with(void (*act)(void))
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        alarm(CHILD_SECONDS);
        int pipe_ends[2];
        if (pipe(pipe_ends) == 0)
            dup2(pipe_ends[1], 2);
        act();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        return WTERMSIG(status);
    assert_int_equal(WEXITSTATUS(status), 0);
    return 0;
}

/* In a child: ends it if it finds this. */
static inline void child_expects(int holds)
{
    if (!holds)
        _exit(1);
}

#endif
