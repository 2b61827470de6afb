"""Lines of tegrastats that people recorded on boards from TX1 to Thor; see tegrastats/README.md."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from power_parts import hwmon

from edge_ser.errors import ConfigError, MissingDependency
from edge_ser.machine.power.ina import total_of
from edge_ser.machine.power.sensor import Found
from edge_ser.machine.power.sensors import Sensors, open_sensors
from edge_ser.machine.power.tegrastats import (
    Core,
    RailReading,
    Tegrastats,
    TegrastatsProcess,
    find_tegrastats,
    parse_tegrastats,
)

LINES = {
    path.stem: path.read_text().rstrip("\n")
    for path in (Path(__file__).parent / "tegrastats").glob("*.txt")
}


def parsed(name: str) -> Tegrastats:
    stats = parse_tegrastats(LINES[name])
    assert stats is not None
    return stats


def test_a_line_of_jetpack_4_says_milliwatts_without_a_unit():
    stats = parsed("nano_r32")

    assert stats == Tegrastats(
        ram_mb=534,
        ram_total_mb=3964,
        swap_mb=5,
        swap_total_mb=1982,
        cores=(Core(16, 204), Core(9, 204), Core(0, 204), Core(0, 204)),
        gpu_percent=0,
        gpu_mhz=(76,),
        emc_percent=0,
        emc_mhz=204,
        temperatures_c={
            "PLL": 34.0,
            "CPU": 36.5,
            "PMIC": 100.0,
            "GPU": 36.0,
            "AO": 39.5,
            "thermal": 36.25,
        },
        rails={
            "POM_5V_IN": RailReading(1022, 1022, None),
            "POM_5V_GPU": RailReading(0, 0, None),
            "POM_5V_CPU": RailReading(204, 204, None),
        },
    )


def test_cores_that_are_off_keep_their_place():
    assert parsed("tx2_r32").cores == (
        Core(1, 345),
        None,
        None,
        Core(1, 345),
        Core(0, 345),
        Core(2, 345),
    )


def test_rails_that_are_named_like_a_core_or_a_temperature():
    stats = parsed("agx_xavier_r32")

    assert {name: rail.now_mw for name, rail in stats.rails.items()} == {
        "GPU": 0,
        "CPU": 311,
        "SOC": 932,
        "CV": 0,
        "VDDRQ": 621,
        "SYS5V": 1482,
    }
    assert stats.temperatures_c["GPU"] == 37.5
    assert len(stats.cores) == 8


def test_the_now_of_a_rail_comes_before_its_mean_and_its_peak():
    assert parsed("agx_orin_r36_4").rails["VIN_SYS_5V0"] == RailReading(4607, 4657, None)
    assert parsed("thor_r39_2").rails["VDD_CPU_SOC_MSS"] == RailReading(7953, 8332, 8710)


@pytest.mark.parametrize(
    ("name", "percent", "mhz"),
    [
        ("nano_r32_names_wrong", 83, ()),
        ("xavier_nx_r32", 62, (306,)),
        ("orin_nano_r36", 0, ()),
        ("agx_orin_r36", 0, (305, 305)),
        ("thor_r38_4", None, (0, 0, 0)),
        ("thor_r39_2", None, (314, 314, 314)),
        ("agx_orin_r39_2", 12, (1300, 1300)),
    ],
)
def test_the_gpu_has_a_load_or_clocks_or_both(name, percent, mhz):
    stats = parsed(name)

    assert (stats.gpu_percent, stats.gpu_mhz) == (percent, mhz)


def test_what_a_user_without_root_is_not_shown_is_none():
    stats = parsed("orin_nano_r36")

    assert (stats.emc_percent, stats.emc_mhz) == (None, None)
    assert parsed("tx1_r32").swap_mb is None


def test_temperatures_are_those_of_now():
    assert parsed("thor_r39_2").temperatures_c == {
        "cpu": 34.312,
        "tj": 35.906,
        "soc012": 34.093,
        "gpu": 35.906,
        "soc345": 34.437,
    }


@pytest.mark.parametrize("name", sorted(LINES))
def test_every_recorded_line_has_its_parts(name):
    stats = parsed(name)

    assert stats.cores
    assert 0 < stats.ram_mb < stats.ram_total_mb
    assert len(stats.rails) >= 3
    assert "RAM" not in stats.rails
    assert "SWAP" not in stats.rails
    assert len(stats.temperatures_c) >= 4


@pytest.mark.parametrize(
    ("name", "rails"),
    [
        ("tx1_r32", ("VDD_IN",)),
        ("tx2_r32", ("VDD_IN",)),
        ("nano_r32", ("POM_5V_IN",)),
        ("xavier_nx_r32", ("VDD_IN",)),
        ("orin_nx_r35", ("VDD_IN",)),
        ("orin_nano_r36", ("VDD_IN",)),
        ("agx_orin_r36", ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")),
        ("agx_orin_r39_2", ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")),
        ("agx_xavier_r32", ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V")),
    ],
)
def test_the_whole_of_each_board_is_known_by_its_rails(name, rails):
    whole = total_of(parsed(name).rails)

    assert whole is not None
    assert whole.names == rails
    assert whole.covers.startswith("the module, without")


@pytest.mark.parametrize("name", ["thor_r38_4", "thor_r39_2"])
def test_thors_own_rails_are_not_added_because_nobody_documents_that_they_may(name):
    assert total_of(parsed(name).rails) is None


def test_thors_input_is_the_whole_kit():
    whole = total_of([*parsed("thor_r39_2").rails, "VIN"])

    assert whole is not None
    assert whole.names == ("VIN",)
    assert "carrier board" in whole.covers
    assert "without" not in whole.covers


def test_a_zone_without_power_shows_no_temperature():
    stats = parse_tegrastats("RAM 1/2MB (lfb 1x1MB) cpu@-256C tj@47.3C outside@-12.5C")

    assert stats is not None
    assert stats.temperatures_c == {"tj": 47.3, "outside": -12.5}


def test_one_clock_may_stand_for_all_cores():
    """NVIDIA documents `CPU [X%,Y%, , ]@Z` as the older form."""
    stats = parse_tegrastats("RAM 1/2MB (lfb 1x1MB) CPU [7%,off,0%]@1734")

    assert stats is not None
    assert stats.cores == (Core(7, 1734), None, Core(0, 1734))


@given(st.sampled_from(sorted(LINES)), st.data())
def test_unknown_words_change_nothing(name, data):
    words = LINES[name].split(" ")
    # Not inside "RAM 1/2MB", "GR3D_FREQ 3%" and the like: a word and its value belong together.
    starts = [i for i, word in enumerate(words) if word[:1].isalpha() and "@" in word]
    place = data.draw(st.sampled_from([*starts, len(words)]))
    unknown = data.draw(
        st.sampled_from(["NVX", "QQ 12%@[3,4]", "NEW off", "X@", "Y 3", "(z 1x2GB)"])
    )
    changed = " ".join([*words[:place], unknown, *words[place:]])

    assert parse_tegrastats(changed) == parsed(name)


@given(st.text(max_size=200))
def test_any_text_is_parsed_or_refused_without_an_error(text):
    stats = parse_tegrastats(text)

    assert stats is None or stats.ram_total_mb >= 0


def fake_program(tmp_path: Path, body: str) -> str:
    program = tmp_path / "tegrastats"
    program.write_text(f"#!{sys.executable}\nimport sys, time\n{body}\n")
    program.chmod(0o755)
    return str(program)


def test_the_running_program_is_asked_for_the_interval_and_gives_its_newest_line(tmp_path):
    line = LINES["orin_nano_r36"]
    program = fake_program(
        tmp_path,
        f"print({line!r} + ' ASKED ' + '/'.join(sys.argv[2:] * 2), flush=True)\ntime.sleep(60)",
    )

    with TegrastatsProcess(250, program) as running:
        stats = running.latest()

    assert stats.rails.pop("ASKED") == RailReading(250, 250, None)
    assert stats == parsed("orin_nano_r36")


@pytest.mark.parametrize(
    ("body", "message"),
    [("", "ended"), ("print('usage: none', flush=True)\ntime.sleep(60)", "usage: none")],
)
def test_a_program_that_gives_no_figures_is_an_os_error(tmp_path, body, message):
    with (
        TegrastatsProcess(100, fake_program(tmp_path, body)) as running,
        pytest.raises(OSError, match=message),
    ):
        running.latest()


def test_without_tegrastats_the_error_says_where_it_comes_from(tmp_path):
    with pytest.raises(MissingDependency, match="comes with JetPack"):
        TegrastatsProcess(program=str(tmp_path / "none"))


def opened(root: Path, program: str) -> Sensors:
    return open_sensors(
        root,
        gpus=lambda: pytest.fail("a Jetson's GPU is in its rails"),
        printed=lambda: find_tegrastats(program),
    )


def test_its_rails_are_sensors_where_no_monitor_can_be_read(tmp_path):
    line = LINES["agx_orin_r36_4"]
    program = fake_program(tmp_path, f"print({line!r}, flush=True)\ntime.sleep(60)")

    with opened(tmp_path, program) as found:
        watts = {sensor.name: sensor.read() for sensor in found.sensors}
        kinds = {(sensor.unit, sensor.update_s, sensor.what) for sensor in found.sensors}

    assert watts == {n: rail.now_mw / 1000 for n, rail in parsed("agx_orin_r36_4").rails.items()}
    assert kinds == {("W", 0.1, "rail")}
    assert found.total == total_of(watts)
    with pytest.raises(OSError, match="ended"):
        found.sensors[0].read()


def test_a_rail_that_holds_everything_is_the_board(tmp_path):
    line = LINES["orin_nano_r36"]
    program = fake_program(tmp_path, f"print({line!r}, flush=True)\ntime.sleep(60)")

    with opened(tmp_path, program) as found:
        boards = [sensor.name for sensor in found.sensors if sensor.whole_board]

    assert boards == [sensor.name for sensor in found.sensors if sensor.what == "board"]
    assert boards == ["VDD_IN"]


def test_monitors_come_first(tmp_path):
    hwmon(tmp_path, {"VDD_IN": (5000, 1000)})
    found = open_sensors(tmp_path, printed=lambda: pytest.fail("a monitor can be read"))

    assert [sensor.read() for sensor in found.sensors] == [5.0]


@pytest.mark.parametrize(
    ("body", "reason"),
    [("", "ended"), ("print('RAM 1/2MB', flush=True)\ntime.sleep(60)", "no rails")],
)
def test_a_program_without_rails_is_a_reason(tmp_path, body, reason):
    found = find_tegrastats(fake_program(tmp_path, body))

    assert found.sensors == ()
    assert reason in found.unavailable[0]


def test_a_machine_without_tegrastats_is_not_asked_for_it(tmp_path):
    assert find_tegrastats(str(tmp_path / "none")) == Found((), ())


def test_an_interval_of_zero_is_refused():
    with pytest.raises(ConfigError, match=r"\binterval_ms\b.*\b0$"):
        TegrastatsProcess(0)
