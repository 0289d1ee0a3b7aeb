"""Writes a ResNet of any size (He et al., CVPR 2016) as torchvision has it, without weights.

python studies/networks/resnet.py FILE --blocks 3 4 6 3 --bottleneck --width 64
"""

from __future__ import annotations

from writing import arguments, positive, write

from toolkit.workload.network.built_in.convolutional import resnet

if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument(
        "--blocks", type=positive, nargs="+", default=[2, 2, 2, 2], help="of each stage"
    )
    parser.add_argument("--bottleneck", action="store_true", help="three convolutions per block")
    parser.add_argument("--width", type=positive, default=64, help="channels of the first stage")
    parser.add_argument("--classes", type=positive, default=1000)
    given = parser.parse_args()
    write(
        parser,
        given,
        lambda precision: resnet(
            precision,
            blocks=given.blocks,
            bottleneck=given.bottleneck,
            width=given.width,
            classes=given.classes,
        ),
    )
