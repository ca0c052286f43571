/* The C++ library of a program that has come to it late, with a part of its own that it loaded. In the shared library
 * alone: what is linked with the archive may be static, and then loads nothing.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "internal.h"

#include <dlfcn.h>

void *late_find(const char *name)
{
    void *library = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD);
    return library == NULL ? NULL : dlsym(library, name);
}
