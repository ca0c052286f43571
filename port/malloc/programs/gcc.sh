# One large file. Without inlining, because gcc takes minutes to see that these functions call one another.
for ((i = 0; i < 800; i++)); do
    echo "int f$i(int *a, int n) { int s = $i; for (int k = 0; k < n; k++) s += a[k] * (k ^ $i) + f$((i > 0 ? i - 1 : 0))(a, n - k - 1); return s; }"
done >large.c
$UNDER gcc -O2 -fno-inline -fno-ipa-cp -S -o - large.c | cksum
