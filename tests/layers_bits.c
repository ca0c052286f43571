/* The bit operations, against loops that look at one bit after the other.
 *
 * The values are those at which a count of zeros can go wrong: each pair of bits, each stretch of ones, and random
 * words with fewer and fewer bits. The file is built twice, the second time with the counts done in software, whatever
 * the processor has.
 *
 * SPDX-License-Identifier: MIT */
#include "bits.h"
#include "check.h"
#include "support.h"

static unsigned naive_highest(uint64_t value)
{
    unsigned position = 63;
    while ((value & (uint64_t)1 << position) == 0)
        position--;
    return position;
}

static unsigned naive_lowest(uint64_t value)
{
    unsigned position = 0;
    while ((value & (uint64_t)1 << position) == 0)
        position++;
    return position;
}

static void expect_counts(uint64_t value)
{
    uint32_t low = (uint32_t)value;
    uint32_t high = (uint32_t)(value >> 32);
    if (value == 0)
        return;
    assert_int_equal(bits_highest(value), naive_highest(value));
    assert_int_equal(bits_lowest(value), naive_lowest(value));
    if (low != 0) {
        assert_int_equal(bits_highest32(low), naive_highest(low));
        assert_int_equal(bits_lowest32(low), naive_lowest(low));
    }
    if (high != 0) {
        assert_int_equal(bits_highest32(high), naive_highest(high));
        assert_int_equal(bits_lowest32(high), naive_lowest(high));
    }
}

static void counts_of_zeros(void **state)
{
    struct random random = random_from(3);
    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        for (unsigned j = 0; j < 64; j++) {
            expect_counts((uint64_t)1 << i | (uint64_t)1 << j);
            expect_counts(((uint64_t)1 << i) - ((uint64_t)1 << j));
        }
    }
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t value = ~(uint64_t)0;
        for (unsigned sparser = 0; sparser < 7; sparser++) {
            value &= (uint64_t)random_next(&random) << 32 | random_next(&random);
            expect_counts(value);
        }
    }
}

static void words_of_low_bits(void **state)
{
    uint64_t low = 0;
    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        assert_int_equal(bits_low(i), low);
        assert_int_equal(bit(i), low + 1);
        low = low * 2 + 1;
    }
    assert_int_equal(bits_low(64), ~(uint64_t)0);
}

static void powers_of_two(void **state)
{
    size_t next = 1;
    (void)state;
    for (size_t value = 0; value < 70000; value++) {
        assert_true(is_power_of_two(value) == (value == next));
        if (value == next)
            next *= 2;
    }
    for (size_t power = 4; power != 0; power *= 2) {
        assert_true(is_power_of_two(power));
        assert_false(is_power_of_two(power - 1));
        assert_false(is_power_of_two(power + 1));
        assert_false(is_power_of_two(power | power / 2));
    }
}

static void rotations(void **state)
{
    struct random random = random_from(5);
    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        uint32_t value = random_next(&random);
        uint32_t rotated = value;
        for (unsigned count = 0; count < 32; count++) {
            assert_int_equal(rotate_right(value, count), rotated);
            rotated = rotated / 2 + ((rotated & 1) != 0 ? 0x80000000u : 0);
        }
        assert_int_equal(rotated, value);
        uintptr_t address = (uintptr_t)value << 8 | value, turned = address;
        for (unsigned count = 1; count < 32; count++) {
            turned = turned / 2 + ((turned & 1) != 0 ? UINTPTR_MAX / 2 + 1 : 0);
            assert_true(rotate_right_address(address, count) == turned);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(counts_of_zeros),
    cmocka_unit_test(words_of_low_bits),
    cmocka_unit_test(powers_of_two),
    cmocka_unit_test(rotations),
};

CHECK_MAIN(tests)
