"""Proven optima by shortest paths and labels: the whole map space, without listing it.

**What a cost depends on.** Fix all spatial factors (a *branch*; few hundred per problem). Then
utilization, the cycles of the lanes, instances and copies are constants, and only the temporal
factors and the loop orders are left. Write ``n_d`` for the temporal iterations of a dimension
and ``tau_d`` for the part of them inside some point of the nest. A tensor that memory `c` keeps
moves whenever a loop that indexes it advances, so all that counts is where, going outwards from
the top of `c`, the first such loop stands:

- The loops passed on the way there index nothing of the tensor, so along its dimensions ``tau``
  still is that of the child's tile. Words are *tile x everything outside of that point*
  (``prod n_d / tau_d``, the loop itself included) x spatial constants. That needs ``tau`` at
  that point and nothing of what lies outside or further inside.
- A window that slides takes that loop's dimension and iterations as well, and with single reuse
  whether any loop was passed.
- If no such loop comes up to the supplier, the point is the top of the supplier.
- First visits of outputs, which are not read, are the words over the orthogonal part of
  ``prod n_d / tau_d``: known at the same point.
- Lanes keep nothing (``per_instance``): their words are constants of the branch. Under
  ``persistent`` transfers a stay that no loop ends does not end at the top of the supplier either:
  it goes on through the memories outside, up to the outermost one. So stays of one tensor overlap,
  and every transfer waits on its own; an inner one only while the outer one does, for the first
  loop that indexes the tensor moves both. All else is the same, at that point. Under
  ``sequential`` transfers they wait outside of the innermost memory like any child, with the
  iterations of that memory counted all the same: these are part of the tensor's state. Floors
  apply to what is inside of the point, ceilings to totals: both known there. Fills and drains
  carried inwards are constant multiples of the words of one transfer (drains also of the
  next outer transfer's): linear, so that every transfer is charged on its own.

So the cost of a mapping is a sum over points of a walk that places loops one by one, from the
innermost outwards: ``(memory, tau, loops placed at this memory, which tensors wait)`` is all
that the rest of the walk depends on. Once no tensor waits, the order of a memory's other
loops is free, and they are placed in one fixed order. Energy is one such sum, the words
through each port of each memory are others, and latency is the maximum of the lanes' cycles and
of every port's ``words / (instances x bandwidth)``, plus a constant for warm-up; leakage until
the end is a multiple of latency. What levels wait for at a memory is one more sum, in the
limits of all that lies inside of it, and in one more limit for each port of the memory, with the
words that pass it meanwhile left out (`limits.limits_of`).

What is rounded up stays exact. Whole wordlines are charged once for the run by memory, tensor
and kind of words, all of which come from one transfer (unless these are sequential): rounded
where its words become known. Whole cycles are a monotone function of the latency, bounds of it
included.

Where instances share overlapping windows *selectively* across a memory in between whose
loops move these windows, or across other instances that do not share, words depend on two
tiles at once: such problems are enumerated instead (`decomposes`).

**Rules, and why they are safe.**

1. *Compulsory traffic*: a branch's energy is at least what moving each value once takes (windows
   overlap, but their sizes add up to at least their union), its latency the lanes' cycles.
2. *Least energy*: shortest paths over all walks of a branch, exact. Energy and latency only
   enter objectives with powers of at least 0, so the least energy with the lanes' cycles bounds
   the objective; if the mapping that reaches it has no stalls it is the branch's optimum.
3. *Least cycles of every port*, by the same shortest paths, each for itself.
4. *Labels*: all walks with the vector (energy, ports) so far. One is left out if even with the
   least energy and the least cycles of every port to come (each by itself) it is no better than
   the best mapping known. Another is undercut if it has the same state at the top of a memory
   and no cost is lower: then every completion of it is no better than the same completion of
   the other, as all costs still to come are equal and all objectives monotone. Ports through
   which nothing more can pass are replaced by their maximum first, unless memories leak for
   their own busy time.
5. *Capacities, bounds, meshes, loop orders* are checked where the numbers they need are known;
   extents that cannot occur are never visited. Footprints grow with every extent.

Every mapping that could be best is costed by the evaluator; a value below the bound derived for
it raises an error. Values that differ by less than 1e-12 count as equal.

**Transfers per instance, ragged tiles.** Where factors only have to reach the sizes, a dimension's
last tile is cut off, and how often a combination of counters occurs depends on where tiles end.
Fix beside the spatial factors the tile extents right inside every spatial level that unrolls a
ragged dimension (a *choice*; many thousands per problem). Then it depends on one further extent
again, that of the point, so that words are sums over points of a walk as before, with numbers of
combinations read from tables (`chains`). The steps of the lanes are a constant of the choice.
Inside a fixed extent all others divide it. Outside all fixed ones only numbers of tiles matter,
and of each number the smallest extent is enough: it leaves the same numbers further out, and
more room (where windows leave gaps, all extents are kept).

6. *Relaxed ways*: all choices with the same spatial factors (a *family*) together. Extents go into
   buckets; loops lead from one to any further one, whether it divides or not, any number of
   times; a transfer costs what it takes at the largest extents of its bucket, and tiles need the
   room of the smallest. Every mapping is such a way, and costs no less than it: the visits of a
   value are at least the iterations over those that counters that do not count stand for. The
   words of a port's busiest instance are at least the average. So the least costs of ways from
   inside a memory on, by bucket and by the tensors that wait, bound whatever is left of a mapping
   there (`relaxed`), and those of all ways through the extents that a choice fixes bound the
   choice, in energy and in cycles of every port.

Families, then choices, are bounded more closely, listed and solved in the order of their bounds,
for as long as these are lower than the best mapping known; the first one left open is the bound
of a search that is cut short. A choice is solved for its least energy by labels, the cheapest of
each future, judged by rules 1 and 6; with every port if that mapping stalls (rule 4). Perfect
factors go the same way, with nothing but the spatial factors fixed.

**Sums that begin anew.** Where instances sum up a value apart, one of them goes on with the old
sum and the others start from zero, and inside of these nothing is read at first. So reads of a
transfer are all its visits, less those that entered its supplier from zero; that is a sum over
the transfers outside, and each is charged with what its own visits change further in
(`accounts`). Such credits may exceed its costs: then more words are better, bounds count the
most there can be (`relaxed`), and compulsory traffic says nothing of it (`family`).

**Waits.** First and last tiles of a memory cost what its extents say, at its top; a memory that
hides nothing adds the cycles of its transfers; tiles of a systolic array are counted by the
transfer that brings them. All of it adds to every limit inside, lanes included, which so become
one more port. A memory that hides what fits twice is one that hides everything and has half the
room, or one that hides nothing: a problem each (`buffers`).
What is best for waits costs energy and the other way round, so that both are relaxed together,
too: of a weighted sum of energy and of what lanes wait for the least is known like that of any
other cost, and the objective is least at an end of the line on which the sum is that (`_beaten`
in `instance_strategy`).

**Bursts.** What the tiles of the outermost memory touch beside their own words depends on their
extents and, where a window slides, on the loop that ends their stay: known at the same point, so
that it is charged there, by the model's own formula. Relaxed ways leave it out, which is less.
Tiles of every size differ then, so that no ragged extent stands for another (`columns`).

**Bypasses to be chosen.** Each choice of them is an architecture of its own; these are proved in
the order of a quick bound, all against the same best mapping (`choices`).

**Where it stands.** `search` begins; `strategy` takes the branches in the order of their bounds;
`spatial` lists these and bounds each without any search. A `branch` is searched in a `nest` of its
`spatial_factors`: its `extents` become `steps`, and its `transfers` rows that the kernels read, in
`slots` that wait on their own. What a transfer's values cost is in its account (`accounts`,
`waits`), what a row moves is said by `compiled_words`, with the cost model's own formulas for
windows and first visits; how a walk goes on is in `compiled_steps`, shortest paths are in
`compiled_paths`, and labels in `compiled_labels`. Of transfers per instance, `instance_strategy`
takes what `listing` lists of the `options` of every dimension, and `relaxations` bounds; `least`
solves a choice in one call (`compiled_least`), whose columns of extents (`columns`) lie in a
`store`; a `family` has what choices with the same spatial factors share, and a `choice_nest` the
tables of one for labels.
"""

from toolkit.search.exact.search import covered_tilings, exact, exact_front, prove

__all__ = ["covered_tilings", "exact", "exact_front", "prove"]
