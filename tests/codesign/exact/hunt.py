"""Proves questions drawn at random and looks at all their points: `python -m codesign.exact.hunt`.

Takes seconds each; what fails names its seed.
"""

from __future__ import annotations

import sys
import time

from codesign.exact.checks import check_optimum
from codesign.exact.drawn_spaces import draw_question
from codesign.exact.relaxation import check_corners, check_floors

from toolkit.codesign.exact import prove_hardware


def main(first: int, last: int) -> None:
    for seed in range(first, last):
        start = time.process_time()
        question = draw_question(seed)
        try:
            check_corners(question, seed)
            check_floors(question, seed)
            proof = prove_hardware(question)
            check_optimum(question, proof)
        except Exception:
            print(f"seed {seed}", flush=True)
            raise
        seconds = time.process_time() - start
        shown = f"{question.objective.name}, {question.factors}, {question.space.size} points"
        print(f"{seed}: {shown}: {proof.closings()}, {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main(*(int(word) for word in (sys.argv[1:] or ["0", "100"])))
