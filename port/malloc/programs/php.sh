# Arrays, strings and JSON, without PHP's own allocator.
cat >test.php <<'SOURCE'
<?php
$table = [];
for ($i = 0; $i < 200000; $i++) $table[$i * 7919 % 30011][] = str_repeat(chr(97 + $i % 26), $i % 13);
ksort($table);
$text = json_encode($table);
echo strlen($text), " ", crc32($text), " ", count(json_decode($text, true)), "\n";
SOURCE
USE_ZEND_ALLOC=0 $UNDER php -d memory_limit=-1 test.php
