"""Resource usage of the process, against known work."""

from __future__ import annotations

import os
import threading
import time

import pytest

from edge_ser.machine.process import CpuTime, Memory, cpu_time, memory

MIB = 1024 * 1024


def burn(cpu_s: float) -> None:
    """Keep one processor busy for so long, in this thread's own time."""
    end = time.thread_time() + cpu_s
    while time.thread_time() < end:
        pass


def test_memory_grows_with_what_is_held_and_its_peak_stays():
    before = memory()
    held = bytearray(os.urandom(1)) * (96 * MIB)
    with_it = memory()
    del held
    after = memory()

    assert with_it.rss_bytes - before.rss_bytes > 80 * MIB
    assert after.rss_bytes < with_it.rss_bytes - 80 * MIB
    # The kernel gathers these counts by processor: they may lag by some pages.
    assert after.peak_rss_bytes > with_it.rss_bytes - MIB


def test_memory_is_read_in_bytes(tmp_path):
    (tmp_path / "status").write_text(
        "Name:\tpython3\nState:\tR (running)\nVmPeak:\t   18356 kB\nVmHWM:\t   11776 kB\n"
        "VmRSS:\t   11520 kB\nThreads:\t1\nvoluntary_ctxt_switches:\t2\n"
    )

    assert memory(tmp_path) == Memory(rss_bytes=11520 * 1024, peak_rss_bytes=11776 * 1024)


def test_a_kernel_thread_has_no_memory(tmp_path):
    (tmp_path / "status").write_text("Name:\tkthreadd\nThreads:\t1\n")
    with pytest.raises(OSError, match=r"status .*\bVmRSS\b"):
        memory(tmp_path)


def test_processor_time_of_all_threads_and_of_this_one():
    process, thread = cpu_time("process"), cpu_time("thread")
    other = threading.Thread(target=burn, args=(0.2,))
    other.start()
    other.join()
    process, thread = cpu_time("process").since(process), cpu_time("thread").since(thread)

    assert process.cpu_s >= 0.19
    assert thread.cpu_s < 0.1
    assert process.wall_s >= 0.19
    assert process.cores == process.cpu_s / process.wall_s


def test_waiting_is_a_voluntary_switch():
    before = cpu_time("thread")
    for _ in range(5):
        time.sleep(0.001)

    assert cpu_time("thread").since(before).voluntary_switches >= 5


def test_no_time_is_no_cores():
    assert CpuTime(0.0, 0.0, 0.0, 0, 0).cores == 0.0


def test_a_process_that_is_gone(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        memory(tmp_path / "4711")
