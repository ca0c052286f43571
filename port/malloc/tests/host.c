/* Calls a function of a shared object: host FILE FUNCTION. It is linked with nothing that this brings along.
 *
 * SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <stdio.h>

int main(int count, char **arguments)
{
    void *library = count == 3 ? dlopen(arguments[1], RTLD_NOW) : NULL;
    int (*function)(void) = NULL;
    if (library != NULL)
        *(void **)&function = dlsym(library, arguments[2]);
    if (function == NULL) {
        fprintf(stderr, "host: %s\n", count == 3 ? dlerror() : "usage: host FILE FUNCTION");
        return 2;
    }
    return function();
}
