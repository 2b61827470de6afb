"""Time FP32, INT8 and FP16 of one model in ONNX Runtime on one core, in turns, and print medians.

    python benchmarks/quantized_speed.py --calibration calibration/default

A window of the model's own length is recognised, from features to logits.
"""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

import onnxruntime

from edge_ser.errors import EdgeSerError
from edge_ser.inference.loader import bundled_model
from edge_ser.quantization.accuracy_gate import interleaved_ms
from edge_ser.quantization.calibration_set import CalibrationSet
from edge_ser.quantization.gate_config import Gate
from edge_ser.quantization.model_parts import open_source
from edge_ser.quantization.quantizer import QuantizeConfig, Quantizer


def main() -> int:
    """Quantise, time and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="FP32 ONNX file; the bundled one by default")
    parser.add_argument("--calibration", type=Path, required=True, help="calibration set")
    parser.add_argument("--rounds", type=int, default=1000, help="inferences of each")
    options = parser.parse_args()
    try:
        source = open_source(options.model or bundled_model())
        quantizer = Quantizer(source, CalibrationSet.load(options.calibration))
        wishes = [
            QuantizeConfig(),
            QuantizeConfig(int8=False, fp16=True),
            QuantizeConfig(fp16=True),
        ]
        made = [quantizer.quantize(wish, Gate()) for wish in wishes]
    except EdgeSerError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    networks = [source.body, *(one.network for one in made)]
    window = quantizer.calibration.windows[:1]
    times = interleaved_ms(networks[:2], window, options.rounds)
    times += interleaved_ms([source.body, *networks[2:]], window, options.rounds)[1:]
    sizes = [source.n_bytes, *(one.model.ByteSize() for one in made)]
    print(f"{_processor()}, one core; ONNX Runtime {onnxruntime.__version__}")
    print(f"{source.card.name}, window of {source.card.window_s:g} s, median of {options.rounds}")
    print("precision      ms  speed      bytes   size")
    for kind, ms, size in zip(["fp32", *(wish.kind for wish in wishes)], times, sizes, strict=True):
        speed, share = times[0] / ms, size / source.n_bytes
        print(f"{kind:<10} {ms:6.3f}  {speed:4.2f}x  {size:9,}  {share:5.1%}")
    return 0


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    sys.exit(main())
