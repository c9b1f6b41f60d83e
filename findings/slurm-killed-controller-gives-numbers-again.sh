#!/usr/bin/env bash
# Slurm 22.05.8 (Debian 12): a controller that is killed soon after it accepted jobs gives their numbers to later jobs.
#
# 1. sbatch prints a number and succeeds for each of five jobs. The controller is then killed (SIGKILL, as a machine that loses its power) and
#    started again with the state that it left on the disk: it knows none of them, or the first one alone. What was accepted in the last seconds is
#    not on the disk yet.
# 2. The next jobs get the numbers of those that are lost. Whoever kept a number to ask for later (`squeue -j`, `scancel`) now asks for, or cancels, a job that
#    another user may have submitted. Only the job's name, or its comment, tells them apart.
# 3. A job that was accepted eleven seconds before the kill is still known, under its number.
#
# This script fails when any of that changes. It runs none of slhf-lab. It needs Debian 12's apt (amd64 or arm64) and root, as slurmctld does here
# to be its own user; packages are unpacked into a temporary folder, nothing is installed. No job ever runs: there is no node's daemon.
set -euo pipefail
folder=$(mktemp -d /tmp/slurm-XXXXXX)
export SLURM_CONF=$folder/slurm.conf
stop() {
    for daemon in slurmctld munged; do
        [ ! -e "$folder/$daemon.pid" ] || kill -KILL "$(cat "$folder/$daemon.pid")" 2> /dev/null || true
    done
    rm -rf "$folder"
}
trap stop EXIT
cd "$folder"
chmod 755 .
version=22.05.8-4+deb12u3
apt-get download "slurmctld=$version" "slurm-client=$version" "slurm-wlm-basic-plugins=$version" \
    munge=0.5.15-2+deb12u1 libmunge2=0.5.15-2+deb12u1 libhwloc15=2.9.0-1 liblua5.1-0=5.1.5-9 > apt.log 2>&1 || { tail -3 apt.log; exit 1; }
for package in *.deb; do dpkg-deb -x "$package" root; done
libraries=$(echo root/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH=$folder/$libraries:$folder/$libraries/slurm-wlm PATH=$folder/root/usr/sbin:$folder/root/usr/bin:$PATH
mkdir state
host=$(hostname -s)
(umask 077 && head -c 1024 /dev/urandom > munge.key)
cat > slurm.conf << CONF
ClusterName=found
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$((20000 + RANDOM % 10000))
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.sock
CredType=cred/munge
PluginDir=$folder/$libraries/slurm-wlm
SlurmctldPidFile=$folder/slurmctld.pid
SlurmctldLogFile=$folder/slurmctld.log
StateSaveLocation=$folder/state
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName=$host CPUs=1 State=FUTURE
NodeName=other CPUs=1 State=UNKNOWN NodeAddr=127.0.0.1
PartitionName=main Nodes=other Default=YES State=UP
CONF
munged --force --key-file="$folder/munge.key" --socket="$folder/munge.sock" --pid-file="$folder/munged.pid" \
    --log-file="$folder/munged.log" --seed-file="$folder/munge.seed" 2> /dev/null
begin() {
    slurmctld -f "$SLURM_CONF" < /dev/null > /dev/null 2>&1
    for _ in $(seq 100); do
        squeue -h > /dev/null 2>&1 && return
        sleep 0.2
    done
    tail -3 slurmctld.log
    exit 1
}
crash() {
    kill -KILL "$(cat slurmctld.pid)"
    while kill -0 "$(cat slurmctld.pid)" 2> /dev/null; do sleep 0.1; done
    sleep 1
}
submit() { sbatch --parsable --job-name="$1" --wrap=true; }
named() { squeue -h -j "$1" -o %j 2> /dev/null || true; }

begin
early=$(submit early)
sleep 11
first=$(for _ in 1 2 3 4 5; do submit first; done)
crash
begin
lost=$(comm -23 <(sort <<< "$first") <(squeue -h -n first -o %i | sort))
second=$(for _ in 1 2 3 4 5; do submit second; done)
again=$(comm -12 <(echo "$lost") <(sort <<< "$second"))
one=$(head -1 <<< "$again")
echo "accepted: $early, and eleven seconds later" $first
echo "after the crash: job $early is \"$(named "$early")\"; nobody knows" $lost
echo "accepted next:" $second "; job $one is now \"$(named "$one")\""
[ "$(named "$early")" = early ] && [ -n "$lost" ] && [ "$again" = "$lost" ] && [ "$(named "$one")" = second ]
