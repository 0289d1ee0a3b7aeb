"""Lists the operators that ONNX Runtime adds to ONNX, one name a line, its version first.

    pip install onnxruntime
    python studies/list_runtime_operators.py > tests/data/list_runtime_operators.txt

Tests hold the table of operators against this list: each is known, or refused by name.
"""

from __future__ import annotations

import sys

DOMAINS = ("com.microsoft", "com.microsoft.nchwc")


def main() -> None:
    try:
        import onnxruntime
        from onnxruntime.capi.onnxruntime_pybind11_state import get_all_operator_schema
    except ImportError:
        sys.exit("onnxruntime is not installed; pip install onnxruntime")
    schemas = get_all_operator_schema()
    names = {f"{schema.domain}.{schema.name}" for schema in schemas if schema.domain in DOMAINS}
    print(f"onnxruntime {onnxruntime.__version__}")
    print("\n".join(sorted(names)))


if __name__ == "__main__":
    main()
