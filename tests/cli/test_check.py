"""check and init-ci: what got worse is told, and the files that CI runs do what they say."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packaging.requirements import Requirement

from ggdq_mcu.pipeline.check import Figures, compare
from ggdq_mcu.version import __version__

EXAMPLES = Path(__file__).parents[2] / "examples"
BEFORE = Figures(0.9, 0.95, 1000, 500, 2_000_000)


@pytest.mark.parametrize(
    ("now", "tolerance", "worse"),
    [
        (BEFORE, 0, []),
        (Figures(0.95, 0.99, 900, 400, 1_000_000), 0, []),
        (Figures(0.89, 0.95, 1000, 500, 2_000_000), 0, ["accuracy"]),
        (Figures(0.9, 0.94, 1001, 501, 2_000_001), 0, ["agreement", "flash_bytes", "ram_bytes", "instructions"]),
        (Figures(0.89, 0.94, 1010, 505, 2_020_000), 1, []),
        (Figures(0.88, 0.94, 1011, 505, 2_020_001), 1, ["accuracy", "flash_bytes", "instructions"]),
    ],
)
def test_what_is_worse_by_more_than_the_tolerance_is_told(now: Figures, tolerance: float, worse: list[str]) -> None:
    assert [figure.name for figure in compare(BEFORE, now, tolerance)] == worse


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's repository with a model and data in a folder whose name has a space."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / "my models").mkdir()
    for name in ("digits.h5", "digits.npz", "digits_test.npz"):
        shutil.copy(EXAMPLES / name, folder / "my models" / name)
    return folder


def init(cli: Any, repository: Path, *more: object) -> Any:
    arguments = ("my models/digits.h5", "--board", "nucleo", "--data", "my models/digits_test.npz")
    return cli("init-ci", *arguments, "--repository", repository, *more)


def test_the_commands_of_the_ci_files_pass_and_then_find_what_got_worse(
    cli: Any, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = init(cli, repository, "--calib", "my models/digits.npz", "--json")
    assert outcome.code == 0, outcome.err
    files = [Path(path) for path in outcome.json["files"]]
    assert files == [repository / ".github" / "workflows" / "ggdq-mcu.yml", repository / ".gitlab-ci.yml"]
    listed = [re.findall(r"^ +(ggdq-mcu .*)$", path.read_text(), re.MULTILINE) for path in files]
    assert listed[0] == listed[1]
    assert [line.split()[1] for line in listed[0]] == ["build", "verify", "check"]
    monkeypatch.chdir(repository)
    for line in [*outcome.json["commands"], *listed[0]]:
        done = cli(*shlex.split(line)[1:])
        assert done.code == 0, (line, done.err)
    baseline = repository / "ggdq-baseline.json"
    figures = json.loads(baseline.read_text())
    assert 0.9 < figures["accuracy"] <= 1
    assert min(figures["flash_bytes"], figures["ram_bytes"], figures["instructions"]) > 1000
    baseline.write_text(json.dumps(figures | {"instructions": figures["instructions"] - 1}))
    worse = cli(*shlex.split(listed[0][2])[1:])
    assert worse.code == 1
    assert re.search(r"^instructions .* WORSE$", worse.out, re.MULTILINE)
    assert worse.out.count("WORSE") == 1


def steps_of(repository: Path) -> list[list[str]]:
    """The scripts that GitHub and GitLab run, as their files say it in YAML."""
    import yaml

    github = yaml.safe_load((repository / ".github/workflows/ggdq-mcu.yml").read_text())
    gitlab = yaml.safe_load((repository / ".gitlab-ci.yml").read_text())["firmware"]
    return [
        [step["run"] for step in github["jobs"]["firmware"]["steps"] if "run" in step],
        [*gitlab["before_script"], *gitlab["script"]],
    ]


@pytest.mark.parametrize(
    ("model", "install", "requirement"),
    [
        ("a model.h5", "", f"ggdq-mcu=={__version__}"),
        ("a model.onnx", "", f"ggdq-mcu[onnx]=={__version__}"),
        ("a model.tflite", "git+https://host/g.git@v1", "ggdq-mcu[tflite] @ git+https://host/g.git@v1"),
        ("a model.tflite", "wheels/g-1-py3-none-any.whl", "./wheels/g-1-py3-none-any.whl[tflite]"),
        ("a saved model", "", f"ggdq-mcu[tensorflow,tflite]=={__version__}"),
    ],
)
def test_every_step_of_the_ci_files_runs_in_a_shell(
    cli: Any, tmp_path: Path, model: str, install: str, requirement: str
) -> None:
    """The steps in bash, in a clean environment, with programs of these names that write down how they were called."""
    repository, programs = tmp_path / "repository", tmp_path / "bin"
    (repository / "wheels").mkdir(parents=True)
    programs.mkdir()
    (repository / "wheels/g-1-py3-none-any.whl").touch()
    np.savez(repository / "test data.npz", x=np.zeros(3))
    if model.endswith("saved model"):
        (repository / model).mkdir()
    else:
        (repository / model).write_bytes(b"\x1c\0\0\0TFL3" if model.endswith("tflite") else b"")
    line = ["init-ci", model, "--board", "nucleo", "--data", "test data.npz", "--repository", repository]
    outcome = cli(*line, *(["--install", install] if install else []))
    assert outcome.code == 0, outcome.err
    log = tmp_path / "log"
    for name in ("pip", "ggdq-mcu"):
        program = programs / name
        program.write_text(f"#!/bin/sh\nprintf '%s|' {name} \"$@\" >> {shlex.quote(str(log))}; echo >> {log}\n")
        program.chmod(0o755)
    for steps in steps_of(repository):
        log.unlink(missing_ok=True)
        for step in steps:
            subprocess.run(["bash", "-e", "-c", step], check=True, cwd=repository, env={"PATH": f"{programs}:/bin"})
        called = [entry.split("|")[:-1] for entry in log.read_text().splitlines()]
        assert called[0] == ["pip", "install", requirement]
        assert [entry[1] for entry in called[1:]] == ["build", "verify", "check"]
        assert called[1][2] == model
        assert all("test data.npz" in entry for entry in called[2:])
    if "[" in requirement and "./" not in requirement:
        assert Requirement(requirement).name == "ggdq-mcu"


def without_ci(repository: Path, copy: Path) -> Path:
    """A copy of the repository as it was before init-ci."""
    return Path(shutil.copytree(repository, copy, ignore=lambda *_: [".github", ".gitlab-ci.yml", "build"]))


def test_the_same_files_again_are_no_conflict_but_others_are(cli: Any, repository: Path, tmp_path: Path) -> None:
    copy = without_ci(repository, tmp_path / "copy")
    assert init(cli, copy).code == init(cli, copy).code == 0
    (copy / ".gitlab-ci.yml").write_text("stages: [mine]\n")
    os.remove(copy / ".github" / "workflows" / "ggdq-mcu.yml")
    outcome = init(cli, copy)
    assert outcome.code == 2
    assert "another file is in the way" in outcome.err
    assert (copy / ".gitlab-ci.yml").read_text() == "stages: [mine]\n"
    assert not (copy / ".github" / "workflows" / "ggdq-mcu.yml").exists()


def test_a_board_that_needs_qemu_gets_it(cli: Any, repository: Path, tmp_path: Path) -> None:
    copy = without_ci(repository, tmp_path / "copy")
    data = "my models/digits_test.npz"
    arguments = ("init-ci", "my models/digits.h5", "--board", "mps3_an547", "--data", data, "--repository", copy)
    assert cli(*arguments).code == 0
    assert "install -y --no-install-recommends qemu-system-arm" in (copy / ".gitlab-ci.yml").read_text()


@pytest.mark.parametrize(
    ("model", "cause"), [("none.h5", "there is no such file"), (str(EXAMPLES / "digits.h5"), "not in the repository")]
)
def test_files_that_ci_would_not_find_are_refused(cli: Any, tmp_path: Path, model: str, cause: str) -> None:
    arguments = ("--board", "nucleo", "--data", model, "--repository", tmp_path)
    outcome = cli("init-ci", model, *arguments)
    assert outcome.code == 2
    assert cause in outcome.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (None, "cannot be read"),
        ("{", "not a baseline"),
        ("[]", "not a baseline"),
        ('{"accuracy": 1}', "not a baseline"),
        (json.dumps(vars(BEFORE) | {"ram_bytes": "few"}), "ram_bytes: Input should be a valid integer"),
    ],
)
def test_a_broken_baseline_is_one_line(cli: Any, tmp_path: Path, text: str | None, cause: str) -> None:
    if text is not None:
        (tmp_path / "b.json").write_text(text)
    outcome = cli("check", tmp_path, "--against", tmp_path / "b.json", "--data", EXAMPLES / "digits_test.npz")
    assert outcome.code == 2
    assert cause in outcome.err
    assert outcome.err.count("\n") == 1
