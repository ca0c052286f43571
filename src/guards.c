/* Front parts, canaries and the fill.
 *
 * A canary must tell apart what was written there from everything that a stray write may leave. So each depends on a
 * secret of the heap and on the address: a copy of another block's does not pass, nor does what lay there before. The
 * front part's mixes in its other words; on 64 bits half of its word is left to the block's number. The one at the end
 * is a word that is repeated. The bytes of both are even and have the highest bit set: neither a zero that ends a text,
 * nor ASCII, nor 0xFF passes in any place, whatever the secret. What is left, six bits a byte, is as much as has to be
 * guessed.
 *
 * SPDX-License-Identifier: MIT */
#include "knoll.h"

#if KNOLL_HARDEN >= 2

#include "guards.h"

#define WORD       sizeof(uintptr_t)
#define EACH_BYTE  (UINTPTR_MAX / 255) /* a word of which each byte is 1 */
#define MULTIPLIER ((uintptr_t)(UINTPTR_MAX > UINT32_MAX ? 0x9E3779B97F4A7C15u : 0x9E3779B1u)) /* odd */

static uintptr_t mix(uintptr_t state, uintptr_t word)
{
    state = (state ^ word) * MULTIPLIER;
    return state ^ state >> 4 * WORD;
}

uintptr_t knoll_guard_secret(const struct knoll_heap *heap, const void *start)
{
    return mix(mix(MULTIPLIER, (uintptr_t)heap), (uintptr_t)start);
}

/* A canary of which each byte is even and over 127. */
static uintptr_t canary_of(uintptr_t state)
{
    return (state & 0x7E * EACH_BYTE) | 0x80 * EACH_BYTE;
}

static uint32_t seal_of(const struct knoll_heap *heap, const unsigned char *user)
{
    const struct guard_front *front = guard_front_of(user);
    uintptr_t state = mix(mix(heap->secret, (uintptr_t)user), front->size);
    state = mix(mix(state, front->caller), front->notes);
    return (uint32_t)canary_of(mix(state, guard_number(front)));
}

void knoll_guard_seal(const struct knoll_heap *heap, unsigned char *user)
{
    uint32_t seal = seal_of(heap, user);
    for (unsigned i = 0; i < GUARD_CANARIES; i++)
        guard_front_of(user)->canary[i] = seal;
}

bool knoll_guard_is_sealed(const struct knoll_heap *heap, const unsigned char *user)
{
    uint32_t seal = seal_of(heap, user);
    uint32_t differs = 0;
    for (unsigned i = 0; i < GUARD_CANARIES; i++)
        differs |= guard_front_of(user)->canary[i] ^ seal;
    return differs == 0;
}

/* ---- Spans that hold a word again and again: the byte at each address is that of the word which lies there ---- */

static unsigned char byte_at(uintptr_t word, const unsigned char *address)
{
    unsigned char bytes[WORD];
    __builtin_memcpy(bytes, &word, WORD);
    return bytes[(uintptr_t)address % WORD];
}

static bool has_word(const unsigned char *address, uintptr_t word)
{
    return *(const any_word *)__builtin_assume_aligned(address, WORD) == word;
}

/* The first byte of the span, which ends at a multiple of WORD, that is not the word's; or NULL. */
static const unsigned char *span_broken(const unsigned char *start, const unsigned char *end, uintptr_t word)
{
    const unsigned char *at = start;
    if ((uintptr_t)at - 1 >= (uintptr_t)end - 1) /* the end of all addresses is 0 */
        return NULL;
    for (; (uintptr_t)at % WORD != 0; at++) /* at most WORD - 1 rounds */
        if (*at != byte_at(word, at))
            return at;
    while (at != end && has_word(at, word)) /* a round a word */
        at += WORD;
    if (at == end)
        return NULL;
    while (*at == byte_at(word, at)) /* at most WORD - 1 rounds: a word differs */
        at++;
    return at;
}

static uintptr_t canary_word(const struct knoll_heap *heap, const unsigned char *user)
{
    return canary_of(mix(heap->secret, (uintptr_t)user));
}

void knoll_guard_close(const struct knoll_heap *heap, unsigned char *user, const unsigned char *end)
{
    uintptr_t word = canary_word(heap, user);
    unsigned char *at = user + guard_front_of(user)->size;
    for (; (uintptr_t)at % WORD != 0; at++) /* at most WORD - 1 rounds */
        *at = byte_at(word, at);
    for (; (uintptr_t)at - 1 < (uintptr_t)end - 1; at += WORD) /* blocks end at a multiple of WORD, which may be 0 */
        __builtin_memcpy(__builtin_assume_aligned(at, WORD), &word, WORD);
}

const unsigned char *knoll_guard_broken(const struct knoll_heap *heap, const unsigned char *user,
                                        const unsigned char *end)
{
    return span_broken(user + guard_front_of(user)->size, end, canary_word(heap, user));
}

#if KNOLL_MEMORY_IS_ZERO

void knoll_fill(unsigned char *start, const unsigned char *end)
{
    while ((size_t)(end - start) > KNOLL_PAGE) { /* a round a page: what holds it is not touched */
        unsigned char *next = start + KNOLL_PAGE - (uintptr_t)start % WORD;
        if (knoll_fill_broken(start, next) != NULL)
            __builtin_memset(start, FILL_BYTE, (size_t)(next - start));
        start = next;
    }
    __builtin_memset(start, FILL_BYTE, (size_t)(end - start));
}

#else

void knoll_fill(unsigned char *start, const unsigned char *end)
{
    __builtin_memset(start, FILL_BYTE, (size_t)(end - start));
}

#endif

const unsigned char *knoll_fill_broken(const unsigned char *start, const unsigned char *end)
{
    return span_broken(start, end, FILL_BYTE * EACH_BYTE);
}

#endif
