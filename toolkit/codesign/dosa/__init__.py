"""DOSA's search as its authors published it, to hold other strategies against.

After C. Hong et al., "DOSA: Differentiable Model-Based One-Loop Search for DNN Accelerators"
(MICRO 2023). Mappings of all layers set out from random hardware, on which each was mapped by
itself; real-valued factors descend the product of energy and latency of the whole network
(`descent`), the least hardware that runs them follows, and now and then every factor is rounded
to a divisor and loop orders of the outermost memory are chosen anew (`rounding`). `sampler` makes
starts and proposes what they arrive at.
"""
