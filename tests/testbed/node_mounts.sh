#!/bin/sh
# Run in a mount namespace of its own, and then a command in it: what is written to /run, /var/lib and /var/log goes to
# the folder, and kernel settings that the whole machine has are covered by files. Input: a setting and its value a line.
#   unshare --mount --propagation private node_mounts.sh FOLDER COMMAND... <SETTINGS
set -e
folder=$1
shift
mount --make-rshared / # pods see what a kubelet mounts
for path in /run /var/lib /var/log; do
  upper=$folder/apart$path/upper work=$folder/apart$path/work
  mkdir -p "$upper" "$work"
  mount -t overlay overlay -o "lowerdir=$path,upperdir=$upper,workdir=$work" "$path"
done
mkdir -p /run/netns "$folder/shadows"
while read -r setting value; do
  [ -e "/proc/sys/$setting" ] || continue
  shadow=$folder/shadows/$(echo "$setting" | tr / .)
  echo "$value" >"$shadow"
  mount --bind "$shadow" "/proc/sys/$setting"
done
touch "$folder/apart/ready"
exec "$@"
