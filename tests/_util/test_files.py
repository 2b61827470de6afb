"""Outputs are whole or not there."""

from __future__ import annotations

import errno
import os
import stat
import tempfile

import pytest
from support import absent

from edge_ser._util.files import read_json, replacing, with_section, write_text
from edge_ser.errors import ConfigError


@pytest.fixture
def umask():
    """Set the umask for one test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def test_a_new_file_with_missing_directories(tmp_path):
    path = tmp_path / "a" / "b" / "out.txt"
    write_text(path, "größer\n")
    assert path.read_bytes() == "größer\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "out.txt"
    write_text(path, "old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent
        assert temporary.suffix == ".txt"
        assert temporary.name.startswith(".")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("crash", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("existed", [False, True])
def test_a_crash_leaves_the_old_file_and_no_temporary(tmp_path, crash, existed):
    path = tmp_path / "out.txt"
    if existed:
        path.write_text("old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise crash

    with pytest.raises(crash):
        write_half()

    assert [p.read_text() for p in tmp_path.iterdir()] == (["old"] if existed else [])


def test_text_that_cannot_be_encoded_leaves_the_old_file(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]


def test_a_file_stands_where_the_directory_should_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError) as raised:
        write_text(tmp_path / "file" / "out.txt", "text")
    path = tmp_path / "file" / "out.txt"
    assert absent(raised.value, str(path), os.strerror(errno.EEXIST)) == []


def test_a_directory_that_may_not_be_written(tmp_path, monkeypatch):
    """Simulated: whoever runs the tests as root may write everywhere."""

    def refuse(**_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(ConfigError) as raised:
        write_text(tmp_path / "out.txt", "text")
    assert absent(raised.value, str(tmp_path / "out.txt"), "Permission denied") == []


def test_a_directory_stands_where_the_file_should_be(tmp_path):
    path = tmp_path / "out"
    path.mkdir()
    with pytest.raises(ConfigError) as raised:
        write_text(path, "text")
    assert absent(raised.value, str(path), os.strerror(errno.EISDIR)) == []
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("mask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_are_those_of_any_new_file(tmp_path, umask, mask, expected):
    """A temporary file is private; the finished one has to be readable as the umask says."""
    umask(mask)
    path = tmp_path / "out.txt"
    write_text(path, "text")
    assert stat.S_IMODE(path.stat().st_mode) == expected
    assert os.umask(mask) == mask


def test_a_section_takes_the_place_of_the_old_one():
    document = "before\n<!-- x -->\nstale\n<!-- /x -->\nafter <!-- y --><!-- /y -->\n"
    new = with_section(document, "x", "fresh", name="it")
    assert new == "before\n<!-- x -->\nfresh\n<!-- /x -->\nafter <!-- y --><!-- /y -->\n"
    assert with_section(new, "x", "fresh", name="it") == new


@pytest.mark.parametrize("document", ["", "<!-- x -->", "<!-- /x --> <!-- x -->"])
def test_a_document_without_a_place_for_the_section_is_named(document):
    with pytest.raises(ConfigError, match=r"^it .*<!-- x --> … <!-- /x -->"):
        with_section(document, "x", "text", name="it")


def test_json_is_read_whole(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": [1]}')

    assert read_json(path) == {"a": [1]}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_file_that_is_not_json_is_rejected(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"a\.json"):
        read_json(path)
    with pytest.raises(ConfigError, match=r"b\.json"):
        read_json(tmp_path / "b.json")
