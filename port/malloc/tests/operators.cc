// Every form of operator new and delete, and what happens when there is no memory.
// SPDX-License-Identifier: MIT
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include <malloc.h>

static int failures;

#define EXPECT(condition)                                                       \
    do                                                                          \
        if (!(condition)) {                                                     \
            std::printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            failures++;                                                         \
        }                                                                       \
    while (0)

static volatile std::size_t too_large = PTRDIFF_MAX - 100;
static int handler_calls;

static void give_up_at_third()
{
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

static bool aligned(const void *block, std::size_t alignment)
{
    return reinterpret_cast<std::uintptr_t>(block) % alignment == 0;
}

int main()
{
    std::size_t used = mallinfo2().uordblks;
    for (std::size_t size = 0; size < 100000; size = size * 2 + 1) {
        ::operator delete(::operator new(size));
        ::operator delete[](::operator new[](size));
        ::operator delete(::operator new(size), size);
        ::operator delete[](::operator new[](size), size);
        ::operator delete(::operator new(size, std::nothrow), std::nothrow);
        ::operator delete[](::operator new[](size, std::nothrow), std::nothrow);
        for (std::size_t alignment = 1; alignment <= 65536; alignment *= 2) {
            std::align_val_t value{alignment};
            void *blocks[] = {::operator new(size, value), ::operator new[](size, value),
                              ::operator new(size, value, std::nothrow), ::operator new[](size, value, std::nothrow)};
            for (void *block : blocks)
                EXPECT(block != nullptr && aligned(block, alignment) && malloc_usable_size(block) >= size);
            ::operator delete(blocks[0], value);
            ::operator delete[](blocks[1], size, value);
            ::operator delete(blocks[2], value, std::nothrow);
            ::operator delete[](blocks[3], value, std::nothrow);
            ::operator delete(::operator new(size, value), size, value);
            ::operator delete[](::operator new[](size, value), value);
        }
    }
    EXPECT(mallinfo2().uordblks == used);

    bool thrown = false;
    try {
        ::operator delete(::operator new(too_large));
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    EXPECT(thrown);
    EXPECT(::operator new(too_large, std::nothrow) == nullptr);
    std::set_new_handler(give_up_at_third);
    EXPECT(::operator new(too_large, std::nothrow) == nullptr);
    EXPECT(handler_calls == 3);

    std::vector<std::string> strings;
    for (int i = 0; i < 10000; i++)
        strings.push_back(std::string(static_cast<std::size_t>(i % 300), 'x'));
    EXPECT(strings[299].size() == 299);
    return failures != 0;
}
