"""Recordings: exact, within the limit, after a crash, and on a full disk."""

from __future__ import annotations

import errno
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.audio.io import load
from edge_ser.errors import ConfigError
from edge_ser.recognition.events import DeviceLost, Heartbeat, Overrun, from_json
from edge_ser.sinks import recorder as recorder_module
from edge_ser.sinks import segments
from edge_ser.sinks.recorder import Recorder
from edge_ser.sinks.segments import SegmentStore

NO_SPACE = os.strerror(errno.ENOSPC)

RATE = 16_000


def noise(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    size = int(seconds * rate)
    drawn = np.random.default_rng(seed).integers(-20_000, 20_000, size)
    return (drawn / 32_768).astype(np.float32)


def heartbeat(seq: int = 0) -> Heartbeat:
    return Heartbeat(
        seq=seq,
        source="mic",
        at_s=1.0,
        monotonic_s=1.0,
        time="now",
        heard_s=1.0,
        n_windows=0,
        n_utterances=0,
        n_overruns=0,
        lost_s=0.0,
        latency_p50_ms=None,
        latency_p99_ms=None,
        state="listening",
    )


def overrun() -> Overrun:
    common = {"seq": 0, "source": "mic", "at_s": 1.0, "monotonic_s": 1.0, "time": "now"}
    return Overrun(**common, lost_s=0.5, reason="device")


def wavs(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.wav"))


def total_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("heard-*"))


def until(holds: Callable[[], object]) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail("it did not come true in 30 s")


def test_audio_and_events_come_back_as_they_were(tmp_path):
    samples = noise(2.5)
    recorder = Recorder(tmp_path / "new" / "kept")
    for at in range(0, len(samples), 777):
        recorder.audio(samples[at : at + 777], RATE)
        recorder.write(heartbeat(at))
    recorder.close()

    (wav,) = wavs(tmp_path / "new" / "kept")
    assert soundfile.info(str(wav)).subtype == "PCM_16"
    np.testing.assert_array_equal(load(wav, RATE), samples)
    events = [from_json(line) for line in wav.with_suffix(".jsonl").read_text().splitlines()]
    assert events == [heartbeat(at) for at in range(0, len(samples), 777)]
    assert (recorder.trouble, recorder.lost_s, recorder.news()) == (None, 0.0, ())


def test_only_the_owner_may_read_it(tmp_path):
    recorder = Recorder(tmp_path / "kept")
    recorder.audio(noise(0.1), RATE)
    recorder.close()

    modes = {
        path.suffix: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "kept").iterdir()
    }
    assert modes == {".wav": 0o600, ".jsonl": 0o600}
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700


def test_samples_out_of_range_are_clipped_and_not_wrapped(tmp_path):
    recorder = Recorder(tmp_path)
    recorder.audio(np.array([2.0, -2.0, np.nan, 1.0], np.float32), RATE)
    recorder.close()

    samples, _ = soundfile.read(str(wavs(tmp_path)[0]), dtype="int16")
    assert samples.tolist() == [32_767, -32_768, 0, 32_767]


def test_segments_end_by_time_and_hold_everything(tmp_path):
    samples = noise(5)
    recorder = Recorder(tmp_path, segment_s=1.0)
    for at in range(0, len(samples), 800):
        recorder.audio(samples[at : at + 800], RATE)
    recorder.close()

    assert [soundfile.info(str(w)).duration for w in wavs(tmp_path)] == [1.0] * 5
    np.testing.assert_array_equal(np.concatenate([load(w, RATE) for w in wavs(tmp_path)]), samples)


def lost_device() -> DeviceLost:
    common = {"seq": 0, "source": "mic", "at_s": 1.0, "monotonic_s": 1.0, "time": "now"}
    return DeviceLost(**common, device="USB", reason="unplugged")


@pytest.mark.parametrize("event", [overrun(), lost_device()], ids=["overrun", "device_lost"])
def test_a_segment_has_no_gaps(tmp_path, event):
    """Audio on both sides of a hole, put together, would be a sound that nobody made."""
    recorder = Recorder(tmp_path)
    recorder.audio(noise(1), RATE)
    recorder.write(event)
    recorder.audio(noise(2), RATE)
    recorder.close()

    assert [soundfile.info(str(w)).duration for w in wavs(tmp_path)] == [1.0, 2.0]
    assert event.kind in wavs(tmp_path)[0].with_suffix(".jsonl").read_text()


def test_another_rate_is_another_segment(tmp_path):
    recorder = Recorder(tmp_path)
    recorder.audio(noise(1), RATE)
    recorder.audio(noise(1, rate=48_000), 48_000)
    recorder.close()

    assert [soundfile.info(str(w)).samplerate for w in wavs(tmp_path)] == [RATE, 48_000]


def test_events_before_the_first_audio_are_kept(tmp_path):
    recorder = Recorder(tmp_path)
    recorder.write(heartbeat(7))
    recorder.audio(noise(1), RATE)
    recorder.close()

    assert from_json(wavs(tmp_path)[0].with_suffix(".jsonl").read_text()) == heartbeat(7)


def test_without_audio_nothing_is_left(tmp_path):
    recorder = Recorder(tmp_path)
    recorder.write(heartbeat())
    recorder.audio(np.zeros(0, np.float32), RATE)
    recorder.close()
    recorder.close()

    assert list(tmp_path.iterdir()) == []


@given(
    pieces=st.lists(
        st.tuples(st.integers(1, 120_000), st.integers(0, 3000), st.booleans()), max_size=40
    )
)
def test_the_newest_stay_within_the_limit(tmp_path_factory, pieces):
    """Whatever is written: never more than the limit on the disk, and what goes is the oldest."""
    folder = tmp_path_factory.mktemp("kept")
    store = SegmentStore(folder, 1_000_000)
    written: dict[int, bytes] = {}
    segment = None
    for value, (n_samples, n_event_bytes, cut) in enumerate(pieces):
        if segment is not None and (cut or store.is_full(segment)):
            store.finish(segment)
            segment = None
        segment = segment or store.begin(RATE)
        pcm = bytes([value]) * 2 * min(n_samples, 32_768)
        store.append(segment, pcm, b"x" * n_event_bytes + b"\n")
        written[segment.number] = written.get(segment.number, b"") + pcm
        assert total_bytes(folder) <= 1_000_000
    if segment is not None:
        store.finish(segment)
    store.close()

    kept = {int(path.name.split("-")[1]): path for path in wavs(folder)}
    assert sorted(kept) == sorted(written)[len(written) - len(kept) :], "only the oldest went"
    for number, path in kept.items():
        assert path.read_bytes()[44:] == written[number]
    if sum(len(pcm) + 12_288 for pcm in written.values()) < 1_000_000:
        assert len(kept) == len(written), "nothing goes without need"


def test_the_recorder_rotates(tmp_path):
    recorder = Recorder(tmp_path, limit_mb=1, segment_s=2)
    for second in range(60):
        recorder.audio(noise(1, second), RATE)
        recorder.write(heartbeat(second))
    recorder.close()

    assert recorder.lost_s == 0
    assert 700_000 < total_bytes(tmp_path) <= 1_000_000
    np.testing.assert_array_equal(load(wavs(tmp_path)[-1], RATE)[-RATE:], noise(1, 59))
    assert all(w.with_suffix(".jsonl").exists() for w in wavs(tmp_path))
    assert len(list(tmp_path.glob("*.jsonl"))) == len(wavs(tmp_path))


def test_foreign_files_are_left_alone(tmp_path):
    foreign = {
        "notes.txt": b"ours",
        "heard-1.wav": b"x" * 3_000_000,
        "heard-00000001-20260101T000000Z.wav.bak": b"y" * 3_000_000,
        "song.wav": b"RIFF but no more",
    }
    for name, content in foreign.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "heard-00000001-20260101T000000Z.wav").mkdir()
    (tmp_path / "heard-00000002-20260101T000000Z.wav").symlink_to(tmp_path / "song.wav")
    recorder = Recorder(tmp_path, limit_mb=1, segment_s=1)
    for second in range(40):
        recorder.audio(noise(1, second), RATE)
    recorder.close()

    assert {name: (tmp_path / name).read_bytes() for name in foreign} == foreign
    assert (tmp_path / "heard-00000001-20260101T000000Z.wav").is_dir()
    assert (tmp_path / "heard-00000002-20260101T000000Z.wav").is_symlink()


def test_a_clock_that_steps_back_changes_no_order(tmp_path):
    times = iter([2e9, 1e9, 1e9, 1.5e9, 0.0])
    for second in range(5):
        recorder = Recorder(tmp_path, wall_clock=lambda: next(times))
        recorder.audio(noise(1, second), RATE)
        recorder.close()

    names = [w.name for w in wavs(tmp_path)]
    assert [re.fullmatch(r"heard-0000000(\d)-\d{8}T\d{6}Z.wav", n)[1] for n in names] == [*"12345"]
    assert names[0].endswith("-20330518T033320Z.wav")
    for second, path in enumerate(wavs(tmp_path)):
        np.testing.assert_array_equal(load(path, RATE), noise(1, second))


def test_two_do_not_record_to_the_same_place(tmp_path):
    first = Recorder(tmp_path)
    with pytest.raises(ConfigError, match="another edge-ser"):
        Recorder(tmp_path)
    first.close()
    Recorder(tmp_path).close()


def test_an_unwritable_directory_is_an_error_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"/file/kept \(Not a directory\)"):
        Recorder(tmp_path / "file" / "kept")
    with pytest.raises(ConfigError, match=r"/proc/self/kept\b"):
        Recorder("/proc/self/kept")


@pytest.mark.parametrize("numbers", [{"limit_mb": 0.5}, {"limit_mb": np.nan}, {"segment_s": 0}])
def test_impossible_numbers_are_refused(tmp_path, numbers):
    with pytest.raises(ConfigError, match=r"\bgot \S+"):
        Recorder(tmp_path, **numbers)


# --- crashes

KILLED = """
import sys, time
import numpy as np
from edge_ser.sinks.recorder import Recorder
sys.path.insert(0, sys.argv[2])
from test_recorder import heartbeat, noise
recorder = Recorder(sys.argv[1], segment_s=1)
for second in range(3):
    recorder.audio(noise(1, second), 16_000)
    recorder.write(heartbeat(second))
recorder.audio(noise(0.5, 3), 16_000)
recorder.write(heartbeat(3))
print("recorded", flush=True)
time.sleep(60)
"""


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A directory that a killed run left behind, in the middle of its fourth segment."""
    folder = tmp_path / "kept"
    tests = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(
        [os.environ.get("PYTHONPATH", ""), str(tests.parent), str(tests)])}  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), str(tests)],
        stdout=subprocess.PIPE,
        env=environment,
    )
    assert process.stdout
    assert process.stdout.readline() == b"recorded\n"
    size = 44 + RATE
    until(lambda: len(wavs(folder)) == 4 and wavs(folder)[3].stat().st_size == size)
    until(lambda: wavs(folder)[3].with_suffix(".jsonl").stat().st_size)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    return folder


def test_what_a_killed_run_left_is_readable(killed):
    for second, path in enumerate(wavs(killed)):
        expected = noise(1 if second < 3 else 0.5, second)
        np.testing.assert_array_equal(load(path, RATE), expected)
        by_others, _ = soundfile.read(str(path), dtype="float32")
        np.testing.assert_array_equal(by_others, expected)


def test_the_next_start_finishes_it_and_goes_on(killed):
    with wavs(killed)[3].with_suffix(".jsonl").open("a") as lines:
        lines.write('{"v": 1, "event": "hea')
    with wavs(killed)[3].open("ab") as half_a_sample:
        half_a_sample.write(b"\x01")
    recorder = Recorder(killed, segment_s=1)
    news = recorder.news()
    recorder.audio(noise(1, 4), RATE)
    recorder.close()

    (messages,) = news
    assert messages.startswith("1 unfinished ")
    assert [w.name.split("-")[1] for w in wavs(killed)] == [f"{n:08}" for n in range(1, 6)]
    for path in wavs(killed):
        header = path.read_bytes()[:44]
        assert int.from_bytes(header[40:], "little") == path.stat().st_size - 44
        assert int.from_bytes(header[4:8], "little") == path.stat().st_size - 8
        assert path.stat().st_size % 2 == 0
    assert from_json(wavs(killed)[3].with_suffix(".jsonl").read_text()) == heartbeat(3)


def test_what_a_killed_run_left_counts_in_the_limit(killed):
    with wavs(killed)[3].open("ab") as unfinished:
        unfinished.write(bytes(900_000))
    recorder = Recorder(killed, limit_mb=1)
    recorder.audio(noise(5, 4), RATE)
    recorder.close()

    assert [w.name.split("-")[1] for w in wavs(killed)] == ["00000005"]
    assert total_bytes(killed) <= 1_000_000


def test_what_a_power_cut_spoilt_is_put_aside(tmp_path):
    """A header that never reached the disk reads as zeros; a file that has nothing yet is of no use."""
    (tmp_path / "heard-00000003-20260101T000000Z.wav").write_bytes(bytes(8192))
    (tmp_path / "heard-00000004-20260101T000000Z.wav").write_bytes(b"")
    (tmp_path / "heard-00000004-20260101T000000Z.jsonl").write_bytes(b"{}\n")
    recorder = Recorder(tmp_path)
    recorder.audio(noise(1), RATE)
    recorder.close()

    names = sorted(path.name[:14] + path.suffix for path in tmp_path.iterdir())
    assert names == [
        "heard-00000003.unreadable",
        "heard-00000004.jsonl",
        "heard-00000004.wav",
    ]
    np.testing.assert_array_equal(load(wavs(tmp_path)[0], RATE), noise(1))


# --- disks that refuse


def test_a_disk_that_refuses_pauses_and_goes_on(tmp_path, monkeypatch):
    """Told once, tried again, and what was not kept is counted; nothing is raised."""
    refuses = threading.Event()
    write = os.write

    def refusing(file: int, data: object) -> int:
        if refuses.is_set():
            raise OSError(28, "No space left on device")
        return write(file, data)

    monkeypatch.setattr(segments.os, "write", refusing)
    recorder = Recorder(tmp_path, retry_s=0.2)
    recorder.audio(noise(1, 0), RATE)
    until(lambda: wavs(tmp_path) and wavs(tmp_path)[0].stat().st_size == 44 + 2 * RATE)
    refuses.set()
    recorder.audio(noise(1, 1), RATE)
    until(lambda: recorder.trouble)
    for _ in range(5):
        recorder.audio(noise(0.1, 2), RATE)
        recorder.write(heartbeat())
        time.sleep(0.15)
    until(lambda: recorder.lost_s > 1.45)
    messages = recorder.news()
    trouble = recorder.trouble
    refuses.clear()
    time.sleep(0.25)
    recorder.audio(noise(1, 3), RATE)
    until(lambda: recorder.trouble is None)
    recorder.close()

    assert len(messages) == 1
    assert "paused" in messages[0]
    assert NO_SPACE in messages[0]
    assert "paused" in trouble
    assert NO_SPACE in trouble
    (goes_on,) = recorder.news()
    assert "continue" in goes_on
    assert "1.5 s" in goes_on
    first, last = wavs(tmp_path)
    np.testing.assert_array_equal(load(first, RATE), noise(1, 0))
    np.testing.assert_array_equal(load(last, RATE), noise(1, 3))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root; a limit on file sizes is tested instead")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full(small_disk):
    recorder = Recorder(small_disk / "kept", retry_s=0.2)
    (small_disk / "others").write_bytes(bytes(700_000))
    recorder.audio(noise(20), RATE)
    until(lambda: recorder.trouble)
    for path in wavs(small_disk / "kept"):
        assert len(load(path, RATE)) > RATE, "what fitted can be read"
    (small_disk / "others").unlink()
    until(lambda: recorder.audio(noise(0.1), RATE) or recorder.trouble is None)
    recorder.close()

    news = recorder.news()
    assert NO_SPACE in news[0]
    assert "continue" in news[1]
    assert len(news) == 2
    assert all(len(load(path, RATE)) for path in wavs(small_disk / "kept"))
    assert len(wavs(small_disk / "kept")) == 2


def test_a_full_disk_at_the_start_is_an_error(small_disk):
    with pytest.raises(OSError, match="No space"):
        (small_disk / "others").write_bytes(bytes(2_000_000))
    with pytest.raises(ConfigError, match=NO_SPACE):
        Recorder(small_disk)


def test_a_limit_on_file_sizes(tmp_path):
    """As RLIMIT_FSIZE or a quota gives it: a real refusal, in the middle of a write."""
    code = """
import resource, sys, time
sys.path.insert(0, sys.argv[2])
from test_recorder import noise
from edge_ser.sinks.recorder import Recorder
resource.setrlimit(resource.RLIMIT_FSIZE, (50_001, 50_001))
recorder = Recorder(sys.argv[1], retry_s=1000)
recorder.audio(noise(3), 16_000)
recorder.close()
print(recorder.trouble, *recorder.news(), sep="\\n")
"""
    tests = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(
        [os.environ.get("PYTHONPATH", ""), str(tests.parent), str(tests)])}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "kept"), str(tests)],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )

    assert "paused" in done.stdout.splitlines()[0]
    assert os.strerror(errno.EFBIG) in done.stdout.splitlines()[0]
    assert len(done.stdout.splitlines()) == 2
    (path,) = wavs(tmp_path / "kept")
    kept = load(path, RATE)
    np.testing.assert_array_equal(kept, noise(3)[: len(kept)])
    assert len(kept) == (50_001 - 44) // 2


def test_a_directory_that_is_taken_away_comes_back(tmp_path):
    folder = tmp_path / "stick"
    recorder = Recorder(folder, segment_s=0.5, retry_s=0.2)
    recorder.audio(noise(0.5), RATE)
    until(lambda: wavs(folder))
    folder.rename(tmp_path / "pulled")
    until(lambda: recorder.audio(noise(0.5), RATE) or recorder.trouble)
    (tmp_path / "pulled").rename(folder)
    until(lambda: recorder.audio(noise(0.5), RATE) or recorder.trouble is None)
    recorder.close()

    paused, goes_on = recorder.news()
    assert os.strerror(errno.ENOENT) in paused
    assert "continue" in goes_on


def test_a_slow_disk_delays_nobody(tmp_path, monkeypatch):
    """Waiting data is bounded, the rest is counted, and recorded files are complete."""
    stuck, entered = threading.Event(), threading.Event()
    write = os.write

    def waiting(file: int, data: object) -> int:
        entered.set()
        stuck.wait(30)
        return write(file, data)

    monkeypatch.setattr(segments.os, "write", waiting)
    monkeypatch.setattr(recorder_module, "PENDING_BYTES", 320_000)
    recorder = Recorder(tmp_path)
    recorder.audio(noise(1, 0), RATE)
    assert entered.wait(10)
    for second in range(1, 30):
        recorder.audio(noise(1, second), RATE)
    waits, trouble, messages = recorder._n_waiting, recorder.trouble, recorder.news()
    stuck.set()
    until(lambda: recorder.trouble is None)
    recorder.audio(noise(1, 99), RATE)
    recorder.close()

    assert waits <= 320_000
    assert trouble == messages[0]
    assert "too slow" in trouble
    assert len(messages) == 1
    n_kept = sum(len(load(w, RATE)) for w in wavs(tmp_path))
    assert n_kept / RATE + recorder.lost_s == pytest.approx(31)
    assert recorder.lost_s > 15
    assert len(wavs(tmp_path)) == 2, "behind the gap another segment begins"
    np.testing.assert_array_equal(load(wavs(tmp_path)[1], RATE), noise(1, 99))
