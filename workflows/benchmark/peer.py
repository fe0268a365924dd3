"""One round of the peer: peer.py CONFIG WORK ROUND. Runs peer_lmertest.R; writes WORK/peer-ROUND.json."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import machine
import yaml


def main(config_file: str, work: str, turn: str) -> None:
    """Fit the round's features in R, all of them, on the configured number of processes."""
    config, folder = yaml.safe_load(Path(config_file).read_text()), Path(work)
    machine.pin(config["cores"])
    found, before = folder / f"peer-{turn}.lmertest.json", machine.load()
    script = Path(__file__).with_name("peer_lmertest.R")
    inputs = [folder / "samples.csv", folder / f"peer-{turn}.f64"]
    words = [config["formula"], "0", config["cores"], found]
    subprocess.run(["Rscript", "--vanilla", *map(str, [script, *inputs, *words])], check=True)
    report = json.loads(found.read_text())
    report |= {
        "rows": json.loads((folder / f"peer-{turn}.rows.json").read_text()),
        "load": [before, machine.load()],
        "peak_mb": machine.peak_mb(resource.RUSAGE_CHILDREN),
    }
    (folder / f"peer-{turn}.json").write_text(json.dumps(report))
    found.unlink()


if __name__ == "__main__":
    main(*sys.argv[1:])
