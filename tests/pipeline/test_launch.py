"""Starting Snakemake: which config, which words, and locks of dead and living runs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mixflow.errors import MixflowError
from mixflow.pipeline import by_command, launch
from mixflow.pipeline.paths import Paths
from tests.pipeline import tiny


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lock(owner: dict | None) -> None:
    launch.LOCKS.mkdir(parents=True)
    (launch.LOCKS / "0.input.lock").write_text("x")
    if owner is not None:
        launch.OWNER.write_text(json.dumps(owner))


def dead() -> dict:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    owner = launch._identity(process.pid)
    process.wait()
    return owner


def test_the_config_is_found_where_init_writes_it_then_where_workflows_have_it() -> None:
    with pytest.raises(MixflowError) as caught:
        launch.find_config(None)
    assert "mixflow init" in (caught.value.problems[0].remedy or "")
    Path("config").mkdir()
    Path("config/config.yaml").touch()
    assert launch.find_config(None) == Path("config/config.yaml")
    Path("config.yaml").touch()
    assert launch.find_config(None) == Path("config.yaml")
    with pytest.raises(MixflowError, match=r"other\.yaml"):
        launch.find_config(Path("other.yaml"))


def test_own_words_make_snakemake_speak() -> None:
    calm = launch.command(Path("c.yaml"), "2", [])
    assert calm[-2:] == ["--quiet", "all"] and "--profile" not in calm
    assert calm[calm.index("--configfile") + 1] == "c.yaml"
    loud = launch.command(Path("c.yaml"), "2", ["--profile=mine", "-n"])
    assert "--quiet" not in loud and loud.count("--profile=mine") == 1 and "--profile" not in loud


def test_a_profile_that_ships_is_found_by_its_name_but_a_users_own_comes_first() -> None:
    for words in (["--profile", "slurm"], ["--profile=slurm"]):
        asked = " ".join(launch.command(Path("c.yaml"), "2", words))
        assert str(Path("config/profiles/slurm")) in asked and "profiles/default" not in asked
    Path("slurm").mkdir()
    Path("slurm/profile.yaml").write_text("jobs: 3\n")
    assert launch.command(Path("c.yaml"), "2", ["--profile", "slurm"])[-2:] == ["--profile", "slurm"]


def test_of_two_runs_begun_at_once_the_one_that_was_not_let_in_says_so(monkeypatch) -> None:
    """And nothing of its own: the logs that have begun and not ended are those of the other."""
    tiny.write(Path.cwd())
    monkeypatch.setattr(launch, "command", lambda *_: [sys.executable, "-c", "raise SystemExit(1)"])
    monkeypatch.setattr(launch, "_processes_in", lambda _: [(os.getpid(), False)])
    monkeypatch.setattr(launch, "release_stale_lock", lambda *_: lock(None))
    told: list[str] = []
    with pytest.raises(MixflowError, match=rf"locked by a run that is still going \(process {os.getpid()}\)"):
        launch.run(None, "1", [], told.append)
    assert told == [] and json.loads(launch.OWNER.read_text())["pid"] == os.getpid()


def test_what_single_commands_wrote_runs_again_until_a_report_is_made(monkeypatch) -> None:
    path, paths = tiny.write(Path.cwd()), Paths("tiny")
    by_command.note(paths, "check", "ingest")
    by_command.note(paths, "ingest", "fit")
    asked = []
    for code in ("raise SystemExit(1)", "pass", f"open({str(paths.report)!r}, 'w').write('x')", "pass"):

        def command(*words, code: str = code) -> list[str]:
            asked.append(words[3])
            return [sys.executable, "-c", code]

        monkeypatch.setattr(launch, "command", command)
        launch.run(path, "1", [], lambda _: None)
    assert asked == [["check", "ingest", "fit"]] * 3 + [[]]


def test_rules_to_run_again_join_those_that_the_user_forces() -> None:
    words = launch.command(Path("c.yaml"), "2", [], ["ingest", "fit"])
    place = words.index("--forcerun")
    assert words[place + 1 : place + 4] == ["ingest", "fit", "--rerun-incomplete"] and words[-1] == "all"
    words = launch.command(Path("c.yaml"), "2", ["-R", "batch", "-n"], ["fit"])
    assert "--forcerun" not in words and words[-4:] == ["-R", "fit", "batch", "-n"]


def test_a_record_that_cannot_be_read_is_told() -> None:
    by_command.note(Paths("tiny"), "fit")
    Paths("tiny").by_command.write_text("{")
    with pytest.raises(MixflowError, match="cannot be read"):
        by_command.noted(Paths("tiny"))


def test_without_a_lock_nothing_is_done() -> None:
    assert launch.release_stale_lock(Path.cwd(), ["false"]) is False


def test_the_lock_of_a_dead_run_is_taken_away() -> None:
    lock(dead())
    words = [sys.executable, "-c", "import sys; assert sys.argv[1:] == ['--unlock']"]
    assert launch.release_stale_lock(Path.cwd(), words) is True


def test_a_lock_that_cannot_be_taken_away_says_why() -> None:
    lock(dead())
    with pytest.raises(MixflowError, match="no permission"):
        launch.release_stale_lock(Path.cwd(), [sys.executable, "-c", "import sys; sys.exit('no permission')"])


@pytest.mark.parametrize("owner", [None, {"host": "elsewhere", "pid": 1, "start": 0.0}])
def test_a_lock_of_unknown_origin_gives_the_way_out(owner: dict | None) -> None:
    lock(owner)
    with pytest.raises(MixflowError) as caught:
        launch.release_stale_lock(Path.cwd(), launch.command(Path("my own.yaml"), "2", []))
    remedy = caught.value.problems[0].remedy or ""
    assert "mixflow run 'my own.yaml' --unlock, then mixflow run 'my own.yaml'" in remedy


def test_the_lock_of_a_living_run_stays() -> None:
    owner = launch._identity(os.getpid())
    assert owner["host"] == socket.gethostname() and owner["start"]
    lock(owner)
    with pytest.raises(MixflowError, match=f"still going \\(process {os.getpid()}\\)"):
        launch.release_stale_lock(Path.cwd(), ["false"])


def test_a_snakemake_of_another_start_is_seen_and_its_jobs_are_waited_for() -> None:
    code = "import time; time.sleep(30)"
    Path("snakemake").write_text(code)
    other = subprocess.Popen([sys.executable, "snakemake", "--cores", "1"])
    try:
        lock(dead())
        with pytest.raises(MixflowError, match=f"process {other.pid}"):
            launch.release_stale_lock(Path.cwd(), ["false"])
    finally:
        other.kill()
        other.wait()
    script = Path(".snakemake/scripts/x.py")
    script.parent.mkdir()
    script.write_text("import time; time.sleep(2)")
    job = subprocess.Popen([sys.executable, str(script)])
    assert launch.release_stale_lock(Path.cwd(), ["true"]) is True
    assert job.poll() is not None or job.wait(timeout=1) == 0


def test_what_only_has_the_word_in_its_command_line_is_no_run(tmp_path: Path) -> None:
    lock(dead())
    (tmp_path / "x.snakemake.log").touch()
    link = tmp_path / "envs" / "snakemake" / "bin" / "python"
    link.parent.mkdir(parents=True)
    link.symlink_to(sys.executable)
    others = [
        subprocess.Popen(["tail", "-f", "x.snakemake.log"]),
        subprocess.Popen([str(link), "-c", "import time; time.sleep(30)"]),
    ]
    try:
        assert launch.release_stale_lock(Path.cwd(), ["true"]) is True
    finally:
        for other in others:
            other.kill()
            other.wait()


def test_this_process_and_its_parents_are_no_other_run(monkeypatch) -> None:
    monkeypatch.setattr(launch, "_is_snakemake", lambda words: True)
    assert launch._processes_in(Path.cwd()) == []


@pytest.mark.parametrize(
    ("line", "is_run", "is_job"),
    [
        ("python -m snakemake --cores 2", True, False),
        ("/opt/bin/python3.12 -I -m snakemake", True, False),
        ("/opt/bin/python3.12 /opt/bin/snakemake -c 2", True, False),
        ("snakemake -n", True, False),
        ("python -m snakemake --mode subprocess", True, True),
        ("/opt/bin/python3.12 /study/.snakemake/scripts/tmpx.fit.py", False, True),
        ("tail -f .snakemake/log/x.snakemake.log", False, False),
        ("vim .snakemake/scripts/x.py", False, False),
        ("/envs/snakemake/bin/python /envs/snakemake/bin/mixflow run", False, False),
    ],
)
def test_a_run_and_a_job_are_known_by_their_words(line: str, is_run: bool, is_job: bool) -> None:
    assert (launch._is_snakemake(line.split()), launch._is_job(line.split())) == (is_run, is_job)


def test_asking_to_unlock_is_never_in_the_way() -> None:
    lock(None)
    assert launch.release_stale_lock(Path.cwd(), ["snakemake", "--unlock"]) is False


def test_a_run_tells_what_it_came_to(monkeypatch) -> None:
    path = tiny.write(Path.cwd())
    page = Path("results/tiny/report.html")
    page.parent.mkdir(parents=True)
    make = f"open({str(page)!r}, 'w').write('x')"
    said = []
    for code, expected in ((make, "Report: "), ("pass", "Nothing to do"), ("raise SystemExit(3)", "Stopped")):
        monkeypatch.setattr(launch, "command", lambda *_, code=code: [sys.executable, "-c", code])
        said.clear()
        assert launch.run(path, "1", [], said.append) == (3 if expected == "Stopped" else 0)
        assert said[-1].startswith(expected)
        assert not launch.OWNER.exists()


def test_a_run_on_a_folder_that_a_killed_run_locked(monkeypatch) -> None:
    path = tiny.write(Path.cwd())
    lock(dead())
    monkeypatch.setattr(launch, "command", lambda *_: [sys.executable, "-c", "pass"])
    said: list[str] = []
    assert launch.run(path, "1", [], said.append) == 0
    assert said[0].startswith("A killed run had left a lock")
