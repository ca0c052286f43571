/* Tells Helgrind what the atomic operations of a source mean, which it does not know: included before the source by
 * the compiler's option -include, for tools/races.
 *
 * Helgrind takes an atomic operation for an ordinary access, so it would report each as a race, and all that is handed
 * on by them too. Here each of the compiler's operations becomes itself with requests to Helgrind around it: the
 * object is not checked; what releases happens before what acquires; and one that reads and writes, and is not relaxed,
 * is both, because it goes on with the release sequence that it finds. What is relaxed orders nothing. So a pair of
 * acquire and release that is too weak shows as a race of what it should have ordered.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_TESTS_HELGRIND_ATOMICS_H
#define KNOLL_TESTS_HELGRIND_ATOMICS_H

#include <valgrind/helgrind.h>

#define HELGRIND_BEGIN(object)                                                                                         \
    __typeof__(object) helgrind_object = (object);                                                                     \
    VALGRIND_HG_DISABLE_CHECKING(helgrind_object, sizeof *helgrind_object)
#define HELGRIND_ACQUIRE(order)                                                                                        \
    if ((order) != __ATOMIC_RELAXED && (order) != __ATOMIC_RELEASE)                                                    \
    ANNOTATE_HAPPENS_AFTER(helgrind_object)
#define HELGRIND_RELEASE(order)                                                                                        \
    if ((order) != __ATOMIC_RELAXED && (order) != __ATOMIC_ACQUIRE)                                                    \
    ANNOTATE_HAPPENS_BEFORE(helgrind_object)
#define HELGRIND_BOTH(order)                                                                                           \
    if ((order) != __ATOMIC_RELAXED) {                                                                                 \
        ANNOTATE_HAPPENS_AFTER(helgrind_object);                                                                       \
        ANNOTATE_HAPPENS_BEFORE(helgrind_object);                                                                      \
    }

#define __atomic_load_n(object, order)                                                                                 \
    __extension__({                                                                                                    \
        HELGRIND_BEGIN(object);                                                                                        \
        __typeof__(__atomic_load_n(helgrind_object, order)) helgrind_result = __atomic_load_n(helgrind_object, order); \
        HELGRIND_ACQUIRE(order);                                                                                       \
        helgrind_result;                                                                                               \
    })
#define __atomic_store_n(object, value, order)                                                                         \
    __extension__({                                                                                                    \
        HELGRIND_BEGIN(object);                                                                                        \
        HELGRIND_RELEASE(order);                                                                                       \
        __atomic_store_n(helgrind_object, value, order);                                                               \
    })

/* An operation that reads and writes, by its name and what follows the object. */
#define HELGRIND_CHANGE(operation, object, order, ...)                                                                 \
    __extension__({                                                                                                    \
        HELGRIND_BEGIN(object);                                                                                        \
        HELGRIND_BOTH(order);                                                                                          \
        __typeof__(operation(helgrind_object, __VA_ARGS__)) helgrind_result = operation(helgrind_object, __VA_ARGS__); \
        if ((order) != __ATOMIC_RELAXED)                                                                               \
            ANNOTATE_HAPPENS_AFTER(helgrind_object);                                                                   \
        helgrind_result;                                                                                               \
    })
#define __atomic_exchange_n(object, value, order) HELGRIND_CHANGE(__atomic_exchange_n, object, order, value, order)
#define __atomic_compare_exchange_n(object, expected, value, weak, order, failure)                                     \
    HELGRIND_CHANGE(__atomic_compare_exchange_n, object, order, expected, value, weak, order, failure)
#define __atomic_fetch_add(object, value, order) HELGRIND_CHANGE(__atomic_fetch_add, object, order, value, order)
#define __atomic_fetch_sub(object, value, order) HELGRIND_CHANGE(__atomic_fetch_sub, object, order, value, order)
#define __atomic_fetch_or(object, value, order)  HELGRIND_CHANGE(__atomic_fetch_or, object, order, value, order)
#define __atomic_fetch_and(object, value, order) HELGRIND_CHANGE(__atomic_fetch_and, object, order, value, order)
#define __atomic_add_fetch(object, value, order) HELGRIND_CHANGE(__atomic_add_fetch, object, order, value, order)

/* What stdatomic.h is made of. */
#define __atomic_load(object, result, order)                                                                           \
    __extension__({                                                                                                    \
        HELGRIND_BEGIN(object);                                                                                        \
        __atomic_load(helgrind_object, result, order);                                                                 \
        HELGRIND_ACQUIRE(order);                                                                                       \
    })
#define __atomic_store(object, value, order)                                                                           \
    __extension__({                                                                                                    \
        HELGRIND_BEGIN(object);                                                                                        \
        HELGRIND_RELEASE(order);                                                                                       \
        __atomic_store(helgrind_object, value, order);                                                                 \
    })
#define __atomic_exchange(object, value, result, order)                                                                \
    __extension__({                                                                                                    \
        HELGRIND_BEGIN(object);                                                                                        \
        HELGRIND_BOTH(order);                                                                                          \
        __atomic_exchange(helgrind_object, value, result, order);                                                      \
        HELGRIND_ACQUIRE(order);                                                                                       \
    })
#define __atomic_compare_exchange(object, expected, value, weak, order, failure)                                       \
    HELGRIND_CHANGE(__atomic_compare_exchange, object, order, expected, value, weak, order, failure)

#endif
