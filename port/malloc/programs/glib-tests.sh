# GLib's own tests as its package installs them, but for those that measure, take long, want a desktop or do not always end
# the same. Slices come from malloc too.
export G_SLICE=always-malloc
for description in /usr/share/installed-tests/glib/*.test; do
    name=$(basename "$description" .test)
    case $name in
    *.py | performance* | slice* | *mutex | rwlock | cond | sequence | mainloop | qdata | gapplication | gsubprocess | socket | sleepy-stream) continue ;;
    *monitor* | power-profile* | network* | gsocketclient-slow | resolver-parsing | file | fileutils | static-link) continue ;;
    gdbus-connection* | gdbus-ex* | gdbus-proxy* | gdbus-threading | dbus-launch | gmenumodel | *refcount[1-4]) continue ;;
    esac
    status=0
    read -ra command <<<"$(sed -n 's/^Exec=//p' "$description")"
    $UNDER timeout 120 "${command[@]}" >output 2>/dev/null || status=$?
    echo "$name: status $status"
    sed -nE 's/^((not )?ok) [0-9]+ ([^ ]+).*/  \1 \3/; s/seed:[0-9]+/seed/; /^  (not )?ok/p' output
done
