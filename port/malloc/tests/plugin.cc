// A part in C++ of a program in C, which has no C++ library before it loads this.
// SPDX-License-Identifier: MIT
#include <new>

extern "C" int plugin() {
    try {
        static void *volatile block = ::operator new(static_cast<std::size_t>(1) << 60);
        return block != nullptr;
    } catch (const std::bad_alloc &) {
        return 0;
    }
}
