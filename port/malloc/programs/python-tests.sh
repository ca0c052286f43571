# Part of Python's own tests, with all objects from malloc.
PYTHONMALLOC=malloc $UNDER /usr/bin/python3 -m test -q test_json test_list test_dict test_set test_bytes test_deque test_re test_sort \
    test_memoryview test_thread test_queue 2>&1 | grep -E '[Rr]esult: |tests? (failed|OK)|^test_[a-z]+ (failed|crashed)' | sort -u
