# Two threads, there and back.
seq 1500000 >numbers
$UNDER xz -k -T2 --block-size=2MiB numbers
cksum <numbers.xz
$UNDER xz -dc -T2 numbers.xz | cmp - numbers && echo same
