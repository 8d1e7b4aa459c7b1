"""
What is kept beside the mail may be harmed in any way; C{make torture} does it a thousand times.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from twisted.internet import reactor

from mailaccess.errors import StoreDamaged
from mailaccess.store.maildir import index
from mailaccess.store.maildir.checksums import CHECKSUMS
from tests.torture.mutations import FILES, make_template, mutate


@pytest.mark.parametrize("name", FILES)
async def test_whatever_becomes_of_a_file_beside_the_mail_no_answer_is_wrong(
    tmp_path: Path, name: str
) -> None:
    """
    DS-05: bits flipped, a part overwritten, the end cut off, the file gone or another.
    """
    known = await make_template(tmp_path / "template", reactor)
    outcomes = await mutate(tmp_path, known, name, 20, Random(), reactor)
    assert set(outcomes) <= {"right", "refused"}
    assert outcomes["right"]


def test_a_record_with_checksums_is_not_written_to_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    DS-05: what is written so would look like damage.
    """
    path = str(tmp_path / "index.db")
    index.prepare(path)
    assert CHECKSUMS.vfs
    assert Path(path).read_bytes()[20] == 8
    monkeypatch.setattr(CHECKSUMS, "vfs", "")
    with pytest.raises(StoreDamaged):
        index.prepare(path)
    other = str(tmp_path / "other.db")
    index.prepare(other)
    index.prepare(other)
