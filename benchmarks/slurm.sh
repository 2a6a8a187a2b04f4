#!/usr/bin/env bash
# A real SLURM on one machine: sweeps as job arrays against the same sweeps without SLURM.
#
#     sudo benchmarks/slurm.sh [PART …]       (Debian or Ubuntu; from a checkout with .venv)
#
# Without PART it runs 1, 2 and 3. PYTHON= takes another interpreter than that of .venv.
#
# Installs slurm-wlm and munge where they are missing, starts munged, slurmctld and two slurmd under
# two names in a scratch folder, without accounting (no sacct), and stops them at the end. It runs
#   1. a sweep of four cells as an array, whose scores must equal those of a sweep without SLURM;
#   2. a sweep of which one cell is killed (SIGKILL, as where memory is short): the waiting sweep must
#      say so, end with exit code 1, and finish the cell when it is repeated;
#   3. a sweep over both nodes, one of which is drained in the middle;
#   4. a cell that its time limit cuts: it is queued again, resumes, and ends in equal numbers (8
#      minutes more).
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
parts=" ${*:-1 2 3} "
runs() { [[ $parts == *" $1 "* ]]; }
python=${PYTHON:-$root/.venv/bin/python}
scratch=$(mktemp -d /tmp/segbench.XXXXXX)  # short, as SLURM makes sockets in it
host=$(hostname -s)
[ "$(id -u)" = 0 ] || { echo "slurm.sh: needs root, to install and start SLURM"; exit 2; }
for program in sbatch slurmctld slurmd munged; do
  command -v "$program" > /dev/null && continue
  apt-get install --yes --no-install-recommends slurm-wlm munge > "$scratch/apt.log"
  break
done

is_running() { [[ $(ps --no-headers -o stat= -p "$1") == [!Z]* ]]; }  # and no mere zombie
stop() {
  [ "${SLURM_CONF:-}" = "$scratch/slurm.conf" ] && scancel --user root || true  # no other SLURM's jobs
  for file in "$scratch"/*.pid ${munged:-}; do
    [ -f "$file" ] && pid=$(cat "$file") && kill "$pid" || continue
    for _ in $(seq 50); do is_running "$pid" || break; sleep 0.2; done
  done
  [ "${KEEP:-}" ] && echo "kept: $scratch" || rm -rf "$scratch"
} 2> /dev/null
trap stop EXIT

mkdir -p "$scratch/state" "$scratch/spool" /run/munge
chown munge: /run/munge
[ -f /etc/munge/munge.key ] || mungekey --create
chown munge: /etc/munge/munge.key
pgrep -x munged --runstates RSD > /dev/null ||
  { runuser -u munge -- munged --force; munged=/run/munge/munged.pid; }
cores=$(nproc)
cat > "$scratch/slurm.conf" << CONF
ClusterName=segbench
SlurmctldHost=$host
SlurmUser=root
SlurmctldPort=16817
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
StateSaveLocation=$scratch/state
SlurmdSpoolDir=$scratch/spool/%n
SlurmctldPidFile=$scratch/slurmctld.pid
SlurmdPidFile=$scratch/slurmd-%n.pid
SlurmctldLogFile=$scratch/slurmctld.log
SlurmdLogFile=$scratch/slurmd-%n.log
NodeName=one NodeHostname=$host Port=16818 CPUs=$cores State=UNKNOWN
NodeName=two NodeHostname=$host Port=16819 CPUs=$cores State=UNKNOWN
PartitionName=main Nodes=one,two Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
CONF
export SLURM_CONF=$scratch/slurm.conf
slurmctld -f "$SLURM_CONF"
for node in one two; do mkdir -p "$scratch/spool/$node"; slurmd -f "$SLURM_CONF" -N "$node"; done
for _ in $(seq 30); do
  [ "$(sinfo --noheader --format=%D --states=idle | head -1)" = 2 ] && break
  sleep 1
done
[ "$(sinfo --noheader --format=%D --states=idle | head -1)" = 2 ] ||
  { echo "SLURM did not start:"; cat "$scratch/slurmctld.log"; exit 1; }
sinfo
echo "scratch folder: $scratch"

small="model.base_channels=4 model.depth=2 data.count=20 data.size=32 trainer.accelerator=cpu trainer.precision=32-true"
slurm="hydra/launcher=submitit_slurm hydra.launcher.gpus_per_node=0 hydra.launcher.cpus_per_task=1
  hydra.launcher.mem_gb=0 hydra.launcher.timeout_min=30"
export OMP_NUM_THREADS=1

sweep() {  # sweep FOLDER WORD…: a sweep in a folder of its own
  mkdir -p "$scratch/$1"
  (cd "$scratch/$1" && shift && $python -m segbench -m "$@")
}
equal() {  # equal FOLDER FOLDER: the scores and losses of all cells are equal
  local name count=0
  for cell in "$scratch/$2"/outputs/default/*/checkpoints; do
    name=$(basename "$(dirname "$cell")")
    for file in scores.csv curves.csv; do
      cmp "$scratch/$2/outputs/default/$name/$file" "$scratch/$1/outputs/default/$name/$file"
    done
    count=$((count + 1))
  done
  different=$(md5sum "$scratch/$2"/outputs/default/*/curves.csv | cut -d ' ' -f 1 | sort -u | wc -l)
  [ "$different" = "$count" ] || { echo "only $different of $count cells differ"; return 1; }
  echo "equal scores and curves of $count cells: $1 and $2"
}
wait_for() {  # wait_for SECONDS COMMAND…: until the command succeeds
  local left=$1; shift
  until "$@"; do sleep 1; left=$((left - 1)); [ "$left" -gt 0 ] || { echo "waited too long: $*"; return 1; }; done
}
begun() { compgen -G "$scratch/$1/outputs/default/*/checkpoints/last.ckpt" > /dev/null; }

if runs 1; then
echo "== 1. an array of four cells"
sweep plain $small trainer.max_epochs=10 loss=dice,bce seed=0,1 > "$scratch/plain.log"
sweep array $small trainer.max_epochs=10 loss=dice,bce seed=0,1 $slurm > "$scratch/array.log" 2>&1 ||
  { cat "$scratch/array.log"; exit 1; }
grep -E "^note: this SLURM|4 cells|: done" "$scratch/array.log"
! grep -E "srun|WARNING|sacct error" "$scratch/array.log" || exit 1
equal array plain
fi

if runs 2; then
echo "== 2. a cell that is killed, without accounting"
sweep killed $small trainer.max_epochs=400 seed=0,1 $slurm > "$scratch/killed.log" 2>&1 &
waiting=$!
wait_for 120 begun killed
beat=$(compgen -G "$scratch/killed/outputs/default/*/.heartbeat" | head -1)
kill -KILL "$(cut -d ' ' -f 2 "$beat")"  # it holds the host's name and the cell's process
code=0; wait "$waiting" || code=$?
grep -E "killed|failed" "$scratch/killed.log" | head -3
[ "$code" = 1 ] || { cat "$scratch/killed.log"; echo "expected exit code 1, got $code"; exit 1; }
sweep killed $small trainer.max_epochs=400 seed=0,1 retry_failed=true > "$scratch/again.log"
sweep whole $small trainer.max_epochs=400 seed=0,1 > "$scratch/whole.log"
equal killed whole
fi

if runs 3; then
echo "== 3. two nodes, one drained in the middle"
sweep nodes $small trainer.max_epochs=60 loss=dice,bce seed=0,1,2 $slurm \
  hydra.launcher.array_parallelism=2 hydra.launcher.cpus_per_task="$cores" > "$scratch/nodes.log" 2>&1 &
waiting=$!
wait_for 120 begun nodes
scontrol update nodename=two state=drain reason=test
wait "$waiting" || { cat "$scratch/nodes.log"; exit 1; }
scontrol update nodename=two state=resume
sweep alone $small trainer.max_epochs=60 loss=dice,bce seed=0,1,2 > "$scratch/alone.log"
equal nodes alone
fi

if runs 4; then
  echo "== 4. a time limit of 3 minutes"
  long="$small data.count=400 trainer.max_epochs=260"
  sweep limited $long seed=0 $slurm hydra.launcher.timeout_min=3 hydra.launcher.signal_delay_s=60 \
    > "$scratch/limited.log" 2>&1 || { cat "$scratch/limited.log"; exit 1; }
  grep -h "resuming after epoch" "$scratch"/limited/outputs/default/*/log.txt
  sweep unlimited $long seed=0 > "$scratch/unlimited.log"
  equal limited unlimited
fi
echo "all as expected"
