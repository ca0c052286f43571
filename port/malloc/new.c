/* C++'s operators new and delete, every form up to C++17, under their mangled names (Itanium C++ ABI), so that no
 * C++ compiler is needed, nor its library where a program has none.
 *
 * A program may replace any of them, and by [new.delete] its own serve for those that it has not replaced: new for
 * new[] and for the forms that do not throw, delete for delete[] and for those that name a size, and likewise with an
 * alignment. So each is weak, for programs that this is linked into; those that others are made of can be
 * the program's where this is loaded (replaceable.txt); and the others ask whether they are. What is not done: a
 * replaced new that throws, called for a form that does not, throws through it, because C cannot catch.
 *
 * A request that fails calls the new-handler for as long as there is one, as [new.delete.single] says; then new throws
 * std::bad_alloc, and its nothrow forms give NULL.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "internal.h"

#include <stdlib.h>

void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);

struct nothrow; /* std::nothrow_t */

/* Of the C++ library, if the program has it. */
#define GET_NEW_HANDLER "_ZSt15get_new_handlerv"
#define THROW_BAD_ALLOC "_ZSt17__throw_bad_allocv"
typedef void (*new_handler)(void);
typedef new_handler handler_getter(void);
typedef void thrower(void);
__attribute__((weak)) handler_getter get_new_handler __asm__(GET_NEW_HANDLER);
__attribute__((weak)) thrower throw_bad_alloc __asm__(THROW_BAD_ALLOC);

static new_handler current_handler(void)
{
    handler_getter *get = get_new_handler;
    if (get == NULL && late_find != NULL)
        *(void **)&get = late_find(GET_NEW_HANDLER);
    return get == NULL ? NULL : get();
}

static _Noreturn void throw(void)
{
    thrower *throw_it = throw_bad_alloc;
    if (throw_it == NULL && late_find != NULL)
        *(void **)&throw_it = late_find(THROW_BAD_ALLOC);
    if (throw_it != NULL)
        throw_it();
    abort();
}

static void *allocate(size_t alignment, size_t size, const void *caller)
{
    for (;;) {
        called_by(caller);
        keep_caller(true);
        void *block = alignment <= ALIGNMENT ? malloc(size) : aligned_alloc(alignment, size);
        keep_caller(false);
        if (LIKELY(block != NULL))
            return block;
        new_handler handler = current_handler();
        if (handler == NULL)
            return NULL;
        handler();
    }
}

static void *allocate_or_throw(size_t alignment, size_t size, const void *caller)
{
    void *block = allocate(alignment, size, caller);
    if (UNLIKELY(block == NULL))
        throw();
    return block;
}

#define OPERATOR(result, name, mangled, ...)                                                                           \
    EXPORT __attribute__((weak)) result name(__VA_ARGS__) __asm__(mangled);                                            \
    result name(__VA_ARGS__)

/* ---- Those that others are made of, and by other names what they are here ---- */

OPERATOR(void *, new_, "_Znwm", size_t size)
{
    return allocate_or_throw(1, size, CALLER);
}

OPERATOR(void *, new_aligned, "_ZnwmSt11align_val_t", size_t size, size_t alignment)
{
    return allocate_or_throw(alignment, size, CALLER);
}

OPERATOR(void, delete_, "_ZdlPv", void *block)
{
    free(block);
}

OPERATOR(void, delete_aligned, "_ZdlPvSt11align_val_t", void *block, size_t alignment)
{
    (void)alignment;
    free(block);
}

HIDDEN void *own_new(size_t size) __attribute__((alias("_Znwm")));
HIDDEN void *own_new_aligned(size_t size, size_t alignment) __attribute__((alias("_ZnwmSt11align_val_t")));
HIDDEN void own_delete(void *block) __attribute__((alias("_ZdlPv")));
HIDDEN void own_delete_aligned(void *block, size_t alignment) __attribute__((alias("_ZdlPvSt11align_val_t")));

OPERATOR(void *, new_array, "_Znam", size_t size)
{
    return new_(size);
}

OPERATOR(void *, new_array_aligned, "_ZnamSt11align_val_t", size_t size, size_t alignment)
{
    return new_aligned(size, alignment);
}

OPERATOR(void, delete_array, "_ZdaPv", void *block)
{
    delete_(block);
}

OPERATOR(void, delete_array_aligned, "_ZdaPvSt11align_val_t", void *block, size_t alignment)
{
    delete_aligned(block, alignment);
}

HIDDEN void *own_new_array(size_t size) __attribute__((alias("_Znam")));
HIDDEN void *own_new_array_aligned(size_t size, size_t alignment) __attribute__((alias("_ZnamSt11align_val_t")));
HIDDEN void own_delete_array(void *block) __attribute__((alias("_ZdaPv")));
HIDDEN void own_delete_array_aligned(void *block, size_t alignment) __attribute__((alias("_ZdaPvSt11align_val_t")));

/* Whether the program has its own, or its own one of what they are made of. */
static bool new_is_own(void)
{
    return new_ == own_new;
}

static bool new_array_is_own(void)
{
    return new_is_own() && new_array == own_new_array;
}

static bool new_aligned_is_own(void)
{
    return new_aligned == own_new_aligned;
}

static bool new_array_aligned_is_own(void)
{
    return new_aligned_is_own() && new_array_aligned == own_new_array_aligned;
}

static bool delete_is_own(void)
{
    return delete_ == own_delete;
}

static bool delete_array_is_own(void)
{
    return delete_is_own() && delete_array == own_delete_array;
}

static bool delete_aligned_is_own(void)
{
    return delete_aligned == own_delete_aligned;
}

static bool delete_array_aligned_is_own(void)
{
    return delete_aligned_is_own() && delete_array_aligned == own_delete_array_aligned;
}

/* ---- The others ---- */

OPERATOR(void *, new_nothrow, "_ZnwmRKSt9nothrow_t", size_t size, const struct nothrow *tag)
{
    (void)tag;
    return new_is_own() ? allocate(1, size, CALLER) : new_(size);
}

OPERATOR(void *, new_array_nothrow, "_ZnamRKSt9nothrow_t", size_t size, const struct nothrow *tag)
{
    (void)tag;
    return new_array_is_own() ? allocate(1, size, CALLER) : new_array(size);
}

OPERATOR(void *, new_aligned_nothrow, "_ZnwmSt11align_val_tRKSt9nothrow_t", size_t size, size_t alignment,
         const struct nothrow *tag)
{
    (void)tag;
    return new_aligned_is_own() ? allocate(alignment, size, CALLER) : new_aligned(size, alignment);
}

OPERATOR(void *, new_array_aligned_nothrow, "_ZnamSt11align_val_tRKSt9nothrow_t", size_t size, size_t alignment,
         const struct nothrow *tag)
{
    (void)tag;
    return new_array_aligned_is_own() ? allocate(alignment, size, CALLER) : new_array_aligned(size, alignment);
}

OPERATOR(void, delete_sized, "_ZdlPvm", void *block, size_t size)
{
    if (LIKELY(delete_is_own()))
        free_sized(block, size);
    else
        delete_(block);
}

OPERATOR(void, delete_array_sized, "_ZdaPvm", void *block, size_t size)
{
    if (LIKELY(delete_array_is_own()))
        free_sized(block, size);
    else
        delete_array(block);
}

OPERATOR(void, delete_aligned_sized, "_ZdlPvmSt11align_val_t", void *block, size_t size, size_t alignment)
{
    if (LIKELY(delete_aligned_is_own()))
        free_aligned_sized(block, alignment, size);
    else
        delete_aligned(block, alignment);
}

OPERATOR(void, delete_array_aligned_sized, "_ZdaPvmSt11align_val_t", void *block, size_t size, size_t alignment)
{
    if (LIKELY(delete_array_aligned_is_own()))
        free_aligned_sized(block, alignment, size);
    else
        delete_array_aligned(block, alignment);
}

OPERATOR(void, delete_nothrow, "_ZdlPvRKSt9nothrow_t", void *block, const struct nothrow *tag)
{
    (void)tag;
    delete_(block);
}

OPERATOR(void, delete_array_nothrow, "_ZdaPvRKSt9nothrow_t", void *block, const struct nothrow *tag)
{
    (void)tag;
    delete_array(block);
}

OPERATOR(void, delete_aligned_nothrow, "_ZdlPvSt11align_val_tRKSt9nothrow_t", void *block, size_t alignment,
         const struct nothrow *tag)
{
    (void)tag;
    delete_aligned(block, alignment);
}

OPERATOR(void, delete_array_aligned_nothrow, "_ZdaPvSt11align_val_tRKSt9nothrow_t", void *block, size_t alignment,
         const struct nothrow *tag)
{
    (void)tag;
    delete_array_aligned(block, alignment);
}
