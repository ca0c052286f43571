# A repository of a few hundred commits: log, repack, check.
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
$UNDER git init -q -b main .
$UNDER git config user.name A
$UNDER git config user.email a@b
$UNDER git config gc.auto 0
for ((i = 0; i < 150; i++)); do
    for ((file = 0; file < 4; file++)); do
        seq $((i * file)) $((i * 30)) >"file$((i * (file + 1) % 17))"
    done
    $UNDER git add -A
    $UNDER git commit -q -m "Change number $i"
done
$UNDER git log -p --stat | cksum
$UNDER git repack -adq --threads=2
$UNDER git fsck --no-progress
$UNDER git blame file0 | cksum
$UNDER git rev-parse HEAD
