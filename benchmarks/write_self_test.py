"""Write edge_ser/assets/self_test.json: what `edge-ser doctor` expects of the bundled model.

    python benchmarks/write_self_test.py

Run it after the bundled model was replaced; a test fails until then.
"""

from __future__ import annotations

import json

from edge_ser._util.files import write_text
from edge_ser.doctor.self_test import run_self_test
from edge_ser.inference.loader import bundled_model


def main() -> None:
    """Run the signal through the bundled model and keep the answer."""
    result = run_self_test()
    record = {
        "sha256": result.sha256,
        "label": result.label,
        "probs": {label: round(p, 4) for label, p in result.probs.items()},
    }
    path = bundled_model().with_name("self_test.json")
    write_text(path, json.dumps(record, indent=1) + "\n")
    print(f"{path}: {record}")


if __name__ == "__main__":
    main()
