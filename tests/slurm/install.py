"""Install Slurm for the tests, by apt where this is root's machine; else say what is missing. Never fails."""

from __future__ import annotations

import os
import shutil
import subprocess

from tests.slurm import node


def main() -> None:
    """Install the packages of `node.PACKAGES` unless Slurm can be started already."""
    if not node.missing():
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "RUNLEVEL": "1", "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *node.PACKAGES]
        for words in (["apt-get", "update", "-qq"], install):
            done = subprocess.run(words, env=environment, capture_output=True, text=True)
            if done.returncode:
                print(f"{' '.join(words)}: {done.stderr.strip()}")
    if node.missing():
        print(f"The tests on Slurm will be skipped: {node.missing()}")


if __name__ == "__main__":
    main()
