"""Run every benchmark, or those named: ``python -m tests.bench [tracking mesh ...]``."""

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(names: list[str]) -> int:
    known = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    for name in names or known:
        if name not in known:
            print(f"no benchmark '{name}'; known: {', '.join(known)}", file=sys.stderr)
            return 2
        print(f"## {name}", flush=True)
        runpy.run_module(f"tests.bench.bench_{name}", run_name="__main__")
    return 0


sys.exit(main(sys.argv[1:]))
