"""A real Slurm of one node on loopback, for tests: own folder, own ports, own munge, own pid files.

Works as root without cgroups and without slurmdbd (Slurm 22.05 of Debian). Use it as

    with running(folder) as node:
        subprocess.run(["sbatch", ...], env=node.environment())

Every daemon is stopped by the pid file it wrote in the folder, whatever happens inside the block.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "munged")
PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
INSTALL = f"RUNLEVEL=1 apt-get install -y --no-install-recommends {' '.join(PACKAGES)}"
"""How root gets them on Debian and Ubuntu; RUNLEVEL=1 keeps the packages from starting their own daemons."""
PARTITION = "main"
ACCOUNT = "mixflow"
UP = ("idle", "mixed", "allocated")
"""States of a node on which jobs run or can."""
CONF = """\
ClusterName=mixflowtest
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.sock,cred_expire={requeue_s}
CredType=cred/munge
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
EnforcePartLimits=ALL
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
MpiDefault=none
ReturnToService=2
SlurmdTimeout={node_timeout_s}
MinJobAge=3600
KillWait=5
SwitchType=switch/none
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} State=UNKNOWN
PartitionName={partition} Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why no Slurm can be started here, as a sentence; '' where one can."""
    absent = [program for program in PROGRAMS if shutil.which(program, path=_path()) is None]
    if absent:
        return f"no Slurm here ({', '.join(absent)} not found); as root on Debian or Ubuntu: {INSTALL}"
    return "" if os.geteuid() == 0 else "the Slurm of the tests must be started by root"


@dataclass
class Node:
    """A one-node Slurm in ``folder``; see `running`.

    ``node_timeout_s``: silence before the node counts as lost; ``requeue_s``: how long a job of a lost node waits.
    """

    folder: Path
    cpus: int = field(default_factory=lambda: min(os.cpu_count() or 1, 4))
    memory_mb: int = 8000
    node_timeout_s: int = 10
    requeue_s: int = 20

    def environment(self, **more: str) -> dict[str, str]:
        """Environment in which Slurm's programs, and jobs that call srun, find this Slurm."""
        path = f"{self.folder / 'bin'}:{_path()}"
        return {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": path, **more}

    def start(self) -> None:
        """Write the configuration and start munged, slurmctld and slurmd; returns when the node is idle."""
        self._write()
        munge = self.folder / "munge"
        names = {"key-file": "key", "socket": "sock", "log-file": "log", "seed-file": "seed"}
        words = [f"--{option}={munge}/munge.{end}" for option, end in names.items()]
        self._call("munged", "--force", f"--pid-file={munge}/munged.pid", *words)
        self._call("slurmctld", "-c", "-f", str(self.folder / "slurm.conf"))
        self.start_slurmd()

    def start_slurmd(self) -> None:
        """Start the daemon of the node (again) and wait until jobs can run on it."""
        self._call("slurmd", "-f", str(self.folder / "slurm.conf"), "-N", "localhost")
        wait_until(lambda: self.state() in UP, 60, "the node is up")

    def kill_slurmd(self) -> None:
        """End the daemon of the node without a chance to tidy, as a lost node does; its jobs live on."""
        _end(self.folder / "slurmd.pid", signal.SIGKILL)

    def kill_jobs(self) -> None:
        """End every process of every job on the node: with `kill_slurmd` before, the power has gone."""
        for process in psutil.process_iter(["cmdline"]):
            if "slurmstepd" in " ".join(process.info["cmdline"] or []) and self.owns(process):
                for each in [*process.children(recursive=True), process]:
                    _signal(each.pid, signal.SIGKILL)

    def stop(self) -> None:
        """Cancel what still runs and stop every daemon by its pid file; nothing where none was started."""
        if self._alive("slurmctld.pid"):
            self._try("scancel", "--user=root", "--full")
            end = time.monotonic() + 15
            while self._try("squeue", "--noheader", "--states=RUNNING,COMPLETING").strip():
                if time.monotonic() > end:
                    break
                time.sleep(0.5)
        for name in ("slurmd.pid", "slurmctld.pid", "munge/munged.pid"):
            _end(self.folder / name, signal.SIGTERM)
        self.kill_jobs()  # of a node that was lost when the test ended

    def state(self) -> str:
        """State of the node as sinfo has it: idle, mixed, allocated, down ..."""
        return self._try("sinfo", "--noheader", "--format=%T").strip().rstrip("*")

    def jobs(self) -> list[dict[str, str]]:
        """Every job the controller remembers, as `scontrol show job` has it."""
        listed = self._try("scontrol", "--oneliner", "show", "job")
        lines = [line for line in listed.splitlines() if line.startswith("JobId=")]
        return [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]

    def owns(self, process: psutil.Process) -> bool:
        """Whether a slurmstepd belongs to this Slurm. (Its title overwrites the start of its environment.)"""
        try:
            kept = Path(f"/proc/{process.pid}/environ").read_bytes()
        except OSError:  # it has ended
            return False
        return f"SLURM_CONF={self.folder}/slurm.conf".encode() in kept.split(b"\0")

    def _write(self) -> None:
        for name in ("state", "spool", "log", "munge", "bin"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for place in (self.folder, self.folder / "munge"):
            place.chmod(0o755)  # munged refuses a folder others may write
        key = self.folder / "munge" / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        controller, node = _free_ports(2)
        text = CONF.format(
            controller_port=controller, node_port=node, partition=PARTITION, **_plain(vars(self))
        )
        (self.folder / "slurm.conf").write_text(text, encoding="utf-8")
        # A job step loses SLURM_CONF, so that srun inside a job would look for /etc/slurm/slurm.conf.
        wrapper = self.folder / "bin" / "srun"
        srun = shutil.which("srun", path=_path())
        wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {srun} "$@"\n')
        wrapper.chmod(0o755)

    def _call(self, *words: str) -> None:
        environment = self.environment()
        program = shutil.which(words[0], path=environment["PATH"]) or words[0]
        done = subprocess.run(
            [program, *words[1:]], env=environment, capture_output=True, text=True, timeout=60
        )
        if done.returncode:
            raise RuntimeError(f"{words[0]} did not start: {done.stdout}{done.stderr}")

    def _try(self, *words: str) -> str:
        done = subprocess.run(words, env=self.environment(), capture_output=True, text=True, timeout=60)
        return done.stdout

    def _alive(self, name: str) -> bool:
        pid = _pid(self.folder / name)
        return pid is not None and _lives(pid)


@contextmanager
def running(folder: Path, **options: int) -> Iterator[Node]:
    """A started `Node` in ``folder`` (made here), stopped at the end whatever happens, SIGTERM included."""
    node = Node(folder.resolve(), **options)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        node.start()
        yield node
    finally:
        node.stop()
        signal.signal(signal.SIGTERM, before)


def wait_until(met: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until ``met()``; TimeoutError, which says ``what``, when ``seconds`` have passed."""
    end = time.monotonic() + seconds
    while not met():
        if time.monotonic() > end:
            raise TimeoutError(f"after {seconds} s still not: {what}")
        time.sleep(0.3)


def _path() -> str:
    """PATH with the folders of system programs, which a user's often lacks."""
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _plain(values: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _pid(path: Path) -> int | None:
    text = path.read_text().strip() if path.is_file() else ""
    return int(text) if text.isdigit() else None


def _lives(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _end(pid_file: Path, number: signal.Signals) -> None:
    """Signal the process of a pid file and wait; SIGKILL where it has not ended after 20 s."""
    pid = _pid(pid_file)
    if pid is None or not _lives(pid):
        return
    _signal(pid, number)
    try:
        wait_until(lambda: not _lives(pid), 20, f"process {pid} has ended")
    except TimeoutError:
        _signal(pid, signal.SIGKILL)
    pid_file.unlink(missing_ok=True)
