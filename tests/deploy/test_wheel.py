"""The wheel holds what an installed edge-ser needs: all assets and the calibration sets."""

from __future__ import annotations

import zipfile

from support import ROOT


def test_assets_and_calibration_sets_are_in_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        sizes = {info.filename: info.file_size for info in archive.infolist()}

    assets = ROOT / "edge_ser" / "assets"
    expected = {
        f"edge_ser/assets/{path.relative_to(assets).as_posix()}": path
        for path in assets.rglob("*")
        if path.is_file()
    }
    calibration = ROOT / "calibration"
    expected |= {
        f"edge_ser/assets/calibration/{path.relative_to(calibration).as_posix()}": path
        for path in calibration.rglob("*")
        if path.is_file()
    }
    assert "edge_ser/assets/edge_ser.onnx" in expected
    assert "edge_ser/assets/calibration/default/windows.npz" in expected
    assert not expected.keys() - names
    assert {name: sizes[name] for name in expected} == {
        name: path.stat().st_size for name, path in expected.items()
    }
