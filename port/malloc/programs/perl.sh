# Hashes, strings and regular expressions.
cat >test.pl <<'SOURCE'
my (%count, $sum);
for my $i (1 .. 200000) { $count{$i * 7919 % 30011} .= chr(97 + $i % 26); }
for my $key (sort { $a <=> $b } keys %count) { $sum = ($sum * 31 + length($count{$key})) % 1000000007; }
my $text = join ' ', map { "$_-$count{$_}" } sort { $a <=> $b } keys %count;
my $matches = () = $text =~ /(\d+)-([a-m]+)/g;
$text =~ s/([aeiou]+)/<$1>/g;
my @parts = split /</, $text;
print "$sum $matches ", scalar(@parts), " ", length($text), "\n";
SOURCE
PERL_HASH_SEED=0 $UNDER perl test.pl
