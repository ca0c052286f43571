// A program that replaces the two basic forms of new and delete, and with an alignment the same: by [new.delete] they
// serve for all others too. Each block has a head, so that one which goes past them is found.
//
// SPDX-License-Identifier: MIT
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <string>

static const std::size_t head = 64;
static long live, aligned_live;

static void *take(std::size_t alignment, std::size_t size, long *count)
{
    const std::size_t whole = (size + head + alignment - 1) / alignment * alignment;
    auto *block = static_cast<unsigned char *>(std::aligned_alloc(alignment, whole));
    if (block == nullptr)
        throw std::bad_alloc();
    (*count)++;
    return block + head;
}

static void give(void *block, long *count)
{
    if (block == nullptr)
        return;
    (*count)--;
    std::free(static_cast<unsigned char *>(block) - head);
}

void *operator new(std::size_t size)
{
    return take(head, size, &live);
}

void operator delete(void *block) noexcept
{
    give(block, &live);
}

void *operator new(std::size_t size, std::align_val_t)
{
    return take(head, size, &aligned_live);
}

void operator delete(void *block, std::align_val_t) noexcept
{
    give(block, &aligned_live);
}

static int failures;

static void expect(const char *what, long count, long wanted)
{
    if (count != wanted) {
        std::printf("%s: %ld, not %ld\n", what, count, wanted);
        failures++;
    }
}

int main()
{
    const auto align = std::align_val_t(64);
    const long before = live;
    void *blocks[] = {operator new(100), operator new[](100), operator new(100, std::nothrow), operator new[](100, std::nothrow)};
    expect("new, new[], both without exceptions", live - before, 4);
    operator delete(blocks[0], std::size_t(100));
    operator delete[](blocks[1], std::size_t(100));
    operator delete(blocks[2], std::nothrow);
    operator delete[](blocks[3], std::nothrow);
    expect("delete of them with a size, and without exceptions", live - before, 0);
    operator delete[](operator new[](10));
    expect("delete[]", live - before, 0);

    void *aligned[] = {operator new(100, align), operator new[](100, align), operator new(100, align, std::nothrow),
                       operator new[](100, align, std::nothrow)};
    expect("the same with an alignment", aligned_live, 4);
    operator delete(aligned[0], std::size_t(100), align);
    operator delete[](aligned[1], std::size_t(100), align);
    operator delete(aligned[2], align, std::nothrow);
    operator delete[](aligned[3], align, std::nothrow);
    expect("delete of them", aligned_live, 0);
    operator delete[](operator new[](10, align), align);
    expect("delete[] with an alignment", aligned_live, 0);

    {
        std::map<int, std::string> map;
        for (int i = 0; i < 1000; i++)
            map[i] = std::string(std::size_t(i % 99), 'x');
        expect("a map is made of them", live - before > 1000, 1);
    }
    expect("a map is gone", live - before, 0);
    return failures == 0 ? 0 : 1;
}
