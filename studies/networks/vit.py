"""Writes a vision transformer of any size (Dosovitskiy et al., ICLR 2021), without weights.

python studies/networks/vit.py FILE --layers 12 --hidden 768 --heads 12 --patch 16 --image 384
"""

from __future__ import annotations

from writing import arguments, positive, write

from toolkit.workload.network.built_in.encoders import vit

if __name__ == "__main__":
    parser = arguments(__doc__)
    for name, size in (
        ("layers", 12),
        ("hidden", 768),
        ("heads", 12),
        ("patch", 16),
        ("image", 224),
        ("classes", 1000),
    ):
        parser.add_argument(f"--{name}", type=positive, default=size)
    parser.add_argument("--feed-forward", type=positive, help="4 x hidden by default")
    given = parser.parse_args()
    write(
        parser,
        given,
        lambda precision: vit(
            precision,
            layers=given.layers,
            hidden=given.hidden,
            heads=given.heads,
            feed_forward=given.feed_forward or 4 * given.hidden,
            patch=given.patch,
            image=given.image,
            classes=given.classes,
        ),
    )
