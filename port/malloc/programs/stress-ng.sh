# Its stressors of malloc, with what they wrote verified.
$UNDER stress-ng --quiet --verify --malloc 2 --malloc-ops 20000 --malloc-bytes 16M
$UNDER stress-ng --quiet --verify --malloc 2 --malloc-ops 5000 --malloc-thresh 4096 --malloc-pthreads 2 --malloc-touch
$UNDER stress-ng --quiet --verify --bigheap 1 --bigheap-ops 500 --bigheap-growth 64K
