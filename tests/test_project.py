"""
The project agrees with itself: what the README says exists, the version stands in one place, and no
file speaks of the machine it was written on.
"""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

import mailaccess

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

BUILT = {".git", ".venv", ".programs", "__pycache__", "_build", "build", "dist", "demo"}
HOSTS = (("pypi", "org"), ("pythonhosted", "org"), ("crates", "io"), ("npmjs", "org"))
FORBIDDEN = re.compile(
    "|".join(
        [
            r"(?<![\w.$}*])/(?:work|root|workspace|Users)/",
            r"/home/(?!\w*\*)(?:runner|ubuntu|user)/",
            *(rf"\b{name}\.{top}\b" for name, top in HOSTS),
            r"\bTO" + r"DO\b",
            r"\bFIX" + r"ME\b",
            r"pytest\.(?:mark\." + r"(?:skip|xfail)|skip" + r"\()",
        ]
    )
)


def tree() -> list[Path]:
    """
    The files of the project: what git knows, or all that was not built here.
    """
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
        ).stdout
        found = [ROOT / os.fsdecode(name) for name in listing.split(b"\0") if name]
    except (OSError, subprocess.CalledProcessError):
        found = [
            path
            for path in ROOT.rglob("*")
            if not BUILT.intersection(path.relative_to(ROOT).parts[:1])
            and "__pycache__" not in path.parts
        ]
    return [path for path in found if path.is_file()]


def text_files() -> Iterator[tuple[str, str]]:
    """
    Name and text of every file that is ours and text; the messages in C{tests/data} are neither.
    """
    for path in tree():
        name = path.relative_to(ROOT).as_posix()
        if name.startswith("tests/data/"):
            continue
        try:
            yield name, path.read_text("utf-8")
        except UnicodeDecodeError:
            continue


def make_targets() -> set[str]:
    """
    The targets of the Makefile that have a line in C{make help}.
    """
    makefile = (ROOT / "Makefile").read_text("utf-8")
    return set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))


def test_the_commands_that_the_documents_name_are_in_the_makefile() -> None:
    targets = make_targets()
    named = {
        name: set(re.findall(r"(?:`|^\s*(?:\$ )?)make ([a-z]+)\b", text, re.MULTILINE)) - targets
        for name, text in text_files()
        if name.endswith((".md", ".rst"))
    }
    assert {name: commands for name, commands in named.items() if commands} == {}


def test_the_readme_names_the_commands_that_everybody_needs() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert {"demo", "test", "check"} <= make_targets()
    for command in ("make demo", "make test", "make check", "twist mailaccess"):
        assert command in readme


def test_every_phony_target_is_explained_by_make_help() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == make_targets()
    shown = subprocess.run(
        ["make", "-s", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert {line.split()[1] for line in shown.splitlines()} == make_targets()


def test_the_version_stands_in_one_place() -> None:
    assert "version" not in PYPROJECT["project"]
    assert "version" in PYPROJECT["project"]["dynamic"]
    assert PYPROJECT["tool"]["hatch"]["version"]["path"] == "mailaccess/__init__.py"
    version = re.compile(
        rf"\b(?:version|__version__)\s*=\s*[\"']{re.escape(mailaccess.__version__)}"
    )
    assert [name for name, text in text_files() if version.search(text)] == [
        "mailaccess/__init__.py"
    ]


def test_the_oldest_promised_python_can_read_all_modules() -> None:
    """LD-18: whichever runs the tests."""
    assert PYPROJECT["project"]["requires-python"] == ">=3.11,<3.14"
    assert (3, 11) <= sys.version_info[:2] <= (3, 13)
    for name, text in text_files():
        if name.endswith(".py"):
            ast.parse(text, name, feature_version=(3, 11))


def test_the_ldap_library_has_one_version_and_deprecated_calls_of_ours_are_errors() -> None:
    """LD-18: what it does beyond its documentation is relied on, so it is pinned."""
    assert "ldap3==2.9.1" in PYPROJECT["project"]["dependencies"]
    assert metadata.version("ldap3") == "2.9.1"
    filters = PYPROJECT["tool"]["pytest"]["ini_options"]["filterwarnings"]
    assert "error::DeprecationWarning:mailaccess" in filters


def test_no_file_speaks_of_this_machine_or_of_unfinished_work() -> None:
    assert [
        f"{name}:{text.count(chr(10), 0, hit.start()) + 1}: {hit[0]}"
        for name, text in text_files()
        for hit in FORBIDDEN.finditer(text)
    ] == []


def test_the_search_for_forbidden_words_finds_them() -> None:
    """A test of the test above; the words are put together here so that it does not find itself."""
    for words in (
        ("see /wo", "rk/main/x"),
        ("'/ro", "ot/.cache'"),
        ("https://py", "pi.org/x"),
        ("files.python", "hosted.org"),
        ("# TO", "DO: later"),
        ("@pytest.mark.", "skip"),
    ):
        assert FORBIDDEN.search("".join(words))
    for permitted in ("$here/root/usr", "a/work/b", "mastodon", "/var/mail/"):
        assert not FORBIDDEN.search(permitted)


def test_what_is_left_out_of_a_release_is_named_from_the_top() -> None:
    """
    C{demo} without a slash would also leave out C{mailaccess/services/demo}.
    """
    excluded = PYPROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["exclude"]
    assert [pattern for pattern in excluded if not pattern.startswith("/")] == []
    assert not any("demo" in p for p in PYPROJECT["tool"]["ruff"].get("extend-exclude", []))


def test_scripts_can_be_run_and_are_shell() -> None:
    for name, shell in ((".ci/run", "bash"), ("tests/setup_programs.sh", "sh")):
        assert os.access(ROOT / name, os.X_OK)
        subprocess.run([shell, "-n", str(ROOT / name)], check=True)


def test_setting_up_the_programs_again_is_quiet() -> None:
    """
    The set-up ran before the tests; the second time it has nothing to do and nothing to say.
    """
    done = subprocess.run([str(ROOT / "tests/setup_programs.sh")], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("ending", ["trap 'exit 0' INT", "trap 'trap - INT; kill -INT $$' INT"])
def test_ctrl_c_ends_make_demo_without_noise(tmp_path: Path, ending: str) -> None:
    """
    The service ends by itself, or by the signal; C{make} has nothing to add to either.
    """
    demo = start_make_demo(tmp_path, f'{ending}; echo "$@"; while :; do sleep 0.1; done')
    assert demo.stdout is not None
    assert demo.stdout.readline() == b"mailaccess --demo\n"
    # make complains of a service that has ended before make has seen the signal; ours takes longer.
    demo.send_signal(signal.SIGINT)
    while not handles_interrupt(demo.pid):
        time.sleep(0.01)
    os.killpg(demo.pid, signal.SIGINT)
    assert demo.communicate(timeout=30) == (b"", b"")


def test_make_demo_that_fails_says_so(tmp_path: Path) -> None:
    demo = start_make_demo(tmp_path, "exit 1")
    assert b"Error" in demo.communicate(timeout=30)[1]
    assert demo.returncode == 2


def handles_interrupt(pid: int) -> bool:
    """
    Whether a process is in its handler for SIGINT: the signal is blocked then.
    """
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    (blocked,) = re.findall(r"^SigBlk:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return bool(int(blocked, 16) >> (signal.SIGINT - 1) & 1)


def start_make_demo(directory: Path, script: str) -> subprocess.Popen[bytes]:
    """
    C{make demo} with a shell script for C{twist}, in a process group of its own.
    """
    binaries = directory / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (directory / "pyproject.toml").touch()
    for name, content in (("python", ""), ("twist", script)):
        (binaries / name).write_text(f"#!/bin/sh\n{content}\n")
        (binaries / name).chmod(0o755)
    (directory / ".venv" / ".installed").touch()
    return subprocess.Popen(
        ["make", "-s", "-f", str(ROOT / "Makefile"), "demo"],
        cwd=directory,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
