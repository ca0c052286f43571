/* Linked with forks.c's library. SPDX-License-Identifier: MIT */
int forks(void);

int main(void)
{
    return forks();
}
