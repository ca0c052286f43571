# A large sort on two threads.
seq 600000 | awk '{ print ($1 * 7919) % 600011 " " $1 }' >lines
$UNDER sort --parallel=2 -S 64M -n lines | cksum
$UNDER sort --parallel=2 -S 4M lines | cksum
