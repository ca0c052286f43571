# Strings, arrays and subshells.
$UNDER bash -c '
declare -A table
for ((i = 0; i < 20000; i++)); do table[$((i * 7919 % 10007))]+="$i,"; done
for key in "${!table[@]}"; do printf "%s=%s\n" "$key" "${table[$key]}"; done | sort | cksum
text=
for ((i = 0; i < 3000; i++)); do text="$text$i"; done
echo "${#text} $(echo "$text" | tr 0-9 a-j | cksum)"'
