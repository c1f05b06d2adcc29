# A machine whose first process is systemd, with nothing but the service on it: namespaces of its own for
# processes, mounts and control groups, a root in memory, the system's programs beneath. Network and kernel
# are those of the machine around it. It ends with the process that starts it.
#
#   sh machine.sh boot DIRECTORY NAME PROGRAM FIRST…   FIRST: the first process and its arguments
#   sh machine.sh clear DIRECTORY NAME                 removes the control group that it leaves
#
# DIRECTORY/files: what is on the machine beside PROGRAM, as /usr/bin/agent-service.
set -e
step=$1 directory=$2 name=$3
shift 3

groups() {
  mkdir -p "$directory/groups"
  mount -t cgroup2 groups "$directory/groups"
}

case $step in
boot | clear)
  exec unshare --mount --propagation private sh "$0" "$step-apart" "$directory" "$name" "$@"
  ;;
clear-apart)
  groups
  # Its processes are on their way out, and are some hundred milliseconds.
  for _ in $(seq 100); do
    grep -q "populated 1" "$directory/groups/$name/cgroup.events" || break
    sleep 0.1
  done
  find "$directory/groups/$name" -depth -type d -exec rmdir {} +
  ;;
boot-apart)
  groups
  mkdir "$directory/groups/$name"
  echo $$ > "$directory/groups/$name/cgroup.procs"
  exec unshare --pid --fork --kill-child --mount --cgroup --uts --ipc \
    sh "$0" first "$directory" "$name" "$@"
  ;;
first)
  program=$1
  shift
  root=$directory/root
  mkdir "$root"
  mount -t tmpfs -o mode=0755 root "$root"
  cd "$root"
  mkdir .above .work usr
  mount -t overlay -o lowerdir=/usr,upperdir=.above,workdir=.work usr usr
  for linked in bin sbin lib lib32 lib64; do
    if [ -L "/$linked" ]; then cp -a "/$linked" "$linked"; fi
  done
  cp "$program" usr/bin/agent-service
  chmod 755 usr/bin/agent-service
  mkdir -p etc/systemd/system proc sys dev run tmp home root var/lib var/cache var/log var/tmp
  mount -t proc proc proc
  mount -t sysfs -o ro sys sys
  mount -t cgroup2 groups sys/fs/cgroup
  mount -t tmpfs -o mode=0755 run run
  mount -t tmpfs -o mode=0755 dev dev
  for node in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 666 "dev/${node%:*}" c 1 "${node#*:}"
  done
  mknod -m 666 dev/tty c 5 0
  mkdir dev/shm dev/pts
  mount -t devpts -o newinstance,ptmxmode=0666 pts dev/pts
  ln -s pts/ptmx dev/ptmx
  echo "root:x:0:0::/root:/bin/sh" > etc/passwd
  echo "root:x:0:" > etc/group
  cp /etc/ld.so.cache /etc/nsswitch.conf etc/
  echo 0123456789abcdef0123456789abcdef > etc/machine-id
  # What the system's packages would have made here is for others.
  for unit in systemd-sysusers systemd-tmpfiles-setup systemd-tmpfiles-setup-dev; do
    ln -s /dev/null "etc/systemd/system/$unit.service"
  done
  cp -R "$directory/files/." .
  systemd-sysusers --root="$root" agent-service.conf
  systemd-tmpfiles --root="$root" --create agent-service.conf
  mkdir .around
  pivot_root . .around
  cd /
  umount -l /.around
  rmdir /.around
  container=test exec "$@"
  ;;
esac
