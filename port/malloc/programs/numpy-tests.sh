# Part of NumPy's own tests, with all of Python's objects from malloc as well: each test's result.
export PYTHONMALLOC=malloc PYTHONHASHSEED=1
status=0
$UNDER /usr/bin/python3 -m pytest -p no:cacheprovider -q -rA --tb=no -m "not slow" --pyargs numpy.ma \
    numpy.core.tests.test_{regression,records,defchararray,indexing} numpy.lib.tests.test_{io,function_base} >output 2>&1 || status=$?
grep -oE '^(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS) [^ ]+' output
echo "status $status"
