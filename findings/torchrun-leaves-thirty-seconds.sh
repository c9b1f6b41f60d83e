#!/usr/bin/env bash
# torch 2.11.0, torchrun:
#
# 1. A signal to torchrun (Ctrl-C, SIGTERM of a queue) goes to its processes, which have 30 seconds from then on: after that they are killed by
#    SIGKILL. There is no option and no variable for it. A process that finishes a step and writes a checkpoint within 30 s is waited for; one
#    that needs longer loses it, whatever time its queue gave it before (Slurm: `--signal=TERM@120`). With srun nobody kills before the time is up.
# 2. The port that MASTER_PORT names to the processes is not free for rank 0: torchrun's own store listens there
#    (TORCHELASTIC_USE_AGENT_STORE=True). A program that makes its own meeting point there, as it may under srun, cannot.
#
# This script fails when any of that changes. It runs none of slhf-lab. (It installs torch, which is large.)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install torch==2.11.0
cat > "$folder/rank.py" <<'PYTHON'
import os, pathlib, signal, socket, sys, time

folder, needs_s = pathlib.Path(sys.argv[1]), float(sys.argv[2])
rank, store = os.environ["RANK"], os.environ.get("TORCHELASTIC_USE_AGENT_STORE")
own = socket.socket()
try:
    own.bind(("127.0.0.1", int(os.environ["MASTER_PORT"])))
    own.listen()
    port = "free"
except OSError:
    port = "taken"


def stop(number, frame):
    (folder / f"asked-{rank}").touch()
    time.sleep(needs_s)
    (folder / f"saved-{rank}").touch()
    sys.exit(0)


signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
(folder / f"began-{rank}").write_text(f"{port} {store}")
time.sleep(300)
PYTHON

# How a step of so many seconds ends: "saved" or "lost", the ranks that were asked, and after how many seconds torchrun has ended.
ended() {
    local needs_s=$1 signal=$2 files
    files=$(mktemp -d -p "$folder")
    "$folder/venv/bin/torchrun" --standalone --nproc-per-node 2 "$folder/rank.py" "$files" "$needs_s" > "$files/log" 2>&1 &
    local torchrun=$! before
    until [ -e "$files/began-0" ] && [ -e "$files/began-1" ]; do sleep 0.2; done
    before=$(date +%s)
    kill "-$signal" "$torchrun"
    wait "$torchrun" || true
    local took=$(($(date +%s) - before)) how=saved
    [ -e "$files/saved-0" ] && [ -e "$files/saved-1" ] || how=lost
    [ -e "$files/asked-0" ] && [ -e "$files/asked-1" ] || how=unasked
    printf '%s %s %s\n' "$how" "$took" "$(cat "$files/began-0")"
}

short=$(ended 10 TERM)
long=$(ended 50 TERM)
by_int=$(ended 50 INT)
options=$("$folder/venv/bin/torchrun" --help | grep -c -i -E 'shutdown|grace|kill' || true)
printf 'a step of 10 s: %s\na step of 50 s: %s\nlikewise after SIGINT: %s\noptions about it: %s\n' "$short" "$long" "$by_int" "$options"
read -r how took port store <<< "$short"
[ "$how $port $store" = "saved taken True" ] && [ "$took" -ge 9 ] && [ "$took" -le 25 ]
for one in "$long" "$by_int"; do
    read -r how took _ <<< "$one"
    [ "$how" = lost ] && [ "$took" -ge 29 ] && [ "$took" -le 40 ]
done
[ "$options" = 0 ]
