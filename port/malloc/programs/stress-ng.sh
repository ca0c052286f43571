# Its stressors of malloc, with what they wrote verified.
$UNDER stress-ng --quiet --verify --malloc 2 --malloc-ops 200000 --malloc-bytes 64M
$UNDER stress-ng --quiet --verify --malloc 2 --malloc-ops 50000 --malloc-thresh 4096 --malloc-pthreads 2 --malloc-touch
$UNDER stress-ng --quiet --verify --bigheap 1 --bigheap-ops 2000 --bigheap-growth 64K
